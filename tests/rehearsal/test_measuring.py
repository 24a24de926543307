"""What is measured of a file, against what an independent session sees, and against what the deploy's own run leaves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.migrations import read_folder
from pipeline.postgres.lock import APPLICATION
from pipeline.rehearsal.budgets import judge
from pipeline.rehearsal.measuring import measure
from tests.rehearsal.production import CANARY, MESSAGES, THREADS, Onlooker, fingerprint, rows
from tests.support.until import until

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.rehearsal.production import Copies

MESSAGE, THREAD = 'public."Message"', 'public."Thread"'

# A change, and what of it an onlooker cannot tell: which relations are rewritten, and what waits for which table.
CHANGES: dict[str, tuple[str, set[str], dict[str, tuple[str, ...]]]] = {
    "an index": ('CREATE INDEX "Message_role_idx" ON "Message" (role);', set(), {MESSAGE: ("writes",)}),
    "a rewrite": (
        'ALTER TABLE "Message" ADD COLUMN part uuid NOT NULL DEFAULT gen_random_uuid();',
        {MESSAGE},
        {MESSAGE: ("reads", "writes")},
    ),
    "a NOT NULL": ('ALTER TABLE "Thread" ALTER model SET NOT NULL;', set(), {THREAD: ("reads", "writes")}),
    "a foreign key": (
        'ALTER TABLE "Message" ADD CONSTRAINT again FOREIGN KEY ("threadId") REFERENCES "Thread" (id);',
        set(),
        {MESSAGE: ("writes",), THREAD: ("writes",)},
    ),
    "a backfill": ("UPDATE \"Message\" SET name = 'nobody' WHERE name IS NULL OR id IS NULL;", set(), {}),
    "a drop": ('DROP TABLE "Message";', set(), {MESSAGE: ("reads", "writes"), THREAD: ("reads", "writes")}),
}


def changed_rows(database: DatabaseURL, sql: str) -> dict[str, tuple[int, int, int]]:
    """What pg_stat_xact_user_tables says in a session that runs the file by itself, and takes it back."""
    with psycopg.connect(database.reveal()) as connection:
        connection.execute(sql.encode())
        found: list[tuple[Any, ...]] = connection.execute(
            "SELECT format('%I.%I', schemaname, relname), n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_xact_user_tables "
            "WHERE n_tup_ins + n_tup_upd + n_tup_del > 0"
        ).fetchall()
        connection.rollback()
    return {str(name): (int(one), int(two), int(three)) for name, one, two, three in found}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_measured_as_an_independent_session_sees_it(copies: Copies, change: str) -> None:
    sql, rewritten, blocked = CHANGES[change]
    folder, copy, twin = copies.folder(sql), copies.copy(), copies.copy()
    onlooker = Onlooker(copy)

    [file] = measure(copy, folder, listener=onlooker).files

    [(statement, seen)] = onlooker.seen
    assert {(lock.relation, lock.mode) for lock in statement.locks if not lock.is_new} == seen
    mine = {each.table: (each.inserted, each.updated, each.deleted) for each in statement.changed}
    assert mine == changed_rows(twin, sql)
    assert {each.relation: each.rows for each in statement.rewrote if each.kind == "table"} == dict.fromkeys(
        rewritten, MESSAGES
    )
    waiting = {lock.table: set(lock.blocks) for lock in statement.locks if lock.blocks}
    assert {table: waits >= set(blocked[table]) for table, waits in waiting.items()} == dict.fromkeys(blocked, True)
    sizes = {each.table: each for each in statement.tables}
    assert MESSAGE in sizes or THREAD in sizes
    for table, exact in ((MESSAGE, MESSAGES), (THREAD, THREADS)):
        if table in sizes:
            assert sizes[table].rows == pytest.approx(exact, rel=0.1)
            assert sizes[table].bytes == rows(copies.production, f"SELECT pg_total_relation_size('{table}')")[0][0]
    assert statement.wal_bytes > 0
    assert file.id == "0900_pending"

    apply(twin, folder)
    assert fingerprint(copy) == fingerprint(twin)
    picture = (
        "SELECT migration_id, operation, split_part(comment, ' ', 1) FROM migration_history._yoyo_log ORDER BY 1, 2, 3"
    )
    assert rows(copy, picture) == rows(twin, picture)


def test_a_lock_is_held_from_its_statement_to_the_end_of_the_commit(copies: Copies) -> None:
    text = 'CREATE TABLE made (id int);\nALTER TABLE "Thread" ADD COLUMN a int;\nUPDATE "Message" SET name = name;\n'
    [file] = copies.measure(text).files
    first, second, third = file.statements
    assert [each.line for each in file.statements] == [1, 2, 3]
    assert file.ending is not None
    behind = file.ending.milliseconds + file.commit
    [thread] = [lock for lock in second.locks if lock.relation == THREAD]
    assert thread.held == pytest.approx(second.milliseconds + third.milliseconds + behind, abs=0.01)
    [made] = [lock for lock in first.locks if lock.relation == "public.made"]
    assert made.is_new
    assert not made.blocks
    assert file.milliseconds == pytest.approx(sum(each.milliseconds for each in file.statements) + behind, abs=0.01)


def test_a_lock_counts_for_the_statement_that_took_it_and_a_stronger_one_again(copies: Copies) -> None:
    text = 'UPDATE "Thread" SET model = model;\nUPDATE "Thread" SET model = NULL WHERE false;\nALTER TABLE "Thread" ADD a int;'
    [file] = copies.measure(text).files
    modes = [{lock.mode for lock in each.locks if lock.relation == THREAD} for each in file.statements]
    assert modes == [{"RowExclusiveLock"}, set(), {"AccessExclusiveLock"}]
    assert [[each.updated for each in part.changed] for part in file.statements] == [[THREADS], [], []]


def test_the_rows_of_a_file_are_not_those_of_the_file_before(copies: Copies) -> None:
    first, second = copies.measure(
        'UPDATE "Thread" SET model = model;', 'UPDATE "Thread" SET model = model WHERE "userId" = \'u7\';'
    ).files
    assert [each.updated for each in first.statements[0].changed] == [THREADS]
    assert [each.updated for each in second.statements[0].changed] == [THREADS // 1000]


def test_many_statements_in_a_row_that_write_rows_are_measured_together(copies: Copies) -> None:
    inserts = [f"INSERT INTO \"User\" (id) VALUES ('x{number}');" for number in range(21)]
    few = [f"DELETE FROM \"User\" WHERE id = 'x{number}';" for number in range(20)]
    [file] = copies.measure("\n".join(("SELECT 1;", *inserts, *few))).files
    assert [(each.line, each.statements) for each in file.statements[:3]] == [(1, 1), (2, 21), (23, 1)]
    assert len(file.statements) == 22
    assert [(each.table, each.inserted) for each in file.statements[1].changed] == [('public."User"', 21)]
    assert {lock.mode for lock in file.statements[1].locks if lock.kind == "table"} == {"RowExclusiveLock"}


def test_a_materialized_view_that_is_refreshed_is_rewritten(copies: Copies) -> None:
    text = "REFRESH MATERIALIZED VIEW named;"
    made = 'CREATE MATERIALIZED VIEW named AS SELECT name FROM "Message" WHERE name IS NOT NULL;'
    copy = copies.copy()
    apply(copy, copies.folder(made))
    [file] = measure(copy, copies.folder(made, text)).files
    assert [(each.relation, each.kind, each.rows, each.is_new) for each in file.statements[0].rewrote] == [
        ("public.named", "materialized view", MESSAGES - MESSAGES // 1000, False)
    ]


def test_what_is_temporary_or_gone_by_the_end_of_the_statement_locks_nothing_of_anybody(copies: Copies) -> None:
    text = 'CREATE TEMPORARY TABLE t AS SELECT id FROM "Thread";\nDO $$ BEGIN CREATE TABLE u (); DROP TABLE u; END $$;'
    [file] = copies.measure(text).files
    assert {lock.table for part in file.parts for lock in part.locks} == {THREAD}


def test_an_emptied_table_and_the_rows_behind_it_are_counted_as_they_are(copies: Copies) -> None:
    text = (
        'DELETE FROM "Message";\nTRUNCATE "Message" CASCADE;\n'
        'INSERT INTO "Message" ("threadId", role, content) SELECT id, \'ai\', \'\' FROM "Thread" LIMIT 10;'
    )
    [file] = copies.measure(text).files
    deleted, emptied, inserted = file.statements
    assert [(each.table, each.deleted) for each in deleted.changed] == [(MESSAGE, MESSAGES)]
    assert [each.rows for each in emptied.rewrote if each.relation == MESSAGE] == [0]
    assert [(each.table, each.inserted) for each in inserted.changed] == [(MESSAGE, 10)]
    assert judge([file]).breaks == ()


def test_what_a_deferred_trigger_does_is_measured_at_the_end_of_the_file(copies: Copies) -> None:
    text = (
        'CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE "User" SET name = name; '
        "RETURN NULL; END $$;\n"
        'CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON "Thread" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW '
        "EXECUTE FUNCTION later();\n"
        'UPDATE "Thread" SET model = model WHERE id = (SELECT id FROM "Thread" LIMIT 1);'
    )
    [file] = copies.measure(text).files
    assert file.ending is not None
    assert [(each.table, each.updated) for each in file.ending.changed] == [('public."User"', 1000)]


def test_what_a_file_says_and_what_it_holds_is_told_to_nobody(copies: Copies) -> None:
    copy = copies.copy()
    onlooker = Onlooker(copy)
    text = f"DO $$ BEGIN RAISE WARNING '{CANARY}'; END $$;\nALTER TABLE \"Thread\" ADD a text DEFAULT '{CANARY}';"
    measured = measure(copy, copies.folder(text, 'SELECT content FROM "Message";'), listener=onlooker)
    assert onlooker.told == []
    assert len(measured.files) == 2
    assert CANARY not in repr(measured)
    assert "SELECT" not in repr(measured)


def test_a_file_that_changes_its_role_and_path_is_measured_all_the_same(copies: Copies) -> None:
    text = (
        "GRANT server TO CURRENT_USER WITH SET TRUE;\nSET LOCAL search_path = migration_history;\nSET LOCAL ROLE server;\n"
        'UPDATE public."Thread" SET model = model;\nRESET ROLE;\nREVOKE server FROM CURRENT_USER;'
    )
    [file] = copies.measure(text).files
    assert [each.updated for each in file.statements[3].changed] == [THREADS]


def test_a_database_without_a_history_and_without_analyzed_tables_is_measured(
    copies: Copies, database: DatabaseURL
) -> None:
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        connection.execute("CREATE TABLE old AS SELECT n AS id FROM generate_series(1, 70) n")
        connection.execute("ALTER TABLE old SET (autovacuum_enabled = off)")
    path = copies.path / "own"
    path.mkdir()
    (path / "0001_first.sql").write_text("ALTER TABLE old ALTER id TYPE bigint;")

    [file] = measure(database, read_folder(path)).files
    [size] = file.statements[0].tables
    assert (size.table, size.rows, size.exact) == ("public.old", 70, True)
    assert [(each.relation, each.rows) for each in file.statements[0].rewrote] == [("public.old", 70)]


def test_a_concurrent_index_is_seen_by_an_observing_session(copies: Copies) -> None:
    folder = copies.folder('-- transactional: false\nCREATE INDEX CONCURRENTLY "Message_role_idx" ON "Message" (role);')
    copy, twin = copies.copy(), copies.copy()
    here = "a.datname = current_database()"
    held = (
        f"SELECT 1 FROM pg_locks JOIN pg_stat_activity a USING (pid) WHERE a.application_name = '{APPLICATION} rehearse' "
        f"AND {here} AND relation = '\"Message\"'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted"
    )
    looked = (
        f"SELECT 1 FROM pg_stat_activity a WHERE a.application_name = '{APPLICATION} observer' AND {here} "
        "AND query_start > %s AND state = 'idle'"
    )
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(copy.reveal()) as old,
        psycopg.connect(copy.reveal(), autocommit=True) as look,
    ):
        old.execute('LOCK TABLE "Message" IN ROW EXCLUSIVE MODE')  # the statement waits for who has it
        running = pool.submit(measure, copy, folder)
        until(lambda: running.done() or look.execute(held).fetchone())
        [now] = look.execute("SELECT clock_timestamp()").fetchone() or (None,)
        until(lambda: running.done() or look.execute(looked, [now]).fetchone())
        old.commit()
        [file] = running.result().files
    [statement] = file.statements
    locks = {(lock.relation, lock.mode): lock for lock in statement.locks}
    assert locks[MESSAGE, "ShareUpdateExclusiveLock"].held > 0
    assert not any(lock.blocks for lock in statement.locks)
    assert statement.observed
    assert statement.wal_bytes > 0
    assert [each.table for each in statement.tables] == [MESSAGE]
    assert judge([file]).passed
    apply(twin, folder)
    assert fingerprint(copy) == fingerprint(twin)


def test_a_table_that_is_rewritten_outside_a_transaction_counts_its_rows(copies: Copies) -> None:
    [file] = copies.measure('-- transactional: false\nVACUUM FULL "Message";').files
    [table] = [each for each in file.statements[0].rewrote if each.kind == "table"]
    assert (table.relation, table.rows) == (MESSAGE, MESSAGES)
    assert [(each.what, each.table) for each in judge([file, file]).breaks if each.what == "rewritten"] == [
        ("rewritten", MESSAGE)
    ]
