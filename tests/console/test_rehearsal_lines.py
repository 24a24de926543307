"""What `rehearse` prints: the verdict in the first line, and what each statement did; as lines and as a document."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import jsonschema
import pytest

from pipeline.console.rehearsal import size, span, verdict_line
from pipeline.console.rehearsal.document import rehearsal_document
from pipeline.console.rehearsal.effects import backfill_text
from pipeline.console.rehearsal.lines import show_rehearsal
from pipeline.console.rehearsal.waiting import shut_in, waits_by_table
from pipeline.rehearsal.sampling import Sample
from pipeline.rehearsal.values import Measured
from tests.console.rehearsals import (
    PERSON,
    PET,
    VISIT,
    accepted,
    backfill,
    broken,
    concurrent,
    drop_concurrently,
    file,
    lock,
    not_measured,
    passed,
    quick,
    rehearsal,
    rewrite,
    statement,
)
from tests.docs.test_reference import fields_of
from verbs.reference import described, json_schema

if TYPE_CHECKING:
    from pipeline.rehearsal.result import Rehearsal

STOP = (
    "migrations/0011_note_required.sql:6 stops the deploy with not_null_violation (23502): "
    f"17 rows of {PERSON} have no value (column note)"
)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (rehearsal(), "passed: nothing is pending"),
        (rehearsal(file("1", statement(1, 2.0))), "passed: 1 migration applies, and nobody waits"),
        (passed(), "passed: 4 migrations apply, and no table keeps others waiting for more than 138 ms"),
        (
            accepted(),
            f"passed: 2 migrations apply; reads and writes of {VISIT} wait for 3.2 s, and the budget is 2 s, which is accepted",
        ),
        (
            rehearsal(rewrite()),
            f"break: reads and writes of {VISIT} wait for 3.2 s, and the budget is 2 s (and 1 more)",
        ),
        (broken(), f"break: {STOP} (and 4 more)"),
        (
            not_measured(),
            "not measured: the schema of the measured run is not that of the deploy, so that its numbers say nothing",
        ),
    ],
)
def test_the_first_line_says_how_it_ended_and_why(
    found: Rehearsal, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_rehearsal(found)
    assert capsys.readouterr().out.splitlines()[0] == line == verdict_line(found)


def test_every_statement_is_there_with_who_waits_what_is_rewritten_and_its_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_rehearsal(broken())
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"{PET}: 47,210 rows updated" in lines
    assert f"table {VISIT} is written anew (9,400,000 rows)" in lines
    assert (
        f"line 4         3.1 s    reads and writes of {VISIT} wait for 3.2 s (AccessExclusiveLock; about 9,400,000 rows, 2.7 GiB)"
        in lines
    )
    assert (
        f"line 44       2.0 ms    reads and writes of {PET} wait for 3.6 ms (AccessExclusiveLock; 48,000 rows, 8.7 MiB)"
        in lines
    )
    assert "line 5        0.6 ms    nobody waits for it" in lines  # of a table of its own
    assert "WHERE note IS NULL AND kind = $1" in lines
    assert "migrations/0011_note_required.sql: did not come to its end; not measured" in lines
    assert "the traffic of production: it has no pg_stat_statements" in lines


def test_what_a_file_accepts_is_shown_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    show_rehearsal(accepted())
    told = f"  0008_visit_number_bigint: {VISIT}, reads and writes wait for 3.2 s: at night, when nobody visits"
    assert told in capsys.readouterr().out.splitlines()


def test_a_name_cannot_begin_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    strange = 'public."a\npassed: \x1b[2J"'
    show_rehearsal(rehearsal(file("1", replace(statement(1, 9.0), locks=(lock(strange, "ShareLock", 0.0),)))))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line for line in out.splitlines() if line.startswith("passed")] == [out.splitlines()[0]]


def test_a_table_is_shut_from_its_first_lock_to_the_end_of_commit() -> None:
    shut = shut_in(backfill())
    begins = {(each.table, each.what): each.begin for each in shut}
    assert begins == {(PET, "writes"): 842, (PERSON, "writes"): 842, (PET, "reads"): 938}
    assert [each.end for each in shut] == pytest.approx([842 + 96 + 2 + 0.4 + 1.2] * 3)
    [reads, writes] = shut_in(drop_concurrently())
    assert (reads.milliseconds, reads.is_exact, writes.what) == (38, False, "writes")
    assert shut_in(concurrent()) == []


def test_the_waits_of_all_files_are_summed_as_the_budgets_do_it() -> None:
    files = (quick(), backfill(), rewrite(), drop_concurrently())
    [(table, reads, writes), *others] = waits_by_table(files)
    assert table == VISIT
    assert reads == writes == pytest.approx(3160.4)
    found = rehearsal(*files)
    assert found.verdict
    assert found.verdict.excesses[0].cost == pytest.approx(writes)
    assert [each[0] for each in others] == [PET, PERSON]


@pytest.mark.parametrize("found", [passed(), broken(), accepted(), not_measured(), rehearsal()])
def test_the_document_has_its_published_schema(found: Rehearsal) -> None:
    document = rehearsal_document(found)
    printed = json.loads(json.dumps(asdict(document)))
    jsonschema.validate(printed, json_schema(type(document)), cls=jsonschema.Draft202012Validator)
    assert printed["result"] == found.result.value
    assert [each["id"] for each in printed["files"]] == [each.id for each in found.pending]


def test_the_document_has_the_fields_that_are_described_and_no_others() -> None:
    printed = json.loads(json.dumps(asdict(rehearsal_document(broken()))))
    assert set(fields_of(printed)) == {path for path, _ in described(type(rehearsal_document(broken())))}


def test_the_document_has_every_lock_and_the_rows_that_stop() -> None:
    document = rehearsal_document(broken())
    locks = [lock for file in document.files for each in file.statements for lock in each.locks]
    assert [lock.is_new for lock in locks] == [False, True, *([False] * 6)]
    [stop] = document.stops
    assert (stop.line, stop.rule, stop.rows, stop.column) == (6, "not null", 17, "note")
    assert [(each.what, each.is_break) for each in document.over_budget] == [("blocked", True), ("rewritten", True)]
    assert document.schema_after is None
    assert document.files[-1].deploy_milliseconds is document.files[-1].milliseconds is None
    assert not rehearsal_document(replace(broken(), measured=Measured(()))).files[0].statements


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [(0.04, "0.0 ms"), (9.94, "9.9 ms"), (9.96, "10 ms"), (1999.6, "2 s"), (61_000, "1 min 1 s")],
)
def test_a_short_time_has_a_decimal(milliseconds: float, told: str) -> None:
    assert span(milliseconds) == told


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (361_000_000, "344 MiB"), (2**41, "2.0 TiB")],
)
def test_a_size_is_in_a_unit_that_reads_well(number: int, told: str) -> None:
    assert size(number) == told


def test_what_a_backfill_will_take_is_told_by_its_sample() -> None:
    sample = Sample(3_000_000, 20, 20_000, 20_000, 2000.0, 4_000_000)
    assert backfill_text(sample) == (
        "all batches: about 5 min 0 s at 10,000 rows a second without its pauses, and 572 MiB of WAL "
        "(by 20 of them, over about 3,000,000 rows)"
    )
    assert sample.hours == 300 / 3600
    assert backfill_text(Sample(0, 1, 0, 0, 0.1, 0)) == "all batches: nothing, there are no rows"
