"""JSON as Python values, on every connection that the typed queries use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg


def dump(value: object) -> str:
    """Write a value as JSON. PostgreSQL's has no NaN, so a ValueError is raised for one."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dump_or_null(value: object) -> str | None:
    """Write a value as JSON, but None as SQL's NULL."""
    return None if value is None else dump(value)


async def prepare_connection(connection: asyncpg.Connection) -> None:
    """Make a connection read and write jsonb and json as Python values.

    The pool does it for its own connections; do it for one that was made without the pool.
    """
    for name in ("jsonb", "json"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=dump, decoder=json.loads, format="text")
