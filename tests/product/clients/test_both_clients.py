"""Values that one client can write and the other may not be able to read: what is refused, and what reads how.

Two clients share the tables. A value that breaks one of them on reading breaks its look at a whole thread, so the
database refuses what it can tell cheaply; the rest is in this table, and in docs/schema.md.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from dbclient.database import prepare_connection

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.services import Services
    from tests.support.typescript import Node

_THREAD = """INSERT INTO "Thread" ("activeScopeKeys") VALUES ({})"""
_MESSAGE = (
    """INSERT INTO "Message" ("threadId", "role", "content", "{}") SELECT "id", 'human', '', {} FROM "Thread" LIMIT 1"""
)
_CONTENT = """INSERT INTO "Message" ("threadId", "role", "content") SELECT "id", 'human', {} FROM "Thread" LIMIT 1"""
_CONSENT = """INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted", "createdAt")
              SELECT "id", 'k', true, {} FROM "Thread" LIMIT 1"""

# A statement of any client, and the SQLSTATE of the refusal. Prisma reads no thread with such keys (P2023); of such
# instants it makes null where a date must be, and Python an OverflowError, or a date without a zone.
REFUSED = {
    "a null among the scope keys": (_THREAD.format("ARRAY['a', NULL]"), "23514"),
    "nothing but a null": (_THREAD.format("ARRAY[NULL]::text[]"), "23514"),
    "scope keys in two dimensions": (_THREAD.format("ARRAY[['a', 'b'], ['c', 'd']]"), "23514"),
    "two dimensions and a null": (_THREAD.format("ARRAY[['a', NULL]]"), "23514"),
    "the end of time": (_MESSAGE.format("createdAt", "'infinity'"), "23514"),
    "the beginning of time": (_MESSAGE.format("createdAt", "'-infinity'"), "23514"),
    "the year 10000": (_MESSAGE.format("createdAt", "'10000-01-01 00:00:00Z'"), "23514"),
    "before Christ": (_MESSAGE.format("createdAt", "'0044-03-15 00:00:00Z BC'"), "23514"),
    "a consent at the end of time": (_CONSENT.format("'infinity'"), "23514"),
    "a thread at the end of time": ("""INSERT INTO "Thread" ("createdAt") VALUES ('infinity')""", "23514"),
    "a NUL": (_CONTENT.format("E'a\\000b'"), "22021"),
    "half a character": (_CONTENT.format(r"E'\xed\xa0\x80'"), "22021"),
    "a NUL in json": (_MESSAGE.format("metaJson", r"""'"\u0000"'"""), "22P05"),
    "half a character in json": (_MESSAGE.format("metaJson", r"""'"\ud800"'"""), "22P02"),
}

MESSAGES = {
    "the first instant of the year 1": ("createdAt", "'0001-01-01 00:00:00Z'"),
    "the last instant of 9999": ("createdAt", "'9999-12-31 23:59:59.999Z'"),
    "the largest whole number of both": ("metaJson", """'{"n": 9007199254740992}'"""),
    "one more": ("metaJson", """'{"n": 9007199254740993}'"""),
    "a number beyond a double": ("metaJson", """'{"n": 1e400}'"""),
    "a decimal of twenty digits": ("metaJson", """'{"n": 0.12345678901234567891}'"""),
    "null in json": ("metaJson", "'null'"),
}
KEYS = {
    "keys that need quotes": """ARRAY['NULL', 'a,b', '{', '"', '']""",
    "keys that count from two": "'[2:3]={a,b}'::text[]",
}

# What is stored and read: the same by both, or by Python and by Prisma.
SAME = {
    "the first instant of the year 1": datetime(1, 1, 1, tzinfo=UTC),
    "the last instant of 9999": datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    "the largest whole number of both": {"n": 2**53},
    "null in json": None,
    "keys that need quotes": ["NULL", "a,b", "{", '"', ""],
    "keys that count from two": ["a", "b"],
}
DIFFERENT = {
    "one more": ({"n": 2**53 + 1}, {"n": 2**53}),
    "a number beyond a double": ({"n": 10**400}, {"n": None}),
    "a decimal of twenty digits": ({"n": 0.12345678901234568}, {"n": 0.12345678901234568}),
}

# What Prisma was given: the code of the refusal, or what Python reads of it.
WRITTEN_BY_PRISMA = {
    "half a character": "a\ufffdb",  # node-postgres replaces it
    "a NUL": "22021",
    "half a character in json": "22P02",
    "a NUL in json": "22P05",
    "the largest number in json": {"n": 17976931348623157 * 10**292},
    "no number in json": {"n": None},
    "the last instant of 9999": datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    "the year 10000": "23514",
    "JavaScript's last instant": "23514",
    "the year 0": "22008",
    "before Christ": "22007",
    "no date": "PrismaClientValidationError",
    "a null among the scope keys": "PrismaClientValidationError",
}


def test_what_one_of_them_could_not_read_is_refused(migrated: DatabaseURL) -> None:
    refusals = {}
    with psycopg.connect(migrated.reveal(), autocommit=True) as connection:
        connection.execute('INSERT INTO "Thread" DEFAULT VALUES')
        for name, (statement, _) in REFUSED.items():
            with pytest.raises(psycopg.Error) as caught:
                connection.execute(statement.encode())
            refusals[name] = caught.value.sqlstate
    assert refusals == {name: sqlstate for name, (_, sqlstate) in REFUSED.items()}


def test_the_rest_is_read_as_the_table_says(node: Node, migrated: DatabaseURL, services: Services) -> None:
    stored: dict[str, dict[str, str]] = {"messages": {}, "threads": {}}
    with psycopg.connect(migrated.reveal()) as connection:
        for name, keys in KEYS.items():
            stored["threads"][name] = _id(connection, _THREAD.format(keys))
        for name, (column, value) in MESSAGES.items():
            stored["messages"][name] = _id(connection, _MESSAGE.format(column, value))

    outcomes = node.run("both_clients.ts", url=services.url("server", migrated), STORED=json.dumps(stored))

    by_prisma = {name: _as_python(name, outcome) for name, outcome in outcomes["read"].items()}
    by_python = asyncio.run(_read(services.url("ai_service", migrated), stored))
    assert by_prisma == SAME | {name: prisma for name, (_, prisma) in DIFFERENT.items()}
    assert by_python == SAME | {name: python for name, (python, _) in DIFFERENT.items()}

    written = outcomes["written"]
    ids = {name: outcome["value"] for name, outcome in written.items() if "error" not in outcome}
    found = asyncio.run(_read(services.url("ai_service", migrated), {"messages": ids, "threads": {}}))
    refused = {name: outcome["error"] for name, outcome in written.items() if "error" in outcome}
    assert refused | found == WRITTEN_BY_PRISMA


def _id(connection: psycopg.Connection[Any], statement: str) -> str:
    row = connection.execute(f'{statement} RETURNING "id"'.encode()).fetchone()
    assert row
    return str(row[0])


def _as_python(name: str, outcome: dict[str, Any]) -> Any:
    value = outcome.get("value", outcome)
    if name in KEYS:
        return value
    column = MESSAGES[name][0]
    return datetime.fromisoformat(value[column]) if column == "createdAt" else value[column]


async def _read(url: DatabaseURL, stored: dict[str, dict[str, str]]) -> dict[str, Any]:
    """What asyncpg reads, with the codec of chatdb: of a message the column that is not as it always is."""
    client = url.for_asyncpg()
    connection = await asyncpg.connect(client.dsn, **client.connect)
    found: dict[str, Any] = {}
    try:
        await prepare_connection(connection)
        for name, id_ in stored["messages"].items():
            row = await connection.fetchrow('SELECT * FROM "Message" WHERE "id" = $1', id_)
            instant = abs(row["createdAt"].year - datetime.now(UTC).year) > 1
            found[name] = row["createdAt"] if instant else row["content"] or row["metaJson"]
        for name, id_ in stored["threads"].items():
            found[name] = await connection.fetchval('SELECT "activeScopeKeys" FROM "Thread" WHERE "id" = $1', id_)
    finally:
        await connection.close()
    return found
