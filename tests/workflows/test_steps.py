"""The steps of the workflows, run as a job runs them: with its variables, in a checkout, on a real database.

What only GitHub has is stood in for: a program `gh` that keeps what it is asked and answers from a file as the API would.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.checkout import open_checkout
from pipeline.deploy.reader import make_reader
from pipeline.history.beside import READER
from pipeline.migrations import read_folder
from tests.support.backfills import items, registered
from tests.support.folders import FolderBuilder
from tests.support.repository import Repository
from tests.support.sample import SAMPLE, SAMPLE_IDS, Database
from tests.verbs.test_webhook import hook
from tests.workflows.runner import filled, read_outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.server import PostgresServer

ROOT = Path(__file__).parents[2]

GH = """#!{python}
import json, os, subprocess, sys
from pathlib import Path
folder, words = Path({folder!r}), sys.argv[1:]
def after(*names):
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word in names), "")
body = after("--body-file") or after("--field").removeprefix("body=@")
asked = {{"words": words, "body": Path(body).read_text() if body else "", "token": os.environ.get("GH_TOKEN"),
         "variables": sorted(os.environ), "input": "" if sys.stdin.isatty() else sys.stdin.read()}}
with open(folder / "asked", "a") as file:
    file.write(json.dumps(asked) + "\\n")
if after("--jq"):  # gh has jq built in
    there = (folder / "there.json").read_text()
    sys.exit(subprocess.run(["jq", "-r", after("--jq")], input=there, text=True).returncode)
