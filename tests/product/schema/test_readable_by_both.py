"""0005 and 0006 on rows of before: those that only one client could read are put right, and the rest is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from pipeline.deploy import apply
from pipeline.migrations import Folder, read_folder

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL

MIGRATIONS = Path(__file__).parents[3] / "migrations"


def through(number: str) -> Folder:
    whole = read_folder(MIGRATIONS)
    return Folder(whole.path, tuple(file for file in whole.files if file.id[:4] <= number))


def test_rows_that_one_client_could_not_read_are_put_right(database: DatabaseURL) -> None:
    apply(database, through("0004"))
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        connection.execute("""
            INSERT INTO "Thread" ("model", "activeScopeKeys", "createdAt") VALUES
                ('null', ARRAY['b', NULL, 'a', NULL], now()), ('two', ARRAY[['d', NULL], ['c', 'd']], now()),
                ('good', ARRAY['b', 'a'], '2026-01-01Z'), ('end', '{}', 'infinity')""")
        connection.execute("""
            INSERT INTO "Message" ("threadId", "role", "content", "createdAt")
            SELECT "id", 'human', instant, instant::timestamptz FROM "Thread",
                   unnest(ARRAY['-infinity', '10000-01-01Z', '2026-01-01Z']) AS instant WHERE "model" = 'good'""")
        connection.execute("""
            INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted", "createdAt")
            SELECT "id", 'k', true, '0044-03-15Z BC' FROM "Thread" WHERE "model" = 'good'""")
        untouched = """SELECT "model", xmin FROM "Thread" WHERE "model" = 'good'
                       UNION ALL SELECT "content", xmin FROM "Message" WHERE "content" LIKE '2026%' ORDER BY 1"""
        before = connection.execute(untouched).fetchall()

        apply(database, through("0005"))
        apply(database, through("0006"))

        assert connection.execute(untouched).fetchall() == before
        keys: dict[str, list[str]] = dict(
            connection.execute('SELECT "model", "activeScopeKeys" FROM "Thread"').fetchall()
        )
        assert keys == {"null": ["b", "a"], "two": ["d", "c", "d"], "good": ["b", "a"], "end": []}
        instants = connection.execute("""
            SELECT "model", "createdAt" AT TIME ZONE 'UTC' FROM "Thread" WHERE "model" = 'end' UNION ALL
            SELECT "content", "createdAt" AT TIME ZONE 'UTC' FROM "Message" UNION ALL
            SELECT "scopeKey", "createdAt" AT TIME ZONE 'UTC' FROM "ScopeConsent" """).fetchall()
        assert {name: instant.isoformat() for name, instant in instants} == {
            "end": "9999-12-31T23:59:59.999000",
            "-infinity": "0001-01-01T00:00:00",
            "10000-01-01Z": "9999-12-31T23:59:59.999000",
            "2026-01-01Z": "2026-01-01T00:00:00",
            "k": "0001-01-01T00:00:00",
        }
        unproven = "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND NOT convalidated"
        assert connection.execute(unproven).fetchall() == []
