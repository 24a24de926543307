"""What chatdb costs beside raw asyncpg: a page of a long history, and appending.

    python -m benchmarks.history_read [--messages 1000000] [--rounds 150] [--json]

Both go through the same pool, in turns, so that what else the machine does falls on both alike. One thread has a tenth
of all messages, the others a hundred each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg

from benchmarks.server import running_server
from chatdb import messages
from chatdb.messages import NewMessage, Role
from dbclient.paging import Cursor
from dbclient.pool import get_pool, lifespan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dbclient.url import DatabaseURL

MIGRATIONS = Path(__file__).parents[1] / "migrations"
PAGE = 50
CALLS = 10
"""Calls of one round of one contestant: few, so that a busy moment of the machine falls on all of them."""
TARGET = 0.9
LONG_THREAD = UUID(int=1)

_HISTORY = """
SELECT * FROM "Message" WHERE "threadId" = $1 AND ("createdAt", "id") > ($2, $3)
ORDER BY "createdAt", "id" LIMIT 50
"""
_INSERT = 'INSERT INTO "Message" ("threadId", "role", "content") VALUES ($1, $2, $3) RETURNING *'
_LOCK = 'SELECT "id" FROM "Thread" WHERE "id" = $1 FOR NO KEY UPDATE'
_LAST = """SELECT max("createdAt") FROM "Message" WHERE "threadId" = $1"""
_INSERT_AT = """
INSERT INTO "Message" ("threadId", "role", "content", "createdAt")
VALUES ($1, $2, $3, greatest(date_trunc('milliseconds', clock_timestamp()), $4::timestamptz + interval '1 millisecond'))
RETURNING *
"""
# What a promise of order costs at least, and not yet enough: the lock and the look at the newest row, no check of turns.
_INSERT_LOCKED = """
WITH turn AS MATERIALIZED (SELECT "id" FROM "Thread" WHERE "id" = $1 FOR NO KEY UPDATE)
INSERT INTO "Message" ("threadId", "role", "content", "createdAt")
SELECT "id", $2, $3, greatest(
    clock_timestamp(), (SELECT max("createdAt") + interval '1 millisecond' FROM "Message" WHERE "threadId" = $1)
) FROM turn
RETURNING *
"""
_ITS_STATEMENT = messages._APPEND  # noqa: SLF001 - what Python adds to it is the difference
_AS_SENT = ("ai", "x" * 200, None, None, None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Result:
    """Calls a second of one contestant: the median of its rounds, and chatdb's share of it."""

    case: str
    contestant: str
    per_second: float
    chatdb_is: float
    """chatdb's rate divided by this one's, the median over rounds."""


async def measure(url: DatabaseURL, rounds: int) -> list[Result]:
    """Run every case with every contestant, in turns."""
    chance = random.Random(0)  # noqa: S311 - the same places in every run
    async with lifespan(None, url, max_size=1, command_timeout=None):
        places = await _places()
        cases: dict[str, dict[str, Callable[[], Awaitable[Any]]]] = {
            f"a page of {PAGE} from the long thread": {
                "chatdb": lambda: _page_by_chatdb(chance.choice(places)),
                "asyncpg": lambda: _page_by_asyncpg(chance.choice(places)),
            },
            "append, one message": {
                "chatdb": lambda: messages.append(get_pool(), UUID(int=2), NewMessage(Role.AI, "x" * 200)),
                "asyncpg, any order": lambda: get_pool().fetchrow(_INSERT, UUID(int=3), "ai", "x" * 200),
                "asyncpg, its statement": lambda: get_pool().fetchrow(_ITS_STATEMENT, UUID(int=5), *_AS_SENT),
                "asyncpg, and a lock": lambda: get_pool().fetchrow(_INSERT_LOCKED, UUID(int=6), "ai", "x" * 200),
                "asyncpg, in order": lambda: _append_in_order(UUID(int=4)),
            },
        }
        return [result for name, contestants in cases.items() for result in await _compare(name, contestants, rounds)]


async def _compare(name: str, contestants: dict[str, Callable[[], Awaitable[Any]]], rounds: int) -> list[Result]:
    rates: dict[str, list[float]] = {contestant: [] for contestant in contestants}
    for number in range(rounds + 1):
        for contestant, call in contestants.items():
            begun = time.perf_counter()
            for _ in range(CALLS):
                await call()
            if number:  # the first round warms up
                rates[contestant].append(CALLS / (time.perf_counter() - begun))
    return [
        Result(name, contestant, median(own), median(c / o for c, o in zip(rates["chatdb"], own, strict=True)))
        for contestant, own in rates.items()
    ]


