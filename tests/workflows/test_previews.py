"""A pull request's preview, from its first push to its end, by the code of the branch that it goes to."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.preview.clone import SECRET, Clone, clone
from tests.workflows.conftest import ADDITION, INV
from tests.workflows.runner import Ran, Run
from tests.workflows.test_steps import Job, job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.emulator import Emulator

__all__ = ["job"]

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="jq, which gh has built in, is not on PATH")

PUSHES = int(os.environ.get("PREVIEW_PUSHES", "4"))  # more of them take minutes, and show the same


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Clone]:
    made = clone(tmp_path_factory.mktemp("repository"), emulator)
    (made.path / "inv").write_text(INV.format(python=sys.executable))
    (made.path / "inv").chmod(0o755)
    (made.path / ".gitignore").write_text(".venv\n.local\n")
    made.commit()
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    yield made
    emulator.delete_project(made.project_id)


@pytest.fixture
def team(built: Clone) -> Iterator[Clone]:
    """The repository, on the branch of a pull request."""
    built.git("checkout", "-q", "-B", "change", "main")
    yield built
    built.git("checkout", "-q", "--force", "main")
    built.git("clean", "-fdq")
    built.ok("preview", "--name", "pr-12", "--down")


def event(team: Clone, folder: Path, action: str, *, head: str = "team/database", **given: Any) -> dict[str, Ran]:
    """Run the workflow for what stands on the branch `change`, merged into main."""
    team.git("update-ref", "refs/pull/12/merge", "change")
    context = {
        "github.event_name": "pull_request_target",
        "github.event.action": action,
        "github.ref_name": "main",
        "github.sha": "main",
        "github.repository": "team/database",
        "github.event.pull_request.number": "12",
        "github.event.pull_request.base.sha": "main",
        "github.event.pull_request.head.repo.full_name": head,
        "vars.PREVIEWS": given.get("previews", "true"),
    }
    key = team.emulator.environment["NEON_API_KEY"]
    run = Run(
        "preview.yml",
        team.path,
        folder,
        context,
        {"preview": given.get("secrets", {"NEON_API_KEY": key})},
        assumed={"comment": "success"},
        variables={"NEON_API_URL": team.emulator.environment["NEON_API_URL"]},
    )
    jobs = run.run()
    for ran in jobs.values():
        assert not SECRET.search(ran.text), ran.text
        assert key not in ran.text
        for password in team.passwords():
            assert password not in ran.text
    return jobs


def results(jobs: dict[str, Ran]) -> list[str]:
    return [jobs[name].result for name in ("fork", "preview", "comment")]


def say(job: Job, text: str, comments: list[dict[str, Any]]) -> None:
    """What comment.yml makes of the pull request's comments."""
    job.values["inputs.text"] = text
    job.there(*comments)
    (comment,) = job.steps("comment.yml", "comment")
    assert job.run(comment).returncode == 0
    asked = job.asked[-1]
    if "POST" in asked["words"]:
        comments.append({"id": len(comments) + 1, "user": {"login": "github-actions[bot]"}, "body": asked["body"]})
    else:
        assert asked["words"][:4] == ["api", "--silent", "--method", "PATCH"]
        number = int(asked["words"][4].rpartition("/")[2])
        comments[number - 1]["body"] = asked["body"]


def test_many_pushes_are_one_branch_and_one_comment_and_closing_ends_both(
    team: Clone, tmp_path: Path, job: Job
) -> None:
    comments: list[dict[str, Any]] = []
    branches = set()
    for number in range(PUSHES):
        team.write(ADDITION.replace("pinned", f"pinned{number}"))
        jobs = event(team, tmp_path / f"run{number}", "synchronize" if number else "opened")
        assert results(jobs) == ["skipped", "success", "success"], jobs["preview"].text
        branches.add(team.branch("preview/pr-12")["id"])
        say(job, jobs["preview"].outputs["text"], comments)
    assert team.names() == ["dev", "main", "preview/pr-12"]
    assert len(branches) == len(comments) == 1
    text = str(comments[0]["body"])
    assert text.startswith("<!-- db-pipeline: preview of pr-12 -->\n### Preview pr-12: 1 migration applied in ")
    assert "| `0900_pending` | ACCESS EXCLUSIVE | 1 | " in text
    assert f"pinned{PUSHES - 1}" in text
    assert "https://console.neon.tech/app/projects/" in text
    assert jobs["preview"].summary.strip() == text.strip()
    assert team.run(
        team.owner_url(team.branch("preview/pr-12")), f'SELECT count(pinned{PUSHES - 1}) FROM "Message"'
    ) == [(0,)]

    jobs = event(team, tmp_path / "closed", "closed")
    assert results(jobs) == ["skipped", "success", "success"], jobs["preview"].text
    assert team.names() == ["dev", "main"]
    say(job, jobs["preview"].outputs["text"], comments)
    assert [comment["body"].splitlines()[1] for comment in comments] == ["### Preview pr-12: deleted"]
    jobs = event(team, tmp_path / "closed again", "closed")
    assert jobs["preview"].result == "success"
    assert "### Preview pr-12: gone" in jobs["preview"].outputs["text"]


def test_a_migration_that_fails_is_a_comment_and_the_job_fails(team: Clone, tmp_path: Path) -> None:
    team.write("SELECT 1 / 0;")
    jobs = event(team, tmp_path / "run", "opened")
    assert results(jobs) == ["skipped", "failure", "success"]
    assert "### Preview pr-12: failed" in jobs["preview"].outputs["text"]
    assert "division by zero" in jobs["preview"].outputs["text"]


def test_none_of_the_pull_requests_code_runs_and_a_link_is_no_migration(team: Clone, tmp_path: Path) -> None:
    (team.path / "inv").write_text("#!/bin/sh\necho taken over >&2; exit 9\n")
    team.write(ADDITION)
    jobs = event(team, tmp_path / "run", "opened")
    assert jobs["preview"].result == "success", jobs["preview"].text
    assert "taken over" not in jobs["preview"].text
    (team.path / "migrations" / "0901_environ.sql").symlink_to("/proc/self/environ")
    team.commit()
    jobs = event(team, tmp_path / "link", "synchronize")
    assert jobs["preview"].result == "failure"
    assert "::error::Not a plain file: change/migrations/0901_environ.sql" in jobs["preview"].text
    assert "The preview" not in jobs["preview"].steps


def test_a_fork_and_a_repository_without_a_key_get_a_sentence_and_nothing_red(team: Clone, tmp_path: Path) -> None:
    team.write(ADDITION)
    jobs = event(team, tmp_path / "fork", "opened", head="somebody/database")
    assert results(jobs) == ["success", "skipped", "skipped"]
    assert len(jobs["fork"].summary.splitlines()) == 1
    assert results(event(team, tmp_path / "closed", "closed", head="somebody/database")) == ["skipped"] * 3
    jobs = event(team, tmp_path / "without", "opened", secrets={})
    assert results(jobs) == ["skipped", "success", "skipped"]
    assert jobs["preview"].summary == "No preview: the environment preview has no secret NEON_API_KEY.\n"
    assert results(event(team, tmp_path / "off", "opened", previews="")) == ["skipped"] * 3
    assert team.names() == ["dev", "main"]
