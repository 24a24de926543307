"""What the tables do with rows: defaults, the four roles, uniqueness and cascades."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

USERS_TABLES = ("User", "Account", "Session", "Thread", "Message", "ScopeConsent")


def _one(connection: psycopg.Connection[Any], query: str, values: Sequence[object] = ()) -> Any:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def _new_thread(chat: psycopg.Connection[Any], user: str | None = None) -> uuid.UUID:
    made: uuid.UUID = _one(chat, 'INSERT INTO "Thread" ("userId") VALUES (%s) RETURNING "id"', [user])
    return made


def _fill(chat: psycopg.Connection[Any], user: str) -> None:
    """One row of each table that hangs on a user."""
    chat.execute('INSERT INTO "User" ("id", "email") VALUES (%s, %s)', [user, f"{user}@example.org"])
    chat.execute(
        'INSERT INTO "Account" ("userId", "type", "provider", "providerAccountId") VALUES (%s, %s, %s, %s)',
        [user, "oidc", "idp", user],
    )
    chat.execute(
        'INSERT INTO "Session" ("sessionToken", "userId", "expires") VALUES (%s, %s, now())', [f"s-{user}", user]
    )
    thread = _new_thread(chat, user)
    chat.execute('INSERT INTO "Message" ("threadId", "role", "content") VALUES (%s, %s, %s)', [thread, "human", "hi"])
    chat.execute(
        'INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted") VALUES (%s, %s, true)', [thread, "mail"]
    )


def _counts(chat: psycopg.Connection[Any]) -> dict[str, int]:
    return {table: _one(chat, f'SELECT count(*) FROM "{table}"') for table in USERS_TABLES}


def test_a_thread_is_created_with_no_data_at_all(chat: psycopg.Connection[Any]) -> None:
    id_, created, user, model, scopes = _one(
        chat,
        'INSERT INTO "Thread" DEFAULT VALUES RETURNING "id", "createdAt", "userId", "model", "activeScopeKeys"',
    )

    assert isinstance(id_, uuid.UUID)
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)
    assert (user, model, scopes) == (None, None, [])


@pytest.mark.parametrize("role", ["human", "ai", "tool", "system"])
def test_a_message_has_one_of_four_roles(chat: psycopg.Connection[Any], role: str) -> None:
    thread = _new_thread(chat)
    chat.execute('INSERT INTO "Message" ("threadId", "role", "content") VALUES (%s, %s, %s)', [thread, role, ""])


@pytest.mark.parametrize("role", ["assistant", "user", "Human", "human ", ""])
def test_any_other_role_is_refused_by_name(chat: psycopg.Connection[Any], role: str) -> None:
    thread = _new_thread(chat)
    with pytest.raises(psycopg.errors.CheckViolation, match="Message_role_check"):
        chat.execute('INSERT INTO "Message" ("threadId", "role", "content") VALUES (%s, %s, %s)', [thread, role, ""])
    with pytest.raises(psycopg.errors.NotNullViolation):
        chat.execute('INSERT INTO "Message" ("threadId", "role", "content") VALUES (%s, NULL, %s)', [thread, ""])


def test_a_message_or_a_consent_without_its_thread_is_refused(chat: psycopg.Connection[Any]) -> None:
    nowhere = uuid.uuid4()
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="Message_threadId_fkey"):
        chat.execute('INSERT INTO "Message" ("threadId", "role", "content") VALUES (%s, %s, %s)', [nowhere, "ai", ""])
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="ScopeConsent_threadId_fkey"):
        chat.execute(
            'INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted") VALUES (%s, %s, true)', [nowhere, "mail"]
        )
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="Thread_userId_fkey"):
        _new_thread(chat, "nobody")


def test_deleting_a_thread_deletes_its_messages_and_consents_and_no_other(chat: psycopg.Connection[Any]) -> None:
    _fill(chat, "ada")
    _fill(chat, "bob")
    chat.execute('DELETE FROM "Thread" WHERE "userId" = %s', ["ada"])

    assert _counts(chat) == {"User": 2, "Account": 2, "Session": 2, "Thread": 1, "Message": 1, "ScopeConsent": 1}


def test_deleting_a_user_deletes_everything_of_theirs_and_nothing_of_others(chat: psycopg.Connection[Any]) -> None:
    _fill(chat, "ada")
    _fill(chat, "bob")
    _new_thread(chat)
    chat.execute('DELETE FROM "User" WHERE "id" = %s', ["ada"])

    assert _counts(chat) == {"User": 1, "Account": 1, "Session": 1, "Thread": 2, "Message": 1, "ScopeConsent": 1}


def test_a_new_id_of_a_user_or_a_thread_is_followed(chat: psycopg.Connection[Any]) -> None:
    _fill(chat, "ada")
    moved = uuid.uuid4()
    chat.execute('UPDATE "User" SET "id" = %s', ["ada2"])
    chat.execute('UPDATE "Thread" SET "id" = %s', [moved])

    for table in ("Account", "Session", "Thread"):
        assert _one(chat, f'SELECT "userId" FROM "{table}"') == "ada2"
    for table in ("Message", "ScopeConsent"):
        assert _one(chat, f'SELECT "threadId" FROM "{table}"') == moved


def test_an_email_belongs_to_one_user_and_may_be_missing(chat: psycopg.Connection[Any]) -> None:
    _fill(chat, "ada")
    chat.execute("""INSERT INTO "User" ("id") VALUES ('no email'), ('none either')""")
    with pytest.raises(psycopg.errors.UniqueViolation, match="User_email_key"):
        chat.execute("""INSERT INTO "User" ("id", "email") VALUES ('eve', 'ada@example.org')""")


def test_an_account_a_session_and_a_token_are_unique(chat: psycopg.Connection[Any]) -> None:
    _fill(chat, "ada")
    _fill(chat, "bob")
    with pytest.raises(psycopg.errors.UniqueViolation, match="Account_pkey"):
        chat.execute("""UPDATE "Account" SET "providerAccountId" = 'ada' WHERE "userId" = 'bob'""")
    with pytest.raises(psycopg.errors.UniqueViolation, match="Session_sessionToken_key"):
        chat.execute("""UPDATE "Session" SET "sessionToken" = 's-ada' WHERE "userId" = 'bob'""")
    with pytest.raises(psycopg.errors.UniqueViolation, match="VerificationToken_pkey"):
        chat.execute("""INSERT INTO "VerificationToken" VALUES ('ada', 't', now()), ('ada', 't', now())""")


def test_an_instant_keeps_its_milliseconds_and_no_more(chat: psycopg.Connection[Any]) -> None:
    """What a JavaScript Date holds: an instant that was read can be asked for again."""
    kept = _one(
        chat,
        """INSERT INTO "Thread" ("createdAt") VALUES ('2026-01-01 12:00:00.1234567+02')
                         RETURNING "createdAt" """,
    )

    assert kept == datetime(2026, 1, 1, 10, 0, 0, 123000, UTC)


def test_rows_of_one_insert_share_their_creation_time(chat: psycopg.Connection[Any]) -> None:
    """So their order is lost. chatdb writes increasing times for this reason; docs/schema.md warns other writers."""
    thread = _new_thread(chat)
    chat.execute(
        """INSERT INTO "Message" ("threadId", "role", "content")
           SELECT %s, 'human', n::text FROM generate_series(1, 10) AS n""",
        [thread],
    )

    assert _one(chat, 'SELECT count(DISTINCT "createdAt") FROM "Message"') == 1


def test_the_newest_consent_of_a_scope_is_the_one_in_force(chat: psycopg.Connection[Any]) -> None:
    thread = _new_thread(chat)
    for granted in (True, False):
        chat.execute(
            'INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted", "createdAt") '
            "VALUES (%s, 'mail', %s, clock_timestamp())",
            [thread, granted],
        )
        chat.execute("SELECT pg_sleep(0.002)")  # a creation time of its own, to the millisecond

    assert (
        _one(
            chat,
            """SELECT "granted" FROM "ScopeConsent" WHERE "threadId" = %s AND "scopeKey" = 'mail'
               ORDER BY "createdAt" DESC LIMIT 1""",
            [thread],
        )
        is False
    )


def test_the_limits_that_the_page_names_are_these(chat: psycopg.Connection[Any]) -> None:
    """docs/schema.md, *Signing in*: two cases of an e-mail, seconds after 2038, long keys."""
    chat.execute("""INSERT INTO "User" ("id", "email") VALUES ('1', 'Ada@example.com'), ('2', 'ada@example.com')""")
    account = 'INSERT INTO "Account" ("userId", "type", "provider", "providerAccountId", "expires_at")'
    chat.execute(
        f"{account} VALUES ('1', 't', 'p', 'last', extract(epoch FROM timestamptz '2038-01-19 03:14:07Z')::int)"
    )
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        chat.execute(f"{account} VALUES ('1', 't', 'p', 'later', 2147483648)")

    thread = _new_thread(chat)
    random = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) AS n)"  # does not compress below a half
    for statement in (
        f"""INSERT INTO "User" ("id") SELECT {random}""",
        f"""INSERT INTO "Session" ("sessionToken", "userId", "expires") SELECT {random}, '1', now()""",
        f"""INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted") SELECT '{thread}', {random}, true""",
    ):
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="2704"):
            chat.execute(statement.encode())

    chat.execute("""DELETE FROM "User" WHERE "id" = '2'""")
    chat.execute('CREATE UNIQUE INDEX CONCURRENTLY "User_email_lower_key" ON "User" (lower("email"))')
    with pytest.raises(psycopg.errors.UniqueViolation):
        chat.execute("""INSERT INTO "User" ("id", "email") VALUES ('3', 'ADA@example.com')""")
