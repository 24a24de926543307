"""A preview of an environment whose rows are personal: its schema without a row, and what the history says of it.

Neon's schema-only branch has the tables of the history and nothing in them, so every migration would be pending. What is applied
is read on a copy of the environment that lasts for seconds, and both are cut at the same position. The environment itself is
not connected to.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import psycopg

from pipeline.errors import DatabaseFailed
from pipeline.history.tables import SCHEMA
from pipeline.leases import Purpose, give_back, lent, take
from pipeline.neon.failures import ApiError
from pipeline.neon.moments import Moment
from pipeline.postgres.connect import open_psycopg, where
from pipeline.postgres.lock import APPLICATION
from pipeline.preview.answering import require_branch

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from pipeline.environments.place import Parent
    from pipeline.leases import Lease
    from pipeline.neon import Compute, NeonClient

_NO_SUCH_MOMENT: Final = frozenset({400, 404, 406, 412, 416, 422})
_LASTS: Final = timedelta(hours=1)
# What says which migrations are applied. Not the fingerprints of passwords, nor how far a backfill is in which rows.
_TABLES: Final = ("_yoyo_version", "_yoyo_migration", "_yoyo_log")


def make_without_rows(client: NeonClient, parent: Parent, name: str, *, lasts: timedelta, compute: Compute) -> Lease:
    """Make the branch of a preview with the schema of an environment and its history, and no other row.

    Raises what `take` raises, and DatabaseFailed; then there is no such branch.
    """
    with lent(client, parent.source, Purpose.LOOK, word="history", lasts=_LASTS, compute=compute) as look:
        lease = _take_at(client, parent, look.branch.parent_lsn or "", name, lasts=lasts, compute=compute)
        try:
            for each in (look, lease):
                assert each.url is not None  # noqa: S101 - both have a compute
                require_branch(each.url, each.branch)
            _copy_history(look.url, lease.url)
        except BaseException:
            give_back(client, lease)
            raise
    return lease


def _take_at(client: NeonClient, parent: Parent, lsn: str, name: str, *, lasts: timedelta, compute: Compute) -> Lease:
    """At the position of the copy that was read, or as it is now, where Neon gives a schema of the present alone.

    Then a deploy in these seconds would show as a migration that fails here: the next run has it.
    """
    then = replace(parent.source, moment=Moment(lsn=lsn))
    try:
        return take(client, then, Purpose.PREVIEW, name, lasts=lasts, compute=compute, schema_only=True)
    except ApiError as refusal:
        if refusal.status not in _NO_SUCH_MOMENT or refusal.says_no_room:
            raise
        return take(client, parent.source, Purpose.PREVIEW, name, lasts=lasts, compute=compute, schema_only=True)


def _copy_history(source: DatabaseURL | None, target: DatabaseURL | None) -> None:
    assert source is not None  # noqa: S101 - the caller has looked
    assert target is not None  # noqa: S101 - likewise
    try:
        with _connect(source) as reading, _connect(target) as writing:
            for table in _TABLES:
                if _is_there(reading, table):
                    _copy(reading, writing, f"{SCHEMA}.{table}")
    except psycopg.Error as error:
        raise DatabaseFailed(
            f"the history could not be copied to {where(target)}: {error.diag.message_primary or 'the connection was lost'}",
            remedy="The branch is deleted again. Run it once more.",
        ) from None


def _connect(url: DatabaseURL) -> psycopg.Connection[Any]:
    return open_psycopg(url, application_name=f"{APPLICATION} preview")


def _is_there(connection: psycopg.Connection[Any], table: str) -> bool:
    row = connection.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [f"{SCHEMA}.{table}"]).fetchone()
    return bool(row and row[0])


def _copy(reading: psycopg.Connection[Any], writing: psycopg.Connection[Any], table: str) -> None:
    with (
        reading.cursor().copy(f"COPY {table} TO STDOUT") as rows,
        writing.cursor().copy(f"COPY {table} FROM STDIN") as into,
    ):
        for data in rows:
            into.write(data)
