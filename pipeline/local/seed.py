"""Fill a local database with made-up conversations, by COPY."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from pipeline.errors import Refused, UsageError
from pipeline.local.seed_conversations import COLUMNS, NULL, Conversations
from pipeline.local.server_identity import open_local
from pipeline.postgres.connect import open_psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from pipeline.deploy.checkout import Checkout

_TABLES = ("User", "Thread", "Message", "ScopeConsent")
_MISSING = f"""
SELECT name FROM pg_catalog.unnest(ARRAY{list(_TABLES)}) name
 WHERE pg_catalog.to_regclass('public.' || pg_catalog.quote_ident(name)) IS NULL
"""

# Fixed, so that the same seed gives the same rows on any day.
_FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS = 180
_THREADS_PER_PERSON = 5
_BLOCK = 4096  # rows handed to the server at a time
_ONE_IN_NINE = 9


@dataclass(frozen=True, slots=True)
class Seeded:
    """How many rows were made."""

    people: int
    threads: int
    messages: int
    consents: int


def seed_here(checkout: Checkout, *, threads: int, messages: int, number: int) -> Seeded:
    """Fill the checkout's local database, once it is known to be local. Raises what `seed` and `open_local` raise."""
    with open_local(checkout.environment, "seed", claim=checkout.target.claim) as session:
        missing = [name for (name,) in session.run(_MISSING)[0].rows if name]
    if missing:
        has = f"the local database has no table {', '.join(missing)}"
        made_by = [
            file.id
            for file in checkout.folder().files
            if any(f'CREATE TABLE "{name}"'.encode() in file.data for name in missing)
        ]
        if made_by:
            raise Refused(f"{has} yet", remedy=f"{made_by[0]} makes it. Run `./inv migrate` first.")
        raise Refused(
            f"{has}, and no migration makes it",
            remedy="`seed` fills tables of conversations alone. For another schema write its rows in a seed of its own "
            "(pipeline/local/seed.py), or with `./inv psql`.",
        )
    checkout.observer.working(f"making {threads} threads and {messages} messages")
    return seed(checkout.url, threads=threads, messages=messages, number=number)


def seed(url: DatabaseURL, *, threads: int, messages: int, number: int = 0) -> Seeded:
    """Make so many threads with so many messages in all, few of them long and many short, in one transaction.

    `number` is the seed: the same one gives the same rows, with the same ids, so it fits a database once.

    Raises:
        UsageError: there are messages to make but no threads for them, or a count is negative.
        Refused: the rows of this seed are there already; nothing was changed.
    """
    if threads < 0 or messages < 0 or (messages and not threads):
        raise UsageError("seed makes 0 or more threads, and messages only where there are threads")
    rows = _Rows(random.Random(number), threads, messages)  # noqa: S311 - made-up text is no secret
    with open_psycopg(url, application_name="db-pipeline seed") as connection:
        try:
            made = Seeded(
                people=_copy(connection, '"User" ("id", "name", "email", "createdAt")', rows.people()),
                threads=_copy(
                    connection, '"Thread" ("id", "userId", "model", "activeScopeKeys", "createdAt")', rows.threads()
                ),
                messages=_copy(connection, f'"Message" ({_MESSAGE_COLUMNS})', rows.messages()),
                consents=_copy(
                    connection, '"ScopeConsent" ("id", "threadId", "scopeKey", "granted", "createdAt")', rows.consents()
                ),
            )
        except psycopg.errors.UniqueViolation:
            raise Refused(
                f"the conversations of seed {number} are in the database already",
                remedy="Take another --seed, or ./inv reset first.",
            ) from None
    with open_psycopg(url, application_name="db-pipeline seed", autocommit=True) as connection:
        # The planner knows nothing of rows that came a moment ago; a first page would be read by a sort.
        connection.execute('VACUUM ANALYZE "User", "Thread", "Message", "ScopeConsent"')
    return made


_MESSAGE_COLUMNS = ", ".join(f'"{name}"' for name in ("id", "threadId", *COLUMNS, "createdAt"))


def _copy(connection: psycopg.Connection[Any], target: str, lines: Iterator[str]) -> int:
    """Send lines of COPY's text format in blocks; how many there were."""
    sent = 0
    block: list[str] = []
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN".encode()) as copy:
        for line in lines:
            block.append(line)
            if len(block) == _BLOCK:
                copy.write("".join(block))
                sent += len(block)
                block.clear()
        copy.write("".join(block))
    return sent + len(block)


class _Rows:
    """The rows of each table, as lines for COPY."""

    def __init__(self, chance: random.Random, threads: int, messages: int) -> None:
        self._chance = chance
        self._conversations = Conversations(chance)
        self._people = [f"user-{self._hexadecimal()[:12]}" for _ in range(-(-threads // _THREADS_PER_PERSON))]
        self._threads = [self._uuid() for _ in range(threads)]
        self._begun = [self._instant() for _ in range(threads)]
        self._lengths = _lengths(chance, threads, messages)
        self._asked = [not chance.randrange(_ONE_IN_NINE) for _ in range(threads)]

    def people(self) -> Iterator[str]:
        for number, person in enumerate(self._people, 1):
            yield f"{person}\tPerson {number}\t{person}@example.org\t{_FIRST_DAY.isoformat()}\n"

    def threads(self) -> Iterator[str]:
        for number, (thread, begun, asked) in enumerate(zip(self._threads, self._begun, self._asked, strict=True)):
            person = self._people[number % len(self._people)] if number % 7 else NULL
            scopes = "{mail,calendar}" if asked else "{}"
            yield f"{thread}\t{person}\t{NULL}\t{scopes}\t{_text(begun)}\n"

    def messages(self) -> Iterator[str]:
        # Local names: this is the loop that runs a million times.
        chance, uuid, step = self._chance.random, self._uuid, timedelta(milliseconds=1)
        for thread, instant, length in zip(self._threads, self._begun, self._lengths, strict=True):
            now = instant
            for line in self._conversations.lines(length):
                low, high = line.pause
                now += step * int(low + (high - low) * chance())
                yield f"{uuid()}\t{thread}\t{line.columns}\t{now.isoformat(timespec='milliseconds')}\n"

    def consents(self) -> Iterator[str]:
        for thread, begun, asked in zip(self._threads, self._begun, self._asked, strict=True):
            if asked:
                decisions = (("mail", "t"), ("files", "t"), ("calendar", "t"), ("files", "f"))
                for number, (scope, granted) in enumerate(decisions):
                    at = _text(begun + timedelta(seconds=number))
                    yield f"{self._uuid()}\t{thread}\t{scope}\t{granted}\t{at}\n"

    def _instant(self) -> datetime:
        return _FIRST_DAY + timedelta(milliseconds=self._chance.randrange(_DAYS * 86_400_000))

    def _hexadecimal(self) -> str:
        return f"{self._chance.getrandbits(128):032x}"

    def _uuid(self) -> str:
        """A random id, in the form of version 4."""
        text = f"{self._chance.getrandbits(128):032x}"
        return f"{text[:12]}4{text[13:16]}8{text[17:]}"


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds")


def _lengths(chance: random.Random, threads: int, messages: int) -> list[int]:
    """Share the messages out: few long threads and many short ones, with the sum as asked for."""
    weights = [chance.paretovariate(1.2) for _ in range(threads)]
    total = sum(weights)
    lengths = [int(messages * weight / total) for weight in weights]
    for at in range(messages - sum(lengths)):
        lengths[at % threads] += 1
    return lengths
