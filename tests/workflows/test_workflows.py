"""The workflows are well formed and safe, as two linters see it, and keep what the documentation promises of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.workflows.runner import holds

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROGRAMS = Path(sys.executable).parent


def read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github" / "workflows" / name)
    return loaded


def run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflows_have_githubs_schema() -> None:
    run(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_the_dependabot_file_has_its_schema() -> None:
    run(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.dependabot", ROOT / ".github" / "dependabot.yml")


def test_zizmor_finds_nothing_even_when_it_is_pedantic() -> None:
    run(PROGRAMS / "zizmor", "--offline", "--persona", "pedantic", "--no-progress", ROOT / ".github")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_of_others_is_pinned_by_commit(path: Path) -> None:
    steps = [step for job in read(path.name)["jobs"].values() for step in job.get("steps", [])]
    for used in (step["uses"] for step in steps if "uses" in step):
        assert len(used.partition("@")[2]) == 40, used


# Beside reading what is checked out: comments and issues, and where a pull request's code runs not even these.
WRITES = {
    ("infrastructure.yml", "preview"): {"contents": "read", "pull-requests": "write"},
    ("plan.yml", "comment"): {"pull-requests": "write"},
    ("comment.yml", "comment"): {"pull-requests": "write"},
    ("deploy.yml", "before"): {"actions": "read"},
    ("deploy.yml", "rehearse"): {"actions": "read", "contents": "read"},
    ("deploy.yml", "prod"): {"actions": "read", "contents": "read"},
    ("rehearse.yml", "fork"): {},
    ("rehearse.yml", "comment"): {"pull-requests": "write"},
    ("preview.yml", "fork"): {},
    ("preview.yml", "comment"): {"pull-requests": "write"},
    ("drift.yml", "diff"): {"contents": "read", "issues": "write"},
    ("backfill.yml", "backfill"): {"contents": "read", "actions": "write"},
}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_may_write_to_the_repository(path: Path) -> None:
    workflow = read(path.name)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        expected = WRITES.get((path.name, name), {"contents": "read"})
        assert job["permissions"] == expected


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_one_deploy_at_a_time_per_environment_and_none_is_cut_off(environment: str) -> None:
    job = read("deploy.yml")["jobs"][environment]
    assert job["environment"] == environment
    assert job["concurrency"] == {"group": f"deploy-{environment}", "cancel-in-progress": False}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_plan_is_shown_before_the_deploy(environment: str) -> None:
    commands = [step["run"] for step in read("deploy.yml")["jobs"][environment]["steps"] if "run" in step]
    plan = f'./inv plan --env {environment} --summary "$GITHUB_STEP_SUMMARY"'
    assert commands[-2:] == [plan, f"./inv deploy --env {environment}"]


@pytest.mark.parametrize(
    ("workflow", "job"),
    [
        ("backfill.yml", "backfill"),
        ("deploy.yml", "dev"),
        ("deploy.yml", "plan"),
        ("deploy.yml", "rehearse"),
        ("deploy.yml", "prod"),
        ("plan.yml", "plan"),
        ("rehearse.yml", "rehearse"),
        ("preview.yml", "preview"),
    ],
)
def test_a_step_that_has_a_secret_installs_nothing(workflow: str, job: str) -> None:
    """A step before it does, without one; from then on pip would find no index.

    That a second run of `./inv` starts no pip at all, tests/inv/test_bootstrap.py has.
    """
    steps = [step for step in read(workflow)["jobs"][job]["steps"] if "run" in step]
    installs = next(step for step in steps if step["name"] == "Install what the next steps run")
    groups = "check infra" if job in {"rehearse", "preview"} else "check"
    begin, group, *signing = installs["run"].splitlines()
    assert [begin, group] == ["./inv --version", f".venv/bin/python -m pipeline.packages {groups}"]
    asked = "[ ! -f rehearsal.pub ] || .venv/bin/python -m pipeline.packages signing # receipts are signed"
    assert signing == ([asked] if workflow == "deploy.yml" and job in {"rehearse", "prod"} else [])
    assert "env" not in installs
    verbs = [step for step in steps[steps.index(installs) + 1 :] if "./inv " in step["run"]]
    assert verbs
    assert all(step["env"]["PIP_NO_INDEX"] == "1" for step in verbs)


def test_main_goes_to_dev_after_its_checks_is_rehearsed_and_goes_to_prod() -> None:
    workflow = read("deploy.yml")
    assert workflow["on"]["push"] == {"branches": ["main", "release/**"]}
    assert workflow["jobs"]["dev"]["needs"] == "ci"
    assert workflow["jobs"]["rehearse"]["needs"] == ["before", "ci", "dev"]
    assert workflow["jobs"]["prod"]["needs"] == ["plan", "rehearse"]


@pytest.mark.parametrize(
    ("event", "variable", "started"),
    [("push", "", False), ("push", "yes", False), ("push", "approval", True), ("workflow_dispatch", "", True)],
)
def test_nothing_goes_to_prod_unasked(event: str, variable: str, started: bool) -> None:
    condition = read("deploy.yml")["jobs"]["prod"]["if"]
    values = {"github.event_name": event, "vars.PROD_DEPLOY": variable}
    well = {"needs.plan.result": "success", "needs.rehearse.result": "success"}
    assert holds(condition, values | well, all_well=True) == started
    for need in well:
        for result in ("failure", "skipped", "cancelled"):
            assert not holds(condition, values | well | {need: result}, all_well=False)


@pytest.mark.parametrize(
    ("ref", "ci", "dev", "checked", "rehearsed"),
    [
        ("main", "success", "success", "", True),
        ("main", "success", "failure", "", False),
        ("main", "success", "skipped", "", False),
        ("main", "failure", "skipped", "", False),
        ("main", "skipped", "skipped", "true", True),
        ("main", "skipped", "skipped", "false", False),
        ("release/0.6", "success", "skipped", "", True),
        ("release/0.6", "failure", "skipped", "", False),
        ("a-branch", "success", "skipped", "", False),
    ],
)
def test_a_commit_is_rehearsed_that_has_passed_its_checks_and_dev_or_is_a_hotfix(
    ref: str, ci: str, dev: str, checked: str, rehearsed: bool
) -> None:
    condition = read("deploy.yml")["jobs"]["rehearse"]["if"]
    values = {
        "github.ref": f"refs/heads/{ref}",
        "needs.ci.result": ci,
        "needs.dev.result": dev,
        "needs.before.outputs.checked": checked,
    }
    assert holds(condition, values, all_well=False) == rehearsed


def test_who_has_the_key_to_neon_has_no_url_and_who_has_the_url_has_no_key() -> None:
    for name in ("deploy.yml", "rehearse.yml"):
        for job, definition in read(name)["jobs"].items():
            has_key, has_url = "NEON_API_KEY" in str(definition), "DATABASE_URL" in str(definition)
            assert (has_key, has_url) == {
                "rehearse": (True, False),
                "dev": (False, True),
                "plan": (False, True),
                "prod": (False, True),
            }.get(job, (False, False))


def test_a_pull_request_is_rehearsed_by_the_code_that_it_goes_to() -> None:
    """Its own would have the key to production's project; and so would who may push a branch, were the environment open to it."""
    workflow = read("rehearse.yml")
    assert list(workflow["on"]) == ["pull_request_target"]
    job = workflow["jobs"]["rehearse"]
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    [code] = [step["with"] for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert code["ref"] == "${{ github.event.pull_request.base.sha }}"


def test_a_change_is_checked_against_the_branch_that_it_will_be_merged_into() -> None:
    (step,) = [step for step in read("ci.yml")["jobs"]["check"]["steps"] if "run" in step]
    assert step["run"] == './inv check --base "origin/$BASE" --github'
    assert step["env"]["BASE"].startswith("${{ github.base_ref || ")


# Where a plan of GitHub has no environments, an environment's secret is the repository's, under a name of its own.
OF_NO_ENVIRONMENT = ("DEV_DATABASE_URL", "PROD_DATABASE_URL", "PROD_READER_URL")


@pytest.mark.parametrize("name", ["deploy.yml", "plan.yml", "rehearse.yml", "drift.yml"])
def test_a_secret_reaches_a_command_through_its_environment_alone(name: str) -> None:
    urls = [f"${{{{ secrets.{other} || secrets.DATABASE_URL }}}}" for other in OF_NO_ENVIRONMENT]
    url = {"DATABASE_URL": "the database's"}
    key = {"NEON_API_KEY": "${{ secrets.NEON_API_KEY }}"}
    signing = {"REHEARSAL_SIGNING_KEY": "${{ secrets.REHEARSAL_SIGNING_KEY }}"}
    webhook = {"DEPLOY_WEBHOOK_URL": "${{ secrets.DEPLOY_WEBHOOK_URL }}"}
    for job in read(name)["jobs"].values():
        assert "secrets" not in str(job.get("env", {}))
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", "")
            secret = {
                variable: "the database's" if value in (*urls, "${{ secrets.DATABASE_URL }}") else value
                for variable, value in step.get("env", {}).items()
                if "secrets" in value and "!= ''" not in value
            }
            assert secret in ({}, url, url | webhook, key, key | signing)
            assert not (secret and "GH_TOKEN" in step["env"])


def test_production_is_planned_before_the_approval_by_a_job_that_has_not_the_owners_url() -> None:
    """Secrets belong to environments: the owner's is that of `prod`, which asks for an approval."""
    jobs = read("deploy.yml")["jobs"]
    assert jobs["plan"]["environment"] == read("plan.yml")["jobs"]["plan"]["environment"] == "prod-plan"
    assert jobs["plan"]["needs"] == ["before", "ci"]
    assert [name for name, job in jobs.items() if job.get("environment") == "prod"] == ["prod"]
    assert read("drift.yml")["jobs"]["diff"]["environment"] == "${{ matrix.environment }}-plan"


def test_what_comments_on_a_pull_request_runs_none_of_its_code_and_has_no_secret() -> None:
    workflow = read("plan.yml")
    assert workflow["jobs"]["plan"]["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert workflow["jobs"]["comment"]["uses"] == "./.github/workflows/comment.yml"
    commenting = read("comment.yml")
    assert [step.get("uses") for step in commenting["jobs"]["comment"]["steps"]] == [None]
    assert "secrets" not in str(workflow["jobs"]["comment"]) + str(commenting)


def test_a_preview_runs_the_code_that_is_merged_and_comments_in_the_plans_place() -> None:
    workflow = read("preview.yml")
    assert workflow["on"]["pull_request_target"]["types"] == ["opened", "synchronize", "reopened", "closed"]
    assert workflow["concurrency"]["group"] == "preview-${{ github.event.pull_request.number }}"
    steps = workflow["jobs"]["preview"]["steps"]
    code, change = (step["with"] for step in steps if "checkout" in step.get("uses", ""))
    assert code["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert (change["path"], change["sparse-checkout"]) == ("change", "migrations")
    assert workflow["jobs"]["comment"]["uses"] == "./.github/workflows/comment.yml"
    assert "vars.PREVIEWS == 'true'" in workflow["jobs"]["preview"]["if"]
    assert "vars.PREVIEWS != 'true'" in read("plan.yml")["jobs"]["comment"]["if"]


def test_backfills_go_on_in_jobs_of_50_minutes_one_at_a_time() -> None:
    workflow = read("backfill.yml")
    job = workflow["jobs"]["backfill"]
    assert workflow["on"]["schedule"]
    assert job["concurrency"] == {"group": "backfill-${{ matrix.environment }}", "cancel-in-progress": False}
    (step,) = [step for step in job["steps"] if step.get("id") == "backfill"]
    assert int(step["env"]["LONGEST"]) == 50 * 60 < 60 * int(job["timeout-minutes"])
    assert job["environment"] == "${{ matrix.environment }}-backfill"


def test_drift_of_the_databases_is_looked_for_every_night() -> None:
    workflow = read("drift.yml")
    assert workflow["on"]["schedule"]
    assert workflow["jobs"]["diff"]["strategy"]["matrix"]["environment"] == ["dev", "prod"]


def test_what_is_kept_between_runs_follows_every_lock_and_goes_to_no_job_with_a_secret() -> None:
    """pip's cache: of the jobs of ci.yml alone, and by the content of each file that pip is given."""
    for name in ("check", "test"):
        (setup,) = [
            step["with"] for step in read("ci.yml")["jobs"][name]["steps"] if "setup-python" in step.get("uses", "")
        ]
        assert setup["cache"] == "pip"
        found = {path for pattern in setup["cache-dependency-path"].split() for path in ROOT.glob(pattern)}
        assert found == {ROOT / "requirements.lock", *(ROOT / "locks").glob("*.lock")}
    for path in WORKFLOWS:
        if "secrets." in path.read_text():
            assert "cache" not in path.read_text()


def pulumi_step(job: str) -> dict[str, Any]:
    [step] = [s for s in read("infrastructure.yml")["jobs"][job]["steps"] if "pulumi/actions" in s.get("uses", "")]
    asked: dict[str, Any] = step["with"]
    return asked


def test_a_pull_request_gets_a_preview_as_a_comment_and_a_fork_none() -> None:
    asked = pulumi_step("preview")
    assert (asked["command"], asked["comment-on-pr"], asked["suppress-outputs"]) == ("preview", True, True)
    condition = read("infrastructure.yml")["jobs"]["preview"]["if"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in condition


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_what_is_merged_is_made_in_an_environment_that_asks_for_approval_one_run_at_a_time(stack: str) -> None:
    job = read("infrastructure.yml")["jobs"][stack]
    assert job["environment"] == f"infra-{stack}"
    assert job["concurrency"] == {"group": f"infrastructure-{stack}", "cancel-in-progress": False}
    assert pulumi_step(stack)["command"] == "up"
    assert pulumi_step(stack)["stack-name"] == "${{ github.job }}"


def test_drift_is_looked_for_every_night_without_changing_anything() -> None:
    assert read("infrastructure.yml")["on"]["schedule"]
    asked = pulumi_step("drift")
    assert (asked["command"], asked["refresh"], asked["expect-no-changes"]) == ("preview", True, True)


def test_the_infrastructures_workflow_runs_the_pulumi_that_the_project_asks_for() -> None:
    required = YAML(typ="safe").load(ROOT / "Pulumi.yaml")["requiredPulumiVersion"]
    for job in read("infrastructure.yml")["jobs"]:
        assert f">={pulumi_step(job)['pulumi-version']}" == required


def test_dependabot_watches_actions_pip_and_every_lock_of_npm() -> None:
    updates = YAML(typ="safe").load(ROOT / ".github" / "dependabot.yml")["updates"]
    watched = {each["package-ecosystem"]: each.get("directories", [each.get("directory")]) for each in updates}
    locks = {f"/{path.parent.relative_to(ROOT)}" for path in ROOT.glob("*/**/package-lock.json") if _is_ours(path)}
    assert watched == {"github-actions": ["/"], "pip": ["/"], "npm": sorted(locks)}


def test_what_is_run_by_npx_has_a_version() -> None:
    """npx takes the newest of anything else: whatever was published this minute."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = {name: (ROOT / name).read_text(errors="replace") for name in listed.splitlines() if (ROOT / name).is_file()}
    without = [
        (name, command)
        for name, text in texts.items()
        if not name.startswith(("sdks/", "tests/")) and not name.endswith("lock.json")
        for command in re.findall(r"\bnpx +(?:-\S+ +)*(\S+)", text)
        if not re.search(r"@\d+\.\d+\.\d+", command)
    ]
    assert without == []


def _is_ours(path: Path) -> bool:
    return not {"node_modules", ".local", ".venv"} & set(path.parts)


def test_a_pull_request_sees_no_secret() -> None:
    assert "secrets" not in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_ci_machines_run_the_test_command_of_the_readme() -> None:
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "./inv test"
    assert "./inv test" in (ROOT / "README.md").read_text()
