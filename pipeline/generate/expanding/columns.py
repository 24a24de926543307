"""What expanding has to know of a column: its definition, what hangs on it, and the key by which its rows are gone through."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbclient.quoting import literal
from pipeline.errors import InvalidPlan, UsageError
from pipeline.generate.row_key import read_row_key
from pipeline.generate.style import quoted, spelled
from pipeline.kinds.one_table import COLUMN
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Session

_UNDEFINED_FUNCTION = "42883"


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
    """A column. `collation` is one of its own, quoted, or empty; `default` is an expression, or None.

    `key` are the columns of a unique btree index without nulls, by which the rows can be gone through; `used_by` what else
    names it, as PostgreSQL describes it.
    """

    type: str
    collation: str
    not_null: bool
    default: str | None
    constraints: tuple[ColumnConstraint, ...]
    indexes: tuple[ColumnIndex, ...]
    used_by: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def definition(self) -> str:
        """Its type with its collation, as ADD COLUMN takes it."""
        return f"{self.type} COLLATE {self.collation}" if self.collation else self.type


def read_column(database: DatabaseURL, table: str, column: str) -> ColumnFacts:
    """Read it.

    Raises:
        UsageError: there is none of this name.
        InvalidPlan: it is of a kind that cannot be expanded: a key's, one that another table refers to, a made one.
    """
    with open_session(database, application_name="db-pipeline expand") as session:
        key = read_row_key(session, table, without=column)
        rows = session.run(COLUMN.format(table=literal(quoted(table)), column=literal(column)))[-1].rows
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
        spelled(found["type"]),
        found["collation"] or "",
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
