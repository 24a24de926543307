"""Ignore comments, places, squawk beside our rules, and the three ways to report."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.lint import Source, as_annotations, as_json, as_text, lint, read_sources
from pipeline.lint.squawk import HELP
from pipeline.migrations import read_folder
from tests.lint.sources import migration

REPOSITORY = Path(__file__).parents[2]


def rules(source: Source) -> list[str]:
    return [finding.rule for finding in lint([source], with_squawk=False)]


def test_an_ignore_with_a_reason_silences_the_statement_below_it() -> None:
    text = "-- Title\n\nSELECT 1;\n\n-- lint: ignore unlogged-table (a cache)\nCREATE UNLOGGED TABLE t (a int);\n"
    granted = text + "GRANT SELECT ON t TO server;\n"
    assert rules(migration(granted)) == []


def test_an_ignore_covers_its_own_statement_only() -> None:
    text = "-- lint: ignore alter-system (a)\nALTER SYSTEM RESET ALL;\nALTER SYSTEM RESET ALL;\n"
    assert [(f.rule, f.line) for f in lint([migration(text)], with_squawk=False)] == [("alter-system", 3)]


def test_an_ignore_at_the_end_of_the_line_counts() -> None:
    assert rules(migration("ALTER SYSTEM RESET ALL; -- lint: ignore alter-system (why)\n")) == []


def test_an_ignore_without_a_reason_is_a_finding_and_silences_nothing() -> None:
    for comment in ("-- lint: ignore alter-system", "-- lint: ignore alter-system ()", "-- lint: ignore (why)"):
        assert rules(migration(f"{comment}\nALTER SYSTEM RESET ALL;\n")) == ["ignore-without-reason", "alter-system"]


def test_an_ignore_of_an_unknown_rule_and_of_nothing_are_findings() -> None:
    text = "-- lint: ignore no-such-rule (why)\n-- lint: ignore tablespace (why)\nSELECT 1;\n"
    assert rules(migration(text)) == ["unknown-ignore", "unused-ignore"]


def test_a_missing_rollback_is_ignored_in_the_head_of_the_file() -> None:
    text = "-- Title\n-- lint: ignore missing-rollback (rows cannot be brought back)\n\nSELECT 1;\n"
    assert rules(migration(text, rollback=False)) == []


def test_a_quote_that_does_not_close_is_one_finding() -> None:
    (finding,) = lint([migration("SELECT 1;\nSELECT 'x;\n")], with_squawk=False)
    assert (finding.rule, finding.line) == ("syntax", 2)


def test_squawk_speaks_beside_our_rules(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("-- A\n\nCREATE INDEX i ON t (a);\n")
    (tmp_path / "0001_a.rollback.sql").write_text("-- Undo\n\nDROP INDEX i;\n")
    findings = lint(read_sources(read_folder(tmp_path).files))
    assert [(finding.rule, finding.line) for finding in findings] == [("require-concurrent-index-creation", 3)]


def test_squawk_is_silenced_by_the_same_comment(tmp_path: Path) -> None:
    text = "-- A\n\n-- lint: ignore require-concurrent-index-creation (ten rows)\nCREATE INDEX i ON t (a);\n"
    (tmp_path / "0001_a.sql").write_text(text)
    (tmp_path / "0001_a.rollback.sql").write_text("-- Undo\n\nDROP INDEX i;\n")
    assert lint(read_sources(read_folder(tmp_path).files)) == []


def test_the_migrations_of_this_repository_are_clean() -> None:
    findings = lint(read_sources(read_folder(REPOSITORY / "migrations").files))
    assert as_text(findings) == ""


def test_text_names_place_rule_and_help() -> None:
    text = as_text(lint([migration("-- T\nALTER SYSTEM RESET ALL;\n")], with_squawk=False))
    assert text.startswith("migrations/0005_change.sql:2:1: alter-system: ")
    assert text.count("\n    ") == 1


def test_json_is_one_document() -> None:
    document = json.loads(as_json(lint([migration("ALTER SYSTEM RESET ALL;")], with_squawk=False)))
    assert document["version"] == 1
    assert document["findings"][0]["rule"] == "alter-system"
    assert set(document["findings"][0]) == {
        "path",
        "line",
        "column",
        "end_line",
        "end_column",
        "rule",
        "message",
        "help",
    }


def test_an_annotation_is_one_line_with_its_escapes() -> None:
    annotation = as_annotations(lint([migration("ALTER SYSTEM RESET ALL;")], with_squawk=False))
    assert annotation.startswith("::error file=migrations/0005_change.sql,line=1,endLine=1,title=alter-system,col=1,")
    assert "%0A" in annotation
    assert "\n" not in annotation


def test_an_ignore_that_a_file_alone_would_need_is_of_use_in_every_deploy(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("-- A\n\nCREATE TABLE t (a int);\nGRANT SELECT ON t TO server;\n")
    text = "-- B\n\n-- lint: ignore require-concurrent-index-creation (ten rows)\nCREATE INDEX i ON t (a);\n"
    (tmp_path / "0002_b.sql").write_text(text)
    for number in ("0001_a", "0002_b"):
        (tmp_path / f"{number}.rollback.sql").write_text("-- Undo\n\nSELECT 1;\n")
    files = read_folder(tmp_path).files
    for deploys in ({}, {"0001_a": 1, "0002_b": 1}):
        assert lint(read_sources(files, deploys)) == []


def test_an_ignore_of_a_rule_by_its_former_name_counts() -> None:
    text = "-- lint: ignore changing-column-type (ten rows)\nALTER TABLE t ALTER a TYPE bigint;\n"
    assert rules(migration(text)) == []


def test_squawk_reads_what_a_do_block_runs_and_leaves_new_tables_alone(tmp_path: Path) -> None:
    text = "-- A\n\nDO $$\nBEGIN\n    ALTER TABLE t RENAME COLUMN a TO b;\n    EXECUTE 'ALTER TABLE t DROP COLUMN c';\nEND\n$$;\n"
    new = "CREATE TABLE n (a int);\nGRANT SELECT ON n TO server;\nALTER TABLE public.n RENAME COLUMN a TO b;\n"
    (tmp_path / "0001_a.sql").write_text(text + new)
    (tmp_path / "0001_a.rollback.sql").write_text("-- Undo\n\nSELECT 1;\n")
    findings = lint(read_sources(read_folder(tmp_path).files))
    assert [(finding.rule, finding.line) for finding in findings] == [("renaming-column", 5), ("ban-drop-column", 6)]


def test_every_finding_has_a_help_of_its_own() -> None:
    assert [rule for rule, help_ in HELP.items() if not help_ or help_ == "See its page."] == []


def test_a_lock_timeout_of_none_or_of_minutes_is_found_in_the_head() -> None:
    for value, found in (("0s", ["lock-timeout"]), ("2min", ["lock-timeout"]), ("5s", [])):
        assert rules(migration(f"-- A\n-- pipeline: lock-timeout={value}\n\nSELECT 1;\n")) == found
