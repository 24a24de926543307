"""JSON as Python values, on every connection that the typed queries use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chatdb.readable import dump_checked

if TYPE_CHECKING:
    import asyncpg


def dump(value: object) -> str:
    """Write a value as JSON that every client reads back as the same. Raises UnreadableValue, a ValueError."""
    return dump_checked("a JSON value", value)


async def prepare_connection(connection: asyncpg.Connection) -> None:
    """Make a connection read and write jsonb and json as Python values.

    The pool does it for its own connections; do it for one that was made without the pool.
    """
    for name in ("jsonb", "json"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=dump, decoder=json.loads, format="text")
