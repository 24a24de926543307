"""The benchmark runs, and counts what the runner promises. How long things take is nothing for a test."""

from __future__ import annotations

import pytest

from benchmarks.bench import Limits, Row, choose, measure
from benchmarks.cases import CASES
from benchmarks.table import document, table
from benchmarks.tools import found
from pipeline.errors import UsageError


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return measure(["1"], limits=Limits(repeat=1))


def test_one_migration_takes_eight_waits_over_one_connection(rows: list[Row]) -> None:
    for row in rows:
        traffic = row.tools["inv"].traffic
        assert traffic is not None
        assert (traffic.waits, traffic.connections) == (8, 1)


def test_the_slow_link_takes_its_time_for_each_wait(rows: list[Row]) -> None:
    _, slow = rows
    for tool in slow.tools.values():
        assert tool.traffic is not None
        assert tool.fastest >= slow.round_trip * tool.traffic.waits


def test_the_table_has_a_line_for_each_case_and_link(rows: list[Row]) -> None:
    _, near, slow, *_ = table(rows).splitlines()
    assert near.split()[:2] == ["1", "loopback"]
    assert slow.split()[:3] == ["1", "20", "ms"]


def test_the_document_has_every_run(rows: list[Row]) -> None:
    tools = [tool for row in document(rows)["rows"] for tool in row["tools"]]
    assert [tool["name"] for tool in tools] == [*found()] * 2
    assert all(len(tool["wall"]) == len(tool["cpu"]) == 1 for tool in tools)


def test_cases_are_chosen_by_name_and_run_in_the_order_in_which_they_build_on_each_other() -> None:
    assert [case.name for case in choose(["nothing", "1"])] == ["1", "nothing"]
    assert choose([]) == list(CASES)
    with pytest.raises(UsageError, match="no case is named 2"):
        choose(["2"])
