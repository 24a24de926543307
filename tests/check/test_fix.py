"""`check --fix` writes what stops writers anew, as the generator would, and leaves what it cannot prove to its author."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.check.checking import check
from pipeline.deploy import apply
from pipeline.deploy.rolling_back import rollback
from pipeline.deploy.target import Target
from pipeline.errors import Refused
from pipeline.generate import Workbench
from pipeline.generate.fixing import FIXABLE, fix
from pipeline.migrations import read_folder
from tests.generate.conftest import differ
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.generate.fixing import Fixed

__all__ = ["differ"]

BEFORE = """\
-- Tags of a thread
CREATE TABLE "Tag" ("id" uuid PRIMARY KEY, "threadId" uuid, "label" text, "rank" integer);
GRANT SELECT, INSERT, UPDATE, DELETE ON "Tag" TO server, ai_service;
"""
BY_HAND = """\
-- Tags are found by label, and belong to a thread
-- pipeline: lock-timeout=4s

-- Both services ask for it.
CREATE INDEX "Tag_label_idx" ON "Tag" ("label");
ALTER TABLE "Tag" ADD CONSTRAINT "Tag_threadId_fkey" FOREIGN KEY ("threadId") REFERENCES "Thread" ("id") ON DELETE CASCADE;
ALTER TABLE "Tag" ADD CONSTRAINT "Tag_rank_check" CHECK ("rank" > 0);
-- A tag without a label says nothing.
ALTER TABLE "Tag" ALTER COLUMN "label" SET NOT NULL;
COMMENT ON TABLE "Tag" IS 'What people call their threads';
"""
UNDO = """\
-- Undo
COMMENT ON TABLE "Tag" IS NULL;
ALTER TABLE "Tag" ALTER COLUMN "label" DROP NOT NULL;
ALTER TABLE "Tag" DROP CONSTRAINT "Tag_rank_check", DROP CONSTRAINT "Tag_threadId_fkey";
DROP INDEX "Tag_label_idx";
"""


@pytest.fixture
def workbench(tmp_path: Path, database: DatabaseURL, differ: Path) -> Workbench:
    """A checkout with a table that is in use, and a migration written by hand that stops its writers."""
    shutil.copytree(PRODUCT / "migrations", tmp_path / "migrations")
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "differ").symlink_to(differ)
    write(tmp_path, "0101_tags", BEFORE, '-- Undo\nDROP TABLE "Tag";\n')
    write(tmp_path, "0102_labels", BY_HAND, UNDO)
    return Workbench(tmp_path, database)


def write(root: Path, id_: str, forward: str, backward: str) -> None:
    (root / "migrations" / f"{id_}.sql").write_text(forward)
    (root / "migrations" / f"{id_}.rollback.sql").write_text(backward)


def asked(workbench: Workbench) -> dict[str, set[str]]:
    """The rules that can be fixed and have a finding, by migration."""
    text = "\n".join(
        path.read_text() for path in sorted(workbench.migrations.glob("0???_*.sql")) if "rollback" not in path.name
    )
    workbench.schema.write_text(text.replace("-- transactional: false", ""))
    found: dict[str, set[str]] = {}
    for finding in check(workbench).findings:
        if finding.rule in FIXABLE | {"rollback", "malformed"}:
            id_ = finding.path.rpartition("/")[2].removesuffix(".sql").removesuffix(".rollback")
            found.setdefault(id_, set()).add(finding.rule)
    return found


def fixed(workbench: Workbench, *ids: str) -> list[Fixed]:
    return fix(workbench, ids, merged=(), applied=())


def catalog(workbench: Workbench) -> list[tuple[object, ...]]:
    with psycopg.connect(workbench.local.reveal()) as connection:
        return connection.execute(
            """SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conrelid = '"Tag"'::regclass
               UNION ALL SELECT relname, pg_get_indexdef(oid), true FROM pg_class WHERE relname LIKE 'Tag%' AND relkind = 'i'
               UNION ALL SELECT attname, attnotnull::text, true FROM pg_attribute WHERE attrelid = '"Tag"'::regclass
               UNION ALL SELECT 'comment', obj_description('"Tag"'::regclass), true ORDER BY 1, 2"""
        ).fetchall()


def test_it_builds_the_same_in_files_that_stop_nobody_and_keeps_the_authors_words(workbench: Workbench) -> None:
    assert asked(workbench)["0102_labels"] >= {
        "require-concurrent-index-creation",
        "adding-foreign-key-constraint",
        "constraint-missing-not-valid",
        "set-not-null",
    }
    apply(workbench.local, read_folder(workbench.migrations))
    wanted = catalog(workbench)
    rollback(workbench.local, read_folder(workbench.migrations), to="0101", target=Target())
    bare = catalog(workbench)

    (done,) = fixed(workbench, "0102_labels")

    assert done.written[0] == "0102_labels"
    assert len(done.written) >= 3
    first = (workbench.migrations / "0102_labels.sql").read_text()
    assert first.startswith("-- Tags are found by label, and belong to a thread\n-- pipeline: lock-timeout=4s\n")
    texts = "".join((workbench.migrations / f"{id_}.sql").read_text() for id_ in done.written)
    assert "CREATE INDEX CONCURRENTLY" in texts
    assert texts.count("NOT VALID") >= 2
    assert "COMMENT ON TABLE" in texts
    assert texts.count("-- Both services ask for it.\n") == 1
    assert texts.count("-- A tag without a label says nothing.\n") == 1
    assert not any(id_ in done.written for id_ in asked(workbench))
    apply(workbench.local, read_folder(workbench.migrations))
    assert catalog(workbench) == wanted
    rollback(workbench.local, read_folder(workbench.migrations), to="0101", target=Target())
    assert catalog(workbench) == bare


def test_what_stands_behind_it_moves_on_with_what_it_depends_on(workbench: Workbench) -> None:
    write(
        workbench.root,
        "0103_more",
        '-- More\nALTER TABLE "Tag" ADD COLUMN "a" text;\n',
        '-- Undo\nALTER TABLE "Tag" DROP COLUMN "a";\n',
    )
    write(
        workbench.root,
        "0104_last",
        '-- Last\n-- depends: 0103_more\nALTER TABLE "Tag" ADD COLUMN "b" text;\n',
        '-- Undo\nALTER TABLE "Tag" DROP COLUMN "b";\n',
    )
    (done,) = fixed(workbench, "0102_labels")
    shift = len(done.written) - 1
    moved = f"{103 + shift:04d}_more"
    assert f"-- depends: {moved}\n" in (workbench.migrations / f"{104 + shift:04d}_last.sql").read_text()
    folder = read_folder(workbench.migrations)
    assert [file.id for file in folder.files][-2:] == [moved, f"{104 + shift:04d}_last"]
    assert folder.faults == ()
    apply(workbench.local, folder)


def test_a_file_that_moves_rows_is_left_to_its_author(workbench: Workbench) -> None:
    text = BY_HAND + 'UPDATE "Tag" SET "label" = \'none\' WHERE "label" IS NULL;\n'
    write(workbench.root, "0102_labels", text, UNDO)
    (done,) = fixed(workbench, "0102_labels")
    assert done.written == ()
    assert done.why_not == "UPDATE on line 11: what moves rows is its author's"
    assert (workbench.migrations / "0102_labels.sql").read_text() == text


def test_a_statement_without_a_way_around_is_left_as_it_is(workbench: Workbench) -> None:
    text = '-- Two at once\nALTER TABLE "Tag" ADD COLUMN "a" uuid REFERENCES "Thread" ("id");\n'
    write(workbench.root, "0102_labels", text, '-- Undo\nALTER TABLE "Tag" DROP COLUMN "a";\n')
    (done,) = fixed(workbench, "0102_labels")
    assert done == type(done)("0102_labels", why_not="the generator knows no other way for it")
    assert (workbench.migrations / "0102_labels.sql").read_text() == text


def test_one_that_is_applied_here_or_behind_which_one_is_stays_until_it_is_rolled_back(workbench: Workbench) -> None:
    write(
        workbench.root,
        "0103_more",
        '-- More\nALTER TABLE "Tag" ADD COLUMN "a" text;\n',
        '-- Undo\nALTER TABLE "Tag" DROP COLUMN "a";\n',
    )
    before = {path.name: path.read_text() for path in workbench.migrations.iterdir()}
    for applied, to in (["0102_labels", "0103_more"], "0101"), (["0103_more"], "0102"):
        with pytest.raises(Refused, match="applied to the local database") as refused:
            fix(workbench, ["0102_labels"], merged=(), applied=applied)
        assert f"--to {to}`" in refused.value.remedy
    assert {path.name: path.read_text() for path in workbench.migrations.iterdir()} == before


def test_a_merged_file_is_not_touched(workbench: Workbench) -> None:
    before = {path.name: path.read_text() for path in workbench.migrations.iterdir()}
    assert fix(workbench, ["0102_labels"], merged=["0102_labels"], applied=()) == []
    assert {path.name: path.read_text() for path in workbench.migrations.iterdir()} == before


def test_of_several_each_is_told_by_the_numbers_that_its_files_end_with(workbench: Workbench) -> None:
    index = '-- Ranks\nCREATE INDEX "Tag_rank_idx" ON "Tag" ("rank");\nALTER TABLE "Tag" ADD COLUMN "a" text;\n'
    back = '-- Undo\nALTER TABLE "Tag" DROP COLUMN "a";\nDROP INDEX "Tag_rank_idx";\n'
    write(workbench.root, "0103_ranks", index, back)
    first, second = fixed(workbench, "0102_labels", "0103_ranks")
    assert (first.id, second.id) == ("0102_labels", "0103_ranks")
    ids = [file.id for file in read_folder(workbench.migrations).files]
    assert tuple(ids[-len(second.written) :]) == second.written
    assert tuple(ids[-len(second.written) - len(first.written) : -len(second.written)]) == first.written
