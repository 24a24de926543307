"""The key of a backfill, as the server has it: an order in which every row has its place, and an index that gives it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.errors import MigrationFileError
from pipeline.migrations.sql_text import tokens
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.batched import Batched
    from pipeline.postgres.session import Session

# Unique, valid, of all rows, btree, on plain columns that are NOT NULL; in one direction, and in the order that `<` has, since
# ranges of several columns are found with (a, b) > (…).
_INDEXES = """
SELECT c.relname, pg_catalog.array_to_json(k.names), pg_catalog.array_to_json(k.types)
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
 CROSS JOIN LATERAL (
       SELECT pg_catalog.array_agg(a.attname::text ORDER BY p.at) AS names,
              pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY p.at) AS types,
              pg_catalog.bool_and(a.attnotnull AND o.opcdefault AND i.indcollation[p.at] = a.attcollation
                                  AND i.indoption[p.at] & 1 = i.indoption[0] & 1) AS fits
         FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS p (at)
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p.at]
         LEFT JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[p.at]) AS k
 WHERE i.indrelid = {table}::pg_catalog.regclass AND i.indisunique AND i.indisvalid
   AND i.indpred IS NULL AND i.indexprs IS NULL AND k.fits
 ORDER BY i.indisprimary DESC, c.relname
"""


@dataclass(frozen=True, slots=True)
class Key:
    """The index that gives the order, and the types of its columns, as casts name them."""

    index: str
    types: tuple[str, ...]

    def of(self, parameter: str) -> str:
        """The key that a parameter holds as an array of texts, as SQL."""
        values = [f"{parameter}[{number}]::{type_}" for number, type_ in enumerate(self.types, start=1)]
        return _row(values)


def between(batched: Batched, key: Key) -> str:
    """The condition of the rows behind the key in $1, through the one in $2."""
    columns = _row(batched.columns())
    return f"{columns} > {key.of('$1')} AND {columns} <= {key.of('$2')}"


def through(batched: Batched, key: Key) -> str:
    """The condition of all rows through the key in $2."""
    # $1 has its type from here on, though nothing is compared with it
    return f"$1::text[] IS NULL AND {_row(batched.columns())} <= {key.of('$2')}"


def read_key(session: Session, file: MigrationFile, batched: Batched) -> Key:
    """The key that a file names.

    Raises:
        MigrationFileError: there is no such table, or no index that could be the key.
    """
    where = f"{file.path}:{batched.line}"
    try:
        rows = session.run(_INDEXES.format(table=literal(batched.table)))[0].rows
    except ServerError as error:
        raise MigrationFileError(
            f"the table of `batched=`: {error.fields.get('message', '')}",
            where=where,
            remedy="Write the table's name as SQL has it, with its schema where that is not public.",
        ) from error
    wanted = [next(tokens(column)).identifier for column in batched.key]
    found = [(name or "", json.loads(names or "[]"), json.loads(types or "[]")) for name, names, types in rows]
    for name, names, types in found:
        if names == wanted:
            return Key(name, tuple(types))
    could = "; ".join(", ".join(names) for _, names, _ in found)
    raise MigrationFileError(
        f"{', '.join(batched.key)} is no key of {batched.table}: a backfill goes through the rows in the order of a unique, "
        "valid btree index of all rows, whose columns are NOT NULL and stand in one direction",
        where=where,
        remedy=f"Name the columns of one, in their order. The table has: {could}."
        if could
        else "The table has none: make one first, CREATE UNIQUE INDEX CONCURRENTLY in a file of its own.",
    )


def _row(values: list[str] | tuple[str, ...]) -> str:
    return values[0] if len(values) == 1 else f"({', '.join(values)})"
