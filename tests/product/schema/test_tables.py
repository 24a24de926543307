"""Every table, column, constraint and index, as the services rely on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.schema.catalog import Catalog, read_catalog

if TYPE_CHECKING:
    import psycopg

CREATED = "timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP"
INSTANT = "timestamp(3) with time zone"
UUID = "uuid NOT NULL DEFAULT gen_random_uuid()"

# A column's name, and its type with NOT NULL and DEFAULT as PostgreSQL prints them.
COLUMNS = {
    "Thread": {
        "id": UUID,
        "createdAt": CREATED,
        "userId": "text",
        "model": "text",
        "activeScopeKeys": "text[] NOT NULL DEFAULT ARRAY[]::text[]",
    },
    "Message": {
        "id": UUID,
        "threadId": "uuid NOT NULL",
        "role": "text NOT NULL",
        "content": "text NOT NULL",
        "name": "text",
        "toolCallId": "text",
        "toolCalls": "jsonb",
        "provider": "text",
        "model": "text",
        "usage": "jsonb",
        "metaJson": "jsonb",
        "createdAt": CREATED,
    },
    "ScopeConsent": {
        "id": UUID,
        "threadId": "uuid NOT NULL",
        "scopeKey": "text NOT NULL",
        "granted": "boolean NOT NULL",
        "createdAt": CREATED,
    },
    "User": {
        "id": "text NOT NULL",
        "name": "text",
        "email": "text",
        "emailVerified": INSTANT,
        "image": "text",
        "createdAt": CREATED,
    },
    "Account": {
        "userId": "text NOT NULL",
        "type": "text NOT NULL",
        "provider": "text NOT NULL",
        "providerAccountId": "text NOT NULL",
        "refresh_token": "text",
        "access_token": "text",
        "expires_at": "integer",
        "token_type": "text",
        "scope": "text",
        "id_token": "text",
        "session_state": "text",
    },
    "Session": {
        "sessionToken": "text NOT NULL",
        "userId": "text NOT NULL",
        "expires": f"{INSTANT} NOT NULL",
    },
    "VerificationToken": {
        "identifier": "text NOT NULL",
        "token": "text NOT NULL",
        "expires": f"{INSTANT} NOT NULL",
    },
}


def _cascades(column: str, parent: str) -> str:
    return f'FOREIGN KEY ("{column}") REFERENCES public."{parent}"(id) ON UPDATE CASCADE ON DELETE CASCADE'


# The years 1 to 9999, in seconds since 1970.
READABLE = (
    "CHECK (((\"createdAt\" >= to_timestamp(('-62135596800'::bigint)::double precision)) "
    "AND (\"createdAt\" < to_timestamp(('253402300800'::bigint)::double precision))))"
)

# Named as Prisma names them: <table>_pkey, <table>_<column>_fkey. Prisma has no checks, so that name is PostgreSQL's.
CONSTRAINTS = {
    "Thread": {
        "Thread_pkey": "PRIMARY KEY (id)",
        "Thread_userId_fkey": _cascades("userId", "User"),
        "Thread_createdAt_check": READABLE,
        "Thread_activeScopeKeys_check":
            'CHECK (((COALESCE(array_ndims("activeScopeKeys"), 1) = 1) '
            'AND (array_position("activeScopeKeys", NULL::text) IS NULL)))',
    },
    "Message": {
        "Message_pkey": "PRIMARY KEY (id)",
        "Message_threadId_fkey": _cascades("threadId", "Thread"),
        "Message_role_check":
            "CHECK ((role = ANY (ARRAY['human'::text, 'ai'::text, 'tool'::text, 'system'::text])))",
        "Message_createdAt_check": READABLE,
    },
    "ScopeConsent": {
        "ScopeConsent_pkey": "PRIMARY KEY (id)",
        "ScopeConsent_threadId_fkey": _cascades("threadId", "Thread"),
        "ScopeConsent_createdAt_check": READABLE,
    },
    "User": {"User_pkey": "PRIMARY KEY (id)"},
    "Account": {
        "Account_pkey": 'PRIMARY KEY (provider, "providerAccountId")',
        "Account_userId_fkey": _cascades("userId", "User"),
    },
    "Session": {"Session_userId_fkey": _cascades("userId", "User")},
    "VerificationToken": {"VerificationToken_pkey": "PRIMARY KEY (identifier, token)"},
}  # fmt: skip

# Beside those of the primary keys: <table>_<columns>_idx, and _key for a unique one.
INDEXES = {
    "Thread_userId_createdAt_idx": ("INDEX", "Thread", '"userId", "createdAt"'),
    "Message_threadId_createdAt_idx": ("INDEX", "Message", '"threadId", "createdAt"'),
    "ScopeConsent_threadId_scopeKey_createdAt_idx": ("INDEX", "ScopeConsent", '"threadId", "scopeKey", "createdAt"'),
    "User_email_key": ("UNIQUE INDEX", "User", "email"),
    "Account_userId_idx": ("INDEX", "Account", '"userId"'),
    "Session_sessionToken_key": ("UNIQUE INDEX", "Session", '"sessionToken"'),
    "Session_userId_idx": ("INDEX", "Session", '"userId"'),
}


@pytest.fixture
def catalog(chat: psycopg.Connection[Any]) -> Catalog:
    return read_catalog(chat)


def _unqualified(definitions: dict[str, str], table: str) -> dict[str, str]:
    """The names behind `public."Table".`, without quotes."""
    prefix = f'public."{table}".'
    return {
        name.removeprefix(prefix).strip('"'): definition
        for name, definition in definitions.items()
        if name.startswith(prefix)
    }


def test_these_are_the_tables_and_there_is_nothing_else(catalog: Catalog) -> None:
    assert catalog.of_kind("table") == {f'public."{name}"': "" for name in COLUMNS}
    kinds = {found.kind for found in catalog.objects}
    assert kinds == {"schema", "table", "column", "constraint", "index", "privilege"}


@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_has_its_type_its_default_and_its_nullability(catalog: Catalog, table: str) -> None:
    assert _unqualified(catalog.of_kind("column"), table) == COLUMNS[table]


@pytest.mark.parametrize("table", CONSTRAINTS)
def test_every_constraint_has_prismas_name_and_every_foreign_key_cascades(catalog: Catalog, table: str) -> None:
    assert _unqualified(catalog.of_kind("constraint"), table) == CONSTRAINTS[table]


def test_every_index_has_prismas_name_and_is_valid(catalog: Catalog) -> None:
    expected = {
        f'public."{name}"': f'CREATE {what} "{name}" ON public."{table}" USING btree ({columns})'
        for name, (what, table, columns) in INDEXES.items()
    }
    found = {name: text for name, text in catalog.of_kind("index").items() if not name.endswith('_pkey"')}

    assert found == expected


def test_every_foreign_key_is_the_start_of_an_index(chat: psycopg.Connection[Any]) -> None:
    """Otherwise deleting a parent would read the child's table from end to end."""
    without = chat.execute("""
        SELECT conname FROM pg_constraint AS k
        WHERE contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = conrelid AND (indkey::int2[])[0:cardinality(conkey) - 1] = conkey)
    """).fetchall()

    assert without == []
