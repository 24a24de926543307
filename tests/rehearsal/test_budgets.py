"""The verdict on what was measured."""

from __future__ import annotations

import pytest

from pipeline.rehearsal.budgets import Budgets, judge
from pipeline.rehearsal.values import FileMeasurement, LockHold, Rewrite, StatementMeasurement, blocked_by

USER = 'public."User"'


def lock(held: float, mode: str = "AccessExclusiveLock", table: str = USER, *, is_new: bool = False) -> LockHold:
    return LockHold(table, "table", table, mode, () if is_new else blocked_by(mode), held, is_new)


def rewrite(rows: int, *, kind: str = "table", is_new: bool = False) -> Rewrite:
    return Rewrite(USER, kind, rows, is_new)


def file(id_: str, *found: LockHold | Rewrite, accepted: str = "") -> FileMeasurement:
    statements = tuple(
        StatementMeasurement(
            line,
            1.0,
            0,
            locks=(each,) if isinstance(each, LockHold) else (),
            rewrote=(each,) if isinstance(each, Rewrite) else (),
        )
        for line, each in enumerate(found, start=1)
    )
    return FileMeasurement(id_, f"{id_}.sql", "", statements, accepted=accepted)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param([file("1", lock(2000.0))], id="just as long as it may be"),
        pytest.param([file("1", lock(5000.0, "ShareUpdateExclusiveLock"))], id="a lock that nobody waits for"),
        pytest.param([file("1", lock(5000.0, "RowExclusiveLock"))], id="rows that are written"),
        pytest.param([file("1", lock(5000.0, is_new=True), rewrite(10**6, is_new=True))], id="a table of its own"),
        pytest.param(
            [file("1", lock(1500.0), lock(1400.0, "ShareLock"))], id="two locks of a table in one transaction"
        ),
        pytest.param([file("1", lock(1500.0)), file("2", lock(1500.0, table="b"))], id="two tables"),
        pytest.param([file("1", rewrite(100_000))], id="just as many rows as may be"),
        pytest.param([file("1", rewrite(10**6, kind="index"))], id="an index"),
    ],
)
def test_within_the_budgets(files: list[FileMeasurement]) -> None:
    verdict = judge(files)
    assert verdict.passed
    assert verdict.excesses == ()


@pytest.mark.parametrize(
    ("files", "what", "cost", "blocks"),
    [
        ([file("1", lock(2000.1))], "blocked", 2000.1, ("reads", "writes")),
        ([file("1", lock(2500.0, "ShareLock"))], "blocked", 2500, ("writes",)),
        ([file(str(each), lock(300.0, "ShareRowExclusiveLock")) for each in range(7)], "blocked", 2100, ("writes",)),
        ([file("1", lock(1500.0, "ShareLock")), file("2", lock(600.0))], "blocked", 2100, ("reads", "writes")),
        ([file("1", rewrite(100_001))], "rewritten", 100_001, ()),
        ([file("1", rewrite(40_000), rewrite(40_000)), file("2", rewrite(40_000))], "rewritten", 120_000, ()),
    ],
)
def test_over_a_budget(files: list[FileMeasurement], what: str, cost: float, blocks: tuple[str, ...]) -> None:
    [excess] = judge(files).breaks
    assert (excess.what, excess.table, excess.cost, excess.blocks) == (what, USER, cost, blocks)
    assert [share.id for share in excess.shares] == [each.id for each in files]
    assert excess.shares[0].line == 1


def test_what_a_file_accepts_breaks_nothing_and_is_shown_with_its_reason() -> None:
    verdict = judge([file("1", lock(9000.0), rewrite(10**6), accepted="nobody is awake"), file("2", lock(1000.0))])
    assert verdict.passed
    assert [(each.what, each.cost, each.unaccepted) for each in verdict.accepted] == [
        ("blocked", 10_000, 1000),
        ("rewritten", 10**6, 0),
    ]
    assert [share.accepted for share in verdict.accepted[0].shares] == ["nobody is awake", ""]


def test_one_file_does_not_accept_for_another() -> None:
    verdict = judge([file("1", lock(9000.0), accepted="nobody is awake"), file("2", lock(2001.0))])
    assert [(each.cost, each.unaccepted) for each in verdict.breaks] == [(11_001, 2001)]


def test_the_worst_of_a_budget_comes_first_and_budgets_may_be_others() -> None:
    files = [file("1", lock(30.0, table="a"), lock(40.0, table="b"), rewrite(11))]
    found = judge(files, Budgets(blocked=20, rewritten=10)).breaks
    assert [(each.what, each.table) for each in found] == [("blocked", "b"), ("blocked", "a"), ("rewritten", USER)]


def test_an_index_keeps_its_tables_readers_waiting() -> None:
    hold = LockHold("public.i", "index", USER, "AccessExclusiveLock", ("reads", "writes"), 3000.0)
    [excess] = judge([file("1", hold)]).breaks
    assert excess.table == USER