async def _page_by_chatdb(position: Cursor) -> None:
    page = await messages.history(get_pool(), LONG_THREAD, limit=PAGE, after=position)
    assert len(page.rows) == PAGE


async def _page_by_asyncpg(position: Cursor) -> None:
    rows = await get_pool().fetch(_HISTORY, LONG_THREAD, position.created_at, position.id)
    assert len(rows) == PAGE


async def _append_in_order(thread_id: UUID) -> None:
    """Give what chatdb's append gives, in the plain way: four statements in a transaction."""
    async with get_pool().acquire() as connection, connection.transaction():
        await connection.fetchval(_LOCK, thread_id)
        last = await connection.fetchval(_LAST, thread_id)
        await connection.fetchrow(_INSERT_AT, thread_id, "ai", "x" * 200, last)


async def _places() -> list[Cursor]:
    rows = await get_pool().fetch(
        """SELECT "createdAt", "id" FROM (
            SELECT *, row_number() OVER (ORDER BY "createdAt") AS number FROM "Message" WHERE "threadId" = $1) AS numbered
        WHERE number % 97 = 0 ORDER BY number""",
        LONG_THREAD,
    )
    return [Cursor(*row) for row in rows][:-2]


def fill(superuser: DatabaseURL, total: int) -> None:
    """Migrate the database and fill it: a tenth of the messages in one thread, the others in threads of a hundred."""
    threads = max(total * 9 // 1000, 4)
    with psycopg.connect(superuser.reveal(), autocommit=True) as connection:
        for file in sorted(MIGRATIONS.glob("[0-9]*.sql")):
            if not file.name.endswith(".rollback.sql"):
                connection.execute(file.read_bytes())
        connection.execute("SET session_replication_role = replica")  # the rows are made to fit
        connection.execute(
            """INSERT INTO "Thread" ("id") SELECT lpad(to_hex(n), 32, '0')::uuid FROM generate_series(1, %s::int) AS n""",
            [threads + 1],
        )
        for first, last, length in ((LONG_THREAD.int, LONG_THREAD.int, total // 10), (2, threads + 1, 100)):
            connection.execute(
                """INSERT INTO "Message" ("threadId", "role", "content", "usage", "metaJson", "createdAt")
                SELECT lpad(to_hex(thread), 32, '0')::uuid, 'ai', repeat('some words of a message ', 1 + n %% 12),
                    '{"inputTokens": 812, "outputTokens": 96}', '{"topic": "benchmarks"}',
                    timestamptz '2026-01-01' + n * interval '37 seconds' + thread * interval '1 millisecond'
                FROM generate_series(1, %s::int) AS n, generate_series(%s::int, %s::int) AS thread""",
                [length, first, last],
            )
        connection.execute("VACUUM ANALYZE")


def table(results: list[Result]) -> str:
    """The results for people."""
    lines = [f"{'':38} {'':22} {'a second':>9}  chatdb is"]
    for result in results:
        share = "" if result.contestant == "chatdb" else f"{result.chatdb_is:8.2f} of it"
        lines.append(f"{result.case:38} {result.contestant:22} {result.per_second:9.0f} {share}".rstrip())
    return "\n".join(lines)


def main() -> None:
    """Fill a server of its own, measure on it, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history_read", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="rows in the table")
    parser.add_argument("--rounds", type=int, default=150, help=f"rounds of {CALLS} calls by each contestant")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "server") as server:
        Path(folder).chmod(0o755)  # as root, another account runs the server
        print(f"filling a table with {arguments.messages:,} messages …", file=sys.stderr)
        # As the superuser, who alone may skip the checks of a million references while it fills.
        database = server.superuser.copy_with(database=server.make_database("history_read").database)
        fill(database, arguments.messages)
        results = asyncio.run(measure(database, arguments.rounds))
    if arguments.json:
        print(json.dumps({"messages": arguments.messages, "results": [asdict(result) for result in results]}, indent=2))
    else:
        print(table(results))


if __name__ == "__main__":
    main()
