"""Made-up conversations: as many as asked for, the same for the same seed, and as the application would have written them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.errors import Refused, UsageError
from pipeline.local.seed import Seeded, seed

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer


def ask(url: DatabaseURL, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.reveal()) as connection:
        return connection.execute(query.encode()).fetchall()


def test_it_makes_what_was_asked_for(migrated: DatabaseURL) -> None:
    made = seed(migrated, threads=40, messages=1500)
    assert (made.threads, made.messages) == (40, 1500)
    counted = ask(
        migrated,
        """SELECT (SELECT count(*) FROM "User"), (SELECT count(*) FROM "Thread"), (SELECT count(*) FROM "Message"),
        (SELECT count(*) FROM "ScopeConsent")""",
    )
    assert Seeded(*counted[0]) == made
    longest, shortest = ask(
        migrated, 'SELECT max(n), min(n) FROM (SELECT count(*) AS n FROM "Message" GROUP BY "threadId") x'
    )[0]
    assert longest > 3 * shortest


def test_the_same_seed_makes_the_same_rows_and_another_one_others(
    server: PostgresServer, migrated_template: DatabaseURL
) -> None:
    def rows_of(number: int) -> list[tuple[Any, ...]]:
        database = server.create_database(migrated_template)
        try:
            seed(database, threads=10, messages=200, number=number)
            return ask(database, 'SELECT * FROM "Message" ORDER BY "id"')
        finally:
            server.drop_database(database)

    assert rows_of(7) == rows_of(7)
    assert not set(map(str, rows_of(7))) & set(map(str, rows_of(8)))


def test_the_conversations_make_sense(migrated: DatabaseURL) -> None:
    seed(migrated, threads=60, messages=3000)
    assert ask(
        migrated,
        """SELECT count(*) FROM (
            SELECT "createdAt" > lag("createdAt") OVER (PARTITION BY "threadId" ORDER BY "createdAt", "id") AS later
            FROM "Message") AS step WHERE NOT later""",
    ) == [(0,)]
    # A tool answers a call that the message before it made.
    assert ask(
        migrated,
        """SELECT count(*) > 50, bool_and(asked #>> '{0,id}' = "toolCallId") FROM (
            SELECT *, lag("toolCalls") OVER (PARTITION BY "threadId" ORDER BY "createdAt") AS asked FROM "Message"
        ) AS step WHERE "role" = 'tool'""",
    ) == [(True, True)]
    roles = dict(ask(migrated, 'SELECT "role", count(*) FROM "Message" GROUP BY "role"'))
    assert roles["human"] > 500
    assert roles["ai"] > 500
    # The scopes that apply are those whose newest consent is a grant.
    assert ask(
        migrated,
        """SELECT count(*) FROM "Thread" AS thread WHERE ARRAY(
            SELECT "scopeKey" FROM (
                SELECT DISTINCT ON ("scopeKey") * FROM "ScopeConsent" WHERE "threadId" = thread."id"
                ORDER BY "scopeKey", "createdAt" DESC) AS newest
            WHERE "granted" ORDER BY "scopeKey") <> ARRAY(SELECT unnest("activeScopeKeys") ORDER BY 1)""",
    ) == [(0,)]


def test_the_same_seed_twice_is_refused_and_changes_nothing(migrated: DatabaseURL) -> None:
    seed(migrated, threads=5, messages=20)
    with pytest.raises(Refused, match="seed 0"):
        seed(migrated, threads=5, messages=20)
    assert seed(migrated, threads=5, messages=20, number=1).messages == 20
    assert ask(migrated, 'SELECT count(*) FROM "Message"') == [(40,)]


@pytest.mark.parametrize(("threads", "messages"), [(0, 1), (-1, 0), (1, -1)])
def test_counts_that_make_no_sense_are_refused(migrated: DatabaseURL, threads: int, messages: int) -> None:
    with pytest.raises(UsageError):
        seed(migrated, threads=threads, messages=messages)


def test_nothing_is_a_fine_number_too(migrated: DatabaseURL) -> None:
    assert seed(migrated, threads=0, messages=0) == Seeded(0, 0, 0, 0)


def test_a_hundred_thousand_messages_take_seconds(migrated: DatabaseURL) -> None:
    begun = time.monotonic()
    seed(migrated, threads=2000, messages=100_000)
    assert time.monotonic() - begun < 30  # about 3 on two idle cores; a million must be well under a minute
