"""A pull request's migrations, rehearsed on copies of production by the code of the branch that it goes to."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.workflows.conftest import ADDITION

if TYPE_CHECKING:
    from tests.workflows.conftest import Team
    from tests.workflows.runner import Ran

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="jq, which gh has built in, is not on PATH")


def proposed(team: Team, *, head: str = "team/database") -> dict[str, Ran]:
    """Run the workflow for what stands on the branch `change`, which is to go to main."""
    base, change = (team.repository.git("rev-parse", name).strip() for name in ("main", "change"))
    team.repository.git("checkout", "-q", "main")
    return team.run(
        "rehearse.yml",
        "pull_request_target",
        context={
            "github.event.pull_request.number": "12",
            "github.event.pull_request.base.sha": base,
            "github.event.pull_request.head.sha": change,
            "github.event.pull_request.head.repo.full_name": head,
        },
        assumed={"comment": "success"},
    )


@pytest.fixture
def change(team: Team) -> Team:
    team.repository.git("checkout", "-q", "-b", "change")
    return team


def test_the_verdict_is_the_comment_and_the_summary_with_the_page_behind_a_link(change: Team) -> None:
    change.write("0900_pinned", ADDITION)
    jobs = proposed(change)
    assert {name: job.result for name, job in jobs.items()} == {
        "fork": "skipped",
        "rehearse": "success",
        "comment": "success",
    }, jobs["rehearse"].text
    text = jobs["rehearse"].outputs["text"]
    assert text.startswith("<!-- db-pipeline: rehearse of prod -->\n### ✅ Rehearsal on `prod`: passed")
    assert "| `0900_pinned` |" in text
    assert text.endswith("(https://github.com/team/database/actions/runs/7/artifacts/rehearsal-report)")
    assert jobs["rehearse"].summary.strip() == text
    assert "<svg" in (change.runs[0].artifacts / "rehearsal-report" / "report.html").read_text()
    assert change.branches() == ["main"]
    assert change.secrets["prod-rehearsal"]["NEON_API_KEY"] not in jobs["rehearse"].text


def test_a_break_is_a_comment_and_the_job_fails(change: Team) -> None:
    change.write("0900_breaks", 'ALTER TABLE "Message" ADD COLUMN pinned boolean; SELECT 1 / 0;')
    jobs = proposed(change)
    assert jobs["rehearse"].result == "failure"
    assert "### ❌ Rehearsal on `prod`: break" in jobs["rehearse"].outputs["text"]
    assert jobs["comment"].result == "success"


def test_none_of_its_code_runs(change: Team) -> None:
    inv = change.repository.root / "inv"
    inv.write_text("#!/bin/sh\necho taken over >&2; exit 9\n")
    change.write("0900_pinned", ADDITION)
    jobs = proposed(change)
    assert jobs["rehearse"].result == "success", jobs["rehearse"].text
    assert "taken over" not in jobs["rehearse"].text


def test_a_link_to_a_file_of_the_runner_is_no_migration(change: Team) -> None:
    (change.repository.migrations / "0900_environ.sql").symlink_to("/proc/self/environ")
    change.repository.commit()
    jobs = proposed(change)
    assert jobs["rehearse"].result == "failure"
    assert re.search(r"::error::Not a plain file: 120000 .*migrations/0900_environ.sql", jobs["rehearse"].text)
    assert "The rehearsal" not in jobs["rehearse"].steps


def test_what_main_got_meanwhile_is_rehearsed_with_it_and_a_conflict_is_said(change: Team) -> None:
    change.write("0901_pinned", ADDITION)
    change.repository.git("checkout", "-q", "main")
    change.write("0900_meanwhile", "CREATE TABLE meanwhile (id int);")
    text = proposed(change)["rehearse"].outputs["text"]
    assert [name for name in ("0900_meanwhile", "0901_pinned") if f"| `{name}` |" in text] == [
        "0900_meanwhile",
        "0901_pinned",
    ]
    change.write("0901_pinned", "SELECT 1;")
    jobs = proposed(change)
    assert jobs["rehearse"].result == "failure"
    assert "::error::It cannot be merged as it is." in jobs["rehearse"].text
    assert "The rehearsal" not in jobs["rehearse"].steps


def test_a_forks_change_is_not_rehearsed_which_is_said_and_not_red(change: Team) -> None:
    change.write("0900_pinned", ADDITION)
    jobs = proposed(change, head="somebody/database")
    assert {name: job.result for name, job in jobs.items()} == {
        "fork": "success",
        "rehearse": "skipped",
        "comment": "skipped",
    }
    assert len(jobs["fork"].summary.splitlines()) == 1


def test_without_a_key_nothing_is_rehearsed_which_is_said_and_not_red(change: Team) -> None:
    change.write("0900_pinned", ADDITION)
    change.secrets["prod-rehearsal"] = {}
    jobs = proposed(change)
    assert (jobs["rehearse"].result, jobs["comment"].result) == ("success", "skipped")
    assert jobs["rehearse"].summary == "Not rehearsed: the environment prod-rehearsal has no secret NEON_API_KEY.\n"