"""


@dataclass
class Job:
    """A job on a runner: its checkout, what its expressions stand for, and what its steps have left."""

    root: Path
    temp: Path
    values: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)

    def steps(self, workflow: str, job: str) -> Iterator[dict[str, Any]]:
        loaded = YAML(typ="safe").load(ROOT / ".github" / "workflows" / workflow)
        return (step for step in loaded["jobs"][job]["steps"] if "run" in step)

    def run(self, step: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run it as the runner does: `bash -e`, or with pipefail where the step says bash; keep its outputs."""
        output = self.temp / "output"
        output.write_text("")
        options = ["--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") == "bash" else ["-e"]
        script = self.temp / "step.sh"
        script.write_text(step["run"])
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PG", "GITHUB_", "GH_", "DATABASE"))
        }
        given = {name: filled(value, self.values) for name, value in step.get("env", {}).items()}
        answer = subprocess.run(
            ["bash", *options, str(script)],
            cwd=self.root,
            env={
                **kept,
                "PATH": f"{self.temp / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "GITHUB_ACTIONS": "true",
                "GITHUB_REPOSITORY": "team/database",
                "GITHUB_STEP_SUMMARY": str(self.temp / "summary"),
                "GITHUB_OUTPUT": str(output),
                "RUNNER_TEMP": str(self.temp),
                **given,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        if "id" in step:
            for name, value in read_outputs(output.read_text()).items():
                self.values[f"steps.{step['id']}.outputs.{name}"] = value
        return answer

    @property
    def summary(self) -> str:
        return (self.temp / "summary").read_text()

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What the stand-in for gh was asked so far."""
        file = self.temp / "asked"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def there(self, *things: Mapping[str, Any]) -> None:
        """What GitHub has: comments, or issues."""
        (self.temp / "there.json").write_text(json.dumps(things))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A checkout of a small repository whose verbs are ours, with the sample committed."""
    repository = Repository.create(tmp_path / "checkout")
    for id_, sql in SAMPLE.items():
        repository.write(id_, sql, rollback="SELECT 1;")
    inv = repository.root / "inv"
    inv.write_text(f'#!/bin/sh\nexec {sys.executable} -m verbs "$@"\n')
    inv.chmod(0o755)
    programs = repository.root / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    (repository.root / ".gitignore").write_text(".venv\n.local\n")
    repository.commit()
    temp = tmp_path / "temp"
    (temp / "bin").mkdir(parents=True)
    gh = temp / "bin" / "gh"
    gh.write_text(GH.format(python=sys.executable, folder=str(temp)))
    gh.chmod(0o755)
    values = {
        "github.token": "the-jobs-token",
        "github.event.pull_request.number": "12",
        "secrets.DEPLOY_WEBHOOK_URL": "",
    }
    return Job(repository.root, temp, values)


@pytest.fixture
def reader(server: PostgresServer, database: DatabaseURL, job: Job, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL that the plan's environment has, of a database with all but the last two migrations."""
    folder = read_folder(job.root / "migrations")
    apply(database, type(folder)(folder.path, folder.files[:3], folder.faults))
    with monkeypatch.context() as patched:
        patched.setenv("DATABASE_URL", database.reveal())
        url = make_reader(open_checkout(job.root, None, "reader"))
    yield url.reveal()
    Database(server.as_superuser(database)).run(f"DROP OWNED BY {READER}; DROP ROLE {READER}")


needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="jq, which gh has built in, is not on PATH")


def test_the_steps_of_a_deploy_install_plan_and_deploy(job: Job, database: DatabaseURL) -> None:
    job.values["secrets.DATABASE_URL"] = database.reveal()
    with hook() as served:
        job.values["secrets.DEPLOY_WEBHOOK_URL"] = served.url
        _, *steps = job.steps("deploy.yml", "prod")  # the first asks GitHub who approved: test_deploy.py has it
        answers = [job.run(step) for step in steps]
    assert [answer.returncode for answer in answers] == [0, 0, 0], [answer.stderr for answer in answers]
    assert "### Plan for prod: 5 migrations to apply" in job.summary
    assert "::group::SQL of migrations/0003_pets.sql" in answers[1].stdout
    assert "5 migrations applied, 0 already there" in answers[2].stdout
    assert Database(database).applied() == SAMPLE_IDS
    assert served.got[0][2]["environment"] == "prod"
    for text in [job.summary, json.dumps(served.got[0][2]), *(f"{a.stdout}{a.stderr}" for a in answers)]:
        assert database.reveal() not in text
        assert "unmistakable" not in text


def test_production_is_planned_with_the_role_that_only_reads(job: Job, reader: str, database: DatabaseURL) -> None:
    job.values["secrets.DATABASE_URL"] = reader
    install, plan = job.steps("deploy.yml", "plan")
    assert job.run(install).returncode == 0
    answer = job.run(plan)
    assert answer.returncode == 0, answer.stderr
    assert "### Plan for prod: 2 migrations to apply" in job.summary
    assert "| `0004_person_name` | SHARE UPDATE EXCLUSIVE | 1, outside a transaction |" in job.summary
    assert Database(database).applied() == SAMPLE_IDS[:3]
    password = reader.partition(f"{READER}:")[2].partition("@")[0]
    assert len(password) == 48
    for text in (job.summary, answer.stdout, answer.stderr):
        assert password not in text


@needs_jq
def test_a_pull_request_has_one_comment_with_the_plan(job: Job, reader: str) -> None:
    job.values["secrets.DATABASE_URL"] = reader
    for step in job.steps("plan.yml", "plan"):
        answer = job.run(step)
        assert answer.returncode == 0, answer.stderr
    text = job.values["inputs.text"] = job.values["steps.text.outputs.text"]
    assert text.startswith("<!-- db-pipeline: plan of prod -->\n### Plan for prod: 2 migrations to apply")
    assert job.summary.strip() == text.strip()
    (comment,) = job.steps("comment.yml", "comment")
    theirs = {"id": 1, "user": {"login": "ada"}, "body": text}
    other = {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "a preview of the infrastructure"}
    job.there(theirs, other)
    assert job.run(comment).returncode == 0
    job.there(theirs, other, {"id": 3, "user": {"login": "github-actions[bot]"}, "body": text})
    assert job.run(comment).returncode == 0
    first_look, made, second_look, replaced = job.asked
    assert first_look["words"][:3] == ["api", "--paginate", "repos/team/database/issues/12/comments?per_page=100"]
    assert made["words"][:5] == ["api", "--silent", "--method", "POST", "repos/team/database/issues/12/comments"]
    assert replaced["words"][:5] == ["api", "--silent", "--method", "PATCH", "repos/team/database/issues/comments/3"]
    assert made["body"].strip() == replaced["body"].strip() == text.strip()
    assert {asked["token"] for asked in job.asked} == {"the-jobs-token"}
    assert not any("DATABASE_URL" in asked["variables"] for asked in (first_look, made, second_look, replaced))


@needs_jq
def test_a_plan_that_fails_is_a_comment_too_and_the_job_fails(job: Job) -> None:
    job.values["secrets.DATABASE_URL"] = "postgresql://reader:unmistakable@127.0.0.1:1/shop"
    _, plan, text = job.steps("plan.yml", "plan")
    answer = job.run(plan)
    assert answer.returncode == 5
    assert "::error title=" in answer.stderr
    assert job.run(text).returncode == 0
    assert "### plan of prod failed" in job.values["steps.text.outputs.text"]
    assert "unmistakable" not in job.summary + answer.stdout + answer.stderr


@needs_jq
def test_gh_that_fails_makes_no_second_comment(job: Job) -> None:
    job.values["inputs.text"] = "<!-- db-pipeline: plan of prod -->\nA plan"
    (comment,) = job.steps("comment.yml", "comment")  # what GitHub has is not there: the stand-in fails
    assert job.run(comment).returncode != 0
    assert len(job.asked) == 1


@needs_jq
def test_drift_opens_one_issue_which_is_brought_up_to_date_and_closed(
    job: Job, reader: str, database: DatabaseURL, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = server.create_database()
    monkeypatch.setenv("SHADOW_DATABASE_URL", shadow.reveal())  # in the place of the step that starts a local server
    job.values |= {
        "secrets.DATABASE_URL": reader,
        "matrix.environment": "prod",
        "github.server_url": "https://github.com",
        "github.repository": "team/database",
        "github.run_id": "7",
    }
    _, diff, issue = job.steps("drift.yml", "diff")
    title = "The database of prod is not what its migrations build"

    def night(*issues: Mapping[str, Any]) -> list[dict[str, Any]]:
        before = len(job.asked)
        job.there(*issues)
        (job.temp / "drift.md").unlink(missing_ok=True)
        for step in (diff, issue):
            answer = job.run(step)
            assert answer.returncode == 0, answer.stderr
        look, *done = job.asked[before:]
        assert look["words"][:3] == ["api", "--paginate", "repos/team/database/issues?state=open&per_page=100"]
        return done

    robot = {"login": "github-actions[bot]"}
    others = [
        {"number": 4, "title": "Something else", "user": robot},
        {"number": 5, "title": title, "user": {"login": "ada"}},
    ]
    ours = {"number": 9, "title": title, "user": robot}
    issues = "repos/team/database/issues"
    assert night(*others) == []
    Database(database).run('ALTER TABLE "Person" ADD COLUMN by_hand text')
    (opened,) = night(*others)
    assert opened["words"][2:6] == ["--method", "POST", issues, "--raw-field"]
    assert opened["words"][6] == f"title={title}"
    assert "by_hand" in opened["body"]
    assert "### prod: 1 object drifted" in job.summary
    Database(database).run('DROP TABLE "Pet"')
    (edited,) = night(*others, ours)
    assert edited["words"][2:5] == ["--method", "PATCH", f"{issues}/9"]
    assert '"Pet"' in edited["body"]
    Database(database).run('ALTER TABLE "Person" DROP COLUMN by_hand')
    Database(database).run(SAMPLE["0003_pets"])
    told, closed = night(*others, ours)
    assert told["words"][2:5] == ["--method", "POST", f"{issues}/9/comments"]
    assert told["words"][-1] == "body=Nothing differs any more: https://github.com/team/database/actions/runs/7"
    assert closed["words"][2:] == ["--method", "PATCH", f"{issues}/9", "--raw-field", "state=closed"]
    server.drop_database(shadow)


def test_a_database_that_nobody_can_look_at_is_no_drift(job: Job) -> None:
    job.values |= {"secrets.DATABASE_URL": "postgresql://reader:x@127.0.0.1:1/shop", "matrix.environment": "prod"}
    _, diff, _ = job.steps("drift.yml", "diff")
    answer = job.run(diff)
    assert answer.returncode == 1
    assert job.values["steps.diff.outputs.code"] == "5"
    assert "### diff of prod failed" in job.summary


def test_the_lines_of_the_page_work_and_give_the_secret_through_a_pipe(
    job: Job, database: DatabaseURL, server: PostgresServer
) -> None:
    apply(database, read_folder(job.root / "migrations"))
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    (\S.*)$", page, re.MULTILINE)
    assert [line.rpartition("gh ")[2].split()[:3] for line in lines[3:]] == [  # of previews: run with the others
        ["variable", "set", "PREVIEWS"],
        ["secret", "set", "NEON_API_KEY"],
    ]
    output = ""
    for line in lines:
        answer = job.run({"run": line, "shell": "bash", "env": {"DATABASE_URL": database.reveal()}})
        assert answer.returncode == 0, answer.stderr
        output += answer.stdout + answer.stderr
    assert "### Plan for prod: 0 migrations to apply" in (job.root / "plan.md").read_text()
    prod, dev, *_ = job.asked
    assert prod["words"] == ["secret", "set", "DATABASE_URL", "--env", "prod-plan"]
    assert dev["words"] == ["secret", "set", "DATABASE_URL", "--env", "dev-plan"]
    urls = [asked["input"].strip() for asked in (prod, dev)]
    assert Database(DatabaseURL.parse(urls[1])).value("SELECT current_user") == READER
    assert not any(url in output for url in urls)
    Database(server.as_superuser(database)).run(f"DROP OWNED BY {READER}; DROP ROLE {READER}")


@pytest.mark.parametrize("verb", ["status", "history", "plan"])
def test_the_role_that_only_reads_is_enough_for_what_only_looks(job: Job, reader: str, verb: str) -> None:
    answer = job.run({"run": f"./inv {verb} --env prod", "env": {"DATABASE_URL": reader}})
    assert answer.returncode == 0, answer.stderr
    assert "0003_pets" in answer.stdout or verb == "plan"
    refused = job.run({"run": "./inv deploy --env prod", "env": {"DATABASE_URL": reader}})
    assert refused.returncode == 5
    assert "::error " in refused.stderr


def test_a_backfill_goes_on_and_starts_the_next_job_while_something_is_left(job: Job, database: DatabaseURL) -> None:
    job.values |= {"secrets.DATABASE_URL": database.reveal(), "matrix.environment": "prod", "github.ref_name": "main"}
    folder = items(FolderBuilder(job.root / "migrations"), 10)
    for id_ in SAMPLE_IDS:
        (folder.path / f"{id_}.sql").unlink()
        (folder.path / f"{id_}.rollback.sql").unlink()
    registered(database, folder)
    install, backfill, again = job.steps("backfill.yml", "backfill")
    assert job.run(install).returncode == 0
    ended = job.run({**backfill, "env": {**backfill["env"], "LONGEST": "0"}})  # its time is over before it begins
    assert (ended.returncode, job.values["steps.backfill.outputs.again"]) == (0, "yes"), ended.stderr
    job.there()
    assert job.run(again).returncode == 0
    assert job.asked[0]["words"][-3:] == [
        "repos/team/database/actions/workflows/backfill.yml/dispatches",
        "--raw-field",
        "ref=main",
    ]
    assert "DATABASE_URL" not in job.asked[0]["variables"]
    ended = job.run(backfill)
    assert (ended.returncode, job.values["steps.backfill.outputs.again"]) == (0, "no"), ended.stderr
    assert Database(database).rows("SELECT done, count(*) FROM item GROUP BY 1") == [(1, 10)]
    assert job.run(backfill).returncode == 0  # nothing is left to do
