"""The page about GitHub's plans names what the workflows have: environments, secrets, variables, inputs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.workflows.test_workflows import OF_NO_ENVIRONMENT, WORKFLOWS, read

PAGE = (Path(__file__).parents[2] / "docs" / "github-plans.md").read_text(encoding="utf-8")
LINES = re.findall(r"^    (gh .*)$", PAGE, re.MULTILINE)
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in WORKFLOWS}


def after(word: str) -> list[str]:
    """What stands behind a word in the page's commands."""
    return [found for line in LINES for found in re.findall(rf"{word} (\S+)", line)]


def test_every_workflow_that_is_started_or_disabled_is_there_with_its_inputs() -> None:
    started = after("gh workflow (?:run|disable)")
    assert started == ["deploy.yml", "deploy.yml", "rehearse.yml"]
    inputs = read("deploy.yml")["on"]["workflow_dispatch"]["inputs"]
    for given in after("-f"):
        name, _, value = given.partition("=")
        assert value in inputs[name]["options"]


def test_every_variable_and_secret_that_is_set_is_read() -> None:
    assert after("gh variable set") == ["PROD_DEPLOY"]
    assert f"vars.PROD_DEPLOY == '{after('--body')[0]}'" in TEXTS["deploy.yml"]
    for line in LINES:
        if secret := re.search(r"gh secret set (\S+) --env (\S+)", line):
            jobs = [job for name in TEXTS for job in read(name)["jobs"].values() if job.get("environment") == secret[2]]
            assert jobs
            assert all(f"secrets.{secret[1]}" in str(job) for job in jobs)


def test_the_secrets_of_a_plan_without_environments_are_those_of_the_page() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \| `(\w+)` \|$", PAGE, re.MULTILINE)
    assert {other for _, own, other in rows if own != other} == set(OF_NO_ENVIRONMENT)
    found: dict[str, set[str]] = {}
    for name in ("deploy.yml", "plan.yml"):
        for job in read(name)["jobs"].values():
            for pair in re.findall(r"secrets\.(\w+) \|\| secrets\.(\w+) \}", str(job)):
                found.setdefault(job["environment"], set()).add(f"{pair[1]} {pair[0]}")
    assert found == {environment: {f"{own} {other}"} for environment, own, other in rows if own != other}


def test_no_job_has_an_environment_that_no_page_names() -> None:
    pages = PAGE + (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")
    for name in ("deploy.yml", "plan.yml", "rehearse.yml"):
        for job in read(name)["jobs"].values():
            assert f"`{job.get('environment', 'prod')}`" in pages
