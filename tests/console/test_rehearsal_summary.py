"""A rehearsal as one comment on a pull request: short, with everything that is against it, and safe whatever is named how."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.console.markdown import LIMIT
from pipeline.console.rehearsal.summary import code, rehearsal_summary
from pipeline.rehearsal.values import Measured
from tests.console.rehearsals import (
    VISIT,
    accepted,
    broken,
    file,
    lock,
    not_measured,
    passed,
    quick,
    rehearsal,
    rewrite,
    statement,
)


def test_five_files_with_everything_that_can_be_against_them_take_at_most_40_lines() -> None:
    found = broken()
    assert found.compatibility
    many = replace(
        found,
        compatibility=replace(found.compatibility, troubles=found.compatibility.troubles * 30),
        not_measured=tuple(f"reason {number}" for number in range(9)),
    )
    assert len(found.pending) == 5
    text = rehearsal_summary(many)
    assert len(text.splitlines()) <= 40
    assert "and 34 more, in the report" not in text.splitlines()[0]
    assert [line for line in text.splitlines() if line.startswith("and ")] == ["and 33 more, in the report"]


def test_a_break_is_there_with_each_file_and_the_query() -> None:
    lines = rehearsal_summary(broken()).splitlines()
    assert lines[:2] == ["<!-- db-pipeline: rehearse of prod -->", "### ❌ Rehearsal on `prod`: break"]
    assert f"breaks: reads and writes of {VISIT} wait for 3.2 s, and the budget is 2 s" in lines
    assert "not measured: the traffic of production: it has no pg_stat_statements" in lines
    row = (
        f"| `0008_visit_number_bigint` | 3.2 s | reads and writes of `{VISIT}`: 3.2 s | `{VISIT}`: 9,400,000 rows |  |"
    )
    assert row in lines
    assert "| `0011_note_required` | did not come to its end | not measured | | |" in lines
    assert " WHERE note IS NULL AND kind = $1" in lines


def test_a_pass_says_how_long_anybody_waits_and_what_is_accepted() -> None:
    assert "4 migrations apply, and no table keeps others waiting for more than 138 ms" in rehearsal_summary(passed())
    text = rehearsal_summary(accepted())
    assert "### ✅ Rehearsal on `prod`: passed" in text
    assert f"accepted: 0008_visit_number_bigint: {VISIT}, reads and writes wait for 3.2 s: at night" in text
    assert "3.2 s, accepted |" in text


def test_what_was_not_measured_is_no_pass() -> None:
    text = rehearsal_summary(not_measured())
    assert "### ⚠️ Rehearsal on `prod`: not measured" in text
    assert "not measured: the schema of the measured run is not that of the deploy" in text
    assert "✅" not in text


def test_nothing_pending_is_said() -> None:
    assert "nothing is pending" in rehearsal_summary(rehearsal())


@pytest.mark.parametrize("name", ["@team", "a`b", "``", "a|b", "[x](https://example.org)", "<b>", "x\n\n# title"])
def test_a_name_stays_in_its_span_of_code(name: str) -> None:
    shown = code(name)
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    assert shown.endswith(fence)
    assert fence
    assert fence not in shown[len(fence) : -len(fence)].replace("`" * (len(fence) - 1) + " ", " ")
    assert "\n" not in shown
    assert "|" not in shown.replace("\\|", "")


def test_hundreds_of_files_fit_into_a_comment() -> None:
    files = [file(f"{number:04}_{'x' * 200}", statement(1, 1.0, lock(VISIT, "ShareLock", 0))) for number in range(900)]
    text = rehearsal_summary(rehearsal(*files))
    assert len(text.encode()) < LIMIT
    assert "| and 870 more | | | | |" in text


def test_a_break_behind_a_file_that_was_not_measured_is_told() -> None:
    found = rehearsal(quick(), rewrite())
    assert found.measured
    text = rehearsal_summary(replace(found, measured=Measured(found.measured.files[:1])))
    assert "| `0008_visit_number_bigint` | 3.2 s in the deploy itself | not measured | | |" in text
