"""What expanding has to know of a column: its definition, what hangs on it, and the key by which its rows are gone through."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbclient.quoting import literal
from pipeline.errors import InvalidPlan, UsageError
from pipeline.generate.row_key import read_row_key
from pipeline.generate.style import quoted, spelled
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Session

_UNDEFINED_FUNCTION = "42883"

_COLUMN = """
SELECT json_build_object(
    'kind', c.relkind, 'is_part', c.relispartition OR EXISTS (SELECT FROM pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent)),
    'type', format_type(a.atttypid, a.atttypmod),
    'collation', (SELECT format('%I.%I', n.nspname, l.collname) FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
                    JOIN pg_type t ON t.oid = a.atttypid WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation),
    'not_null', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid),
    'made', a.attidentity <> '' OR a.attgenerated <> '' OR EXISTS (SELECT FROM pg_depend s
              WHERE s.refobjid = c.oid AND s.refobjsubid = a.attnum AND s.deptype IN ('a', 'i')
                AND s.classid = 'pg_class'::regclass
                AND (SELECT relkind FROM pg_class WHERE oid = s.objid) = 'S'),
    'constraints', (SELECT coalesce(json_agg(json_build_object('name', k.conname, 'kind', k.contype,
                       'definition', pg_get_constraintdef(k.oid),
                       'references', (SELECT format('%I.%I', n.nspname, r.relname) FROM pg_class r
                                        JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = k.confrelid),
                       'referenced', (SELECT attname FROM pg_attribute WHERE attrelid = k.confrelid
                                        AND attnum = k.confkey[array_position(k.conkey, a.attnum)])) ORDER BY k.conname), '[]')
                      FROM pg_constraint k WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND k.contype <> 'n'),
    'indexes', (SELECT coalesce(json_agg(json_build_object('name', x.relname, 'definition', pg_get_indexdef(x.oid))
                       ORDER BY x.relname), '[]')
                  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                 WHERE i.indrelid = c.oid
                   AND EXISTS (SELECT FROM pg_depend p WHERE p.classid = 'pg_class'::regclass AND p.objid = x.oid
                                  AND p.refobjid = c.oid AND p.refobjsubid = a.attnum)
                   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.conrelid = c.oid)),
    'referenced_by', (SELECT coalesce(json_agg(format('%s on %s', k.conname, k.conrelid::regclass) ORDER BY 1), '[]')
                        FROM pg_constraint k WHERE k.confrelid = c.oid AND a.attnum = ANY (k.confkey)),
    'used_by', (SELECT coalesce(json_agg(DISTINCT pg_describe_object(p.classid, p.objid, p.objsubid)), '[]')
                  FROM pg_depend p WHERE p.refclassid = 'pg_class'::regclass AND p.refobjid = c.oid AND p.refobjsubid = a.attnum
                   AND p.deptype IN ('n', 'a') AND p.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass,
                       'pg_trigger'::regclass, 'pg_proc'::regclass, 'pg_statistic_ext'::regclass)))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.oid = to_regclass({table}) AND a.attname = {column} AND NOT a.attisdropped AND a.attnum > 0
"""


@dataclass(frozen=True, slots=True)
class ColumnConstraint:
    """A constraint that names the column. A foreign key has what it `references`: the table, and the column of this one."""

    name: str
    kind: str  # pg_constraint.contype
    definition: str
    references: str = ""
    referenced: str = ""


@dataclass(frozen=True, slots=True)
class ColumnIndex:
    """An index that names the column, in its list, an expression or a predicate, and that is no constraint's."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column. `definition` is its type with a collation of its own; `default` is an expression, or None.

    `key` are the columns of a unique btree index without nulls, by which the rows can be gone through; `used_by` what else
    names it, as PostgreSQL describes it.
    """

    definition: str
    not_null: bool
    default: str | None
    constraints: tuple[ColumnConstraint, ...]
    indexes: tuple[ColumnIndex, ...]
    used_by: tuple[str, ...]
    key: tuple[str, ...]


def read_column(database: DatabaseURL, table: str, column: str) -> ColumnFacts:
    """Read it.

    Raises:
        UsageError: there is none of this name.
        InvalidPlan: it is of a kind that cannot be expanded: a key's, one that another table refers to, a made one.
    """
    with open_session(database, application_name="db-pipeline expand") as session:
        key = read_row_key(session, table, without=column)
        rows = session.run(_COLUMN.format(table=literal(quoted(table)), column=literal(column)))[-1].rows
    if not rows:
        raise UsageError(
            f"the migrations build no column {column!r} of a table {table!r}",
            remedy="Name it as TABLE.COLUMN, in schema.sql's spelling.",
        )
    found: dict[str, Any] = json.loads(str(rows[0][0]))
    if why := _why_not(found, key):
        raise InvalidPlan(
            f"{table}.{column} cannot stand double: {why}",
            remedy="Write the steps by hand: `./inv migrate --name … --empty` (docs/expand-contract.md).",
        )
    return ColumnFacts(
        spelled(found["type"]) + (f" COLLATE {found['collation']}" if found["collation"] else ""),
        bool(found["not_null"]),
        found["default"],
        tuple(
            ColumnConstraint(
                each["name"], each["kind"], each["definition"], each["references"] or "", each["referenced"] or ""
            )
            for each in found["constraints"]
        ),
        tuple(ColumnIndex(each["name"], each["definition"]) for each in found["indexes"]),
        tuple(found["used_by"]),
        key,
    )


def spelled_name(database: DatabaseURL, name: str) -> str:
    """The name as SQL needs it: one of PostgreSQL's keywords has quotes."""
    with open_session(database, application_name="db-pipeline expand") as session:
        return str(session.run(f"SELECT quote_ident({literal(name)})")[-1].rows[0][0])


def can_compare(database: DatabaseURL, type_: str) -> bool:
    """Whether values of this type can be told apart: json, xml and point have no `=`.

    Raises:
        UsageError: there is no such type.
    """
    with open_session(database, application_name="db-pipeline expand") as session:
        return _compares(session, type_)


def _compares(session: Session, type_: str) -> bool:
    try:
        session.run(f"SELECT NULL::{type_} IS DISTINCT FROM NULL::{type_}")
    except ServerError as error:
        if error.sqlstate == _UNDEFINED_FUNCTION:
            return False
        raise UsageError(f"{type_}: {error.message}", remedy="Write a type as CREATE TABLE takes it.") from error
    return True


def _why_not(found: Mapping[str, Any], key: Sequence[str]) -> str:
    if found["kind"] != "r" or found["is_part"]:
        return "its table is no plain one (partitioned, a partition, inherited, or a view)"
    if found["made"]:
        return "PostgreSQL makes its values (identity, serial or generated)"
    if any(each["kind"] == "p" for each in found["constraints"]):
        return "it is of the primary key, by which rows are known"
    if found["referenced_by"]:
        return f"other tables refer to it ({', '.join(found['referenced_by'])})"
    if not key:
        return "its table has no unique key without nulls, by which the rows could be gone through"
    return ""
