"""The schema and the history of a copy, each as one digest."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg

from pipeline.errors import DatabaseFailed
from pipeline.postgres.connect import open_psycopg, where
from pipeline.postgres.lock import APPLICATION
from pipeline.schema.fingerprint import Fingerprints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbclient.url import DatabaseURL
    from pipeline.migrations.plan import Applied


def schema_digest(url: DatabaseURL) -> str:
    """The digest of everything that a migration can make, but for the history.

    Raises:
        DatabaseFailed: no connection, or it was lost.
    """
    try:
        with open_psycopg(url, application_name=f"{APPLICATION} rehearse") as connection:
            return Fingerprints(connection).take()
    except psycopg.Error as error:
        raise DatabaseFailed(f"the schema of {where(url)} could not be read: {type(error).__name__}") from None


def history_digest(applied: Mapping[str, Applied]) -> str:
    """The digest of what is applied: ids and checksums."""
    lines = (f"{each.id} {each.checksum}\n" for each in sorted(applied.values(), key=lambda each: each.id))
    return sha256("".join(lines).encode()).hexdigest()
