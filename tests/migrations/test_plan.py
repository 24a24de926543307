from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import ConfigurationError, InvalidPlan
from pipeline.migrations import read_folder
from pipeline.migrations.plan import Applied, make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.folders import FolderBuilder


def applied(*files: tuple[str, str]) -> dict[str, Applied]:
    return {id_: Applied(id_, checksum=hashlib.sha256(text.encode()).hexdigest()) for id_, text in files}


def test_what_is_not_applied_is_pending_in_the_order_of_its_numbers(folder: FolderBuilder) -> None:
    folder.write("0002_b", "SELECT 2;").write("0001_a", "SELECT 1;").write("0003_c", "SELECT 3;")
    plan = make_plan(folder.read(), applied(("0001_a", "SELECT 1;")))
    assert [file.id for file in plan.pending] == ["0002_b", "0003_c"]
    assert plan.faults == ()


def test_an_edited_file_is_a_fault_with_its_remedy(folder: FolderBuilder) -> None:
    folder.write("0001_a", "SELECT 11;")
    plan = make_plan(folder.read(), applied(("0001_a", "SELECT 1;")))
    assert plan.edited == ("0001_a",)
    assert "edited after it was applied" in plan.faults[0].message
    assert "new migration" in plan.faults[0].remedy


def test_line_endings_do_not_count_as_an_edit(folder: FolderBuilder) -> None:
    folder.write("0001_a", b"SELECT 1,\r\n 2;\r\n")
    assert make_plan(folder.read(), applied(("0001_a", "SELECT 1,\n 2;\n"))).faults == ()


def test_what_stock_yoyo_applied_has_no_checksum_and_is_not_called_edited(folder: FolderBuilder) -> None:
    folder.write("0001_a", "SELECT 1;")
    assert make_plan(folder.read(), {"0001_a": Applied("0001_a")}).faults == ()


def test_a_missing_file_is_a_fault(folder: FolderBuilder) -> None:
    folder.write("0002_b", "SELECT 2;")
    plan = make_plan(folder.read(), applied(("0001_a", "SELECT 1;")))
    assert plan.missing == ("0001_a",)
    assert plan.faults[0].where.endswith("0001_a.sql")


def test_a_late_file_with_an_early_number_is_a_fault(folder: FolderBuilder) -> None:
    folder.write("0001_a", "SELECT 1;").write("0002_b", "SELECT 2;").write("0003_c", "SELECT 3;")
    plan = make_plan(folder.read(), applied(("0001_a", "SELECT 1;"), ("0003_c", "SELECT 3;")))
    assert plan.out_of_order == ("0002_b",)
    assert "above 0003" in plan.faults[0].remedy


def test_a_fault_in_the_text_of_an_applied_file_does_not_stop_a_deploy(folder: FolderBuilder) -> None:
    folder.write("0001_a", "COMMIT;")
    assert make_plan(folder.read(), applied(("0001_a", "COMMIT;"))).faults == ()


def test_directives_are_read_from_the_comment_at_the_top(folder: FolderBuilder) -> None:
    folder.write(
        "0001_a",
        "-- Give messages a pin\n-- pipeline: lock-timeout=5s statement-timeout=2min\n-- pipeline: lock-timeout=6s\nSELECT 1;",
    )
    script = folder.read().files[0].forward
    assert script.title == "Give messages a pin"
    assert script.settings == {"lock-timeout": "6s", "statement-timeout": "2min"}
    assert script.transactional


def test_a_file_accepts_a_lock_with_a_reason(folder: FolderBuilder) -> None:
    folder.write(
        "0001_a",
        "-- pipeline: lock-timeout=5s accept=exclusive-lock (nobody accepts=it yet) statement-timeout=1h\nSELECT 1;",
    )
    script = folder.read().files[0].forward
    assert script.accepted == {"exclusive-lock": "nobody accepts=it yet"}
    assert script.settings == {"lock-timeout": "5s", "statement-timeout": "1h"}


@pytest.mark.parametrize(
    ("sql", "kind", "name", "table"),
    [
        ('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "I x" ON ONLY a."T" (b)', "create index", 'a."I x"', 'a."T"'),
        ("DROP INDEX CONCURRENTLY IF EXISTS a.i", "drop index", "a.i", ""),
        ("REINDEX INDEX CONCURRENTLY i", "reindex index", "i", ""),
        ("REINDEX (VERBOSE, CONCURRENTLY) TABLE t", "reindex table", "t", ""),
        ("VACUUM (ANALYZE) t", "vacuum", "", ""),
    ],
)
def test_a_statement_outside_a_transaction_is_read_closely(
    folder: FolderBuilder, sql: str, kind: str, name: str, table: str
) -> None:
    folder.write("0001_a", f"-- transactional: false\n{sql};\n")
    concurrent = folder.read().files[0].forward.concurrent
    assert concurrent is not None
    assert (concurrent.kind, concurrent.name, concurrent.table, concurrent.sql) == (kind, name, table, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "REINDEX (CONCURRENTLY true, TABLESPACE (x)) TABLE t",
        "REINDEX (CONCURRENTLY, VERBOSE (true)) INDEX i",
        "CLUSTER (VERBOSE (true)) t",
    ],
)
def test_an_option_in_parentheses_of_its_own_is_refused_before_it_runs(folder: FolderBuilder, sql: str) -> None:
    (fault,) = make_plan(folder.write("0001_a", f"-- transactional: false\n{sql};\n").read(), {}).faults
    assert isinstance(fault, InvalidPlan)
    assert fault.exit_code == 4
    assert fault.remedy


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the migrations folder") as caught:
        read_folder(tmp_path / "nowhere")
    assert caught.value.exit_code == 2
