"""The proof that both releases work: an old and a new writer behind each file of an expansion.

They write to a clone of the shadow database in which the table's other rules are lifted, so that a row needs a value for its
key and the column alone. Nothing of the clone is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from dbclient.quoting import identifier, literal
from pipeline.deploy import apply
from pipeline.deploy.target import Target
from pipeline.generate.expanding.expressions import with_cast, with_value
from pipeline.generate.style import quoted
from pipeline.kinds.one_table import LIFTED, WRITTEN
from pipeline.migrations import Folder
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.generate.expanding import Change
    from pipeline.generate.expanding.columns import ColumnFacts
    from pipeline.postgres.session import Session

_APPLICATION = "db-pipeline writers"
_ENOUGH = 2  # values that differ: one to write, one to write over it
_MOST = 4  # two more for the rows from before, where the column is unique

# Values to write where the local rows and the column's own rules have none: by the type's name, else by its category
# (PostgreSQL's documentation, pg_type, "typcategory Codes").
_SAMPLES: dict[str, tuple[str, ...]] = {
    "N": ("1", "2", "3", "4"),
    "B": ("true", "false"),
    "S": ("old", "new", "older", "newer"),
    "D": tuple(f"200{n}-02-03 04:05:06" for n in range(1, 5)),
    "T": tuple(f"{n} hours" for n in range(1, 5)),
    "A": ("{}", "{1}", "{2}", "{3}"),
    "I": tuple(f"192.0.2.{n}" for n in range(1, 5)),
    "uuid": tuple(f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 5)),
    "json": ("{}", '{"a": 1}', '{"a": 2}', '{"a": 3}'),
    "jsonb": ("{}", '{"a": 1}', '{"a": 2}', '{"a": 3}'),
    "bytea": ("\\x01", "\\x02", "\\x03", "\\x04"),
}
_KEYS = {
    "N": "{n}",
    "S": "'writer {n}'",
    "D": "timestamp '2001-01-01' + {n} * interval '1 day'",
    "uuid": "gen_random_uuid()",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it: `problems` are proven, `doubts` say what was not tried, and why."""

    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def try_writers(
    clone: DatabaseURL,
    folder: Folder,
    ids: Sequence[str],
    change: Change,
    column: ColumnFacts,
    *,
    local: DatabaseURL,
    backfill: str,
) -> Tried:
    """Apply the files of an expansion one by one to `clone`, and behind each write as the old and as the new release does.

    Rows from before have every kind of value: behind the file `backfill` they are as the others.
    """
    writers = _Writers(change, column)
    with open_session(clone, application_name=_APPLICATION) as session:
        values = writers.prepare(session, _values_of(local, change))
    if len(values) < _ENOUGH:
        why = "no two values could be found that its rules allow; rows of the local database give some"
        return Tried(doubts=(f"old and new writers of {change.table}.{change.old} were not tried: {why}",))
    for id_ in ids:
        files = tuple(file for file in folder.files if file.id <= id_)
        apply(clone, Folder(folder.path, files, folder.faults), target=Target(), verb="prove")
        with open_session(clone, application_name=_APPLICATION) as session:
            if problem := writers.write(session, values) or (id_ >= backfill and writers.differ(session)) or "":
                return Tried((f"behind {id_} {problem}",))
    return Tried()


def _values_of(local: DatabaseURL, change: Change) -> list[str]:
    """Some that the column has in the local database."""
    column, table = quoted(change.old), quoted(change.table)
    with open_session(local, application_name=_APPLICATION) as session:
        try:
            rows = session.run(f"SELECT DISTINCT {column}::text FROM {table} WHERE {column} IS NOT NULL LIMIT {_MOST}")[
                -1
            ].rows
        except ServerError:  # not built, or otherwise
            return []
    return [row[0] or "" for row in rows]


class _Writers:
    """The two releases' writers. A row has a key of its own each time."""

    def __init__(self, change: Change, column: ColumnFacts) -> None:
        self._change = change
        self._column = column
        self._table = quoted(change.table)
        self._old, self._new = quoted(change.old), quoted(change.new)
        self._keys: dict[str, str] = {}
        self._numbers = count(1)

    def prepare(self, session: Session, local: Sequence[str]) -> list[str]:
        """Lift the table's other rules, and write the rows from before; the values that the column takes, at most two."""
        columns = {str(row[0]): row for row in session.run(WRITTEN.format(table=literal(self._table)))[-1].rows}
        for name in self._column.key:
            _, type_, category, has_default, _ = columns[name]
            if has_default != "t":
                self._keys[name] = _KEYS.get(str(type_)) or _KEYS.get(str(category)) or "NULL"
        self._lift(session, self._table, [each.name for each in self._column.constraints], [self._change.old])
        for each in self._column.constraints:
            if each.references:
                self._lift(session, each.references, [], [])
        _, type_, category, _, labels = columns[self._change.old]
        samples = _SAMPLES.get(str(type_)) or _SAMPLES.get(str(category), ())
        values: list[str] = []
        for value in dict.fromkeys([*local, *(labels.split("\n") if labels else ()), *self._in_rules(), *samples]):
            if len(values) < _MOST and self._is_taken(session, value):
                values.append(value)
        before = [self._as_old(value) for value in (values[_ENOUGH:] if self._is_unique else values)]
        for typed in before if self._column.not_null else [*before, "NULL"]:
            session.run(self._insert({self._old: typed}))
        return values[:_ENOUGH]

    @property
    def _is_unique(self) -> bool:
        """Whether the writers cannot write what a row from before has."""
        column = self._column
        return any(each.definition.startswith("CREATE UNIQUE") for each in column.indexes) or any(
            each.kind in {"u", "x"} for each in column.constraints
        )

    def write(self, session: Session, values: Sequence[str]) -> str:
        """Let both write; what is wrong then, or empty."""
        for who, column in (("an old", self._old), ("a new", self._new)):
            typed = [self._as_old(value) for value in values]
            written = [value if column == self._old else self._forward(value) for value in typed]
            try:
                inserted = f"{self._insert({column: written[0]})} RETURNING ctid, {self._is_right(typed[0])}"
                place, is_right = session.run(inserted)[-1].rows[0]
                if is_right == "t":
                    changed = f"UPDATE {self._table} SET {column} = {written[1]} WHERE ctid = {literal(str(place))}"
                    place, is_right = session.run(f"{changed} RETURNING ctid, {self._is_right(typed[1])}")[-1].rows[0]
                session.run(f"DELETE FROM {self._table} WHERE ctid = {literal(str(place))}")
            except ServerError as error:
                return f"{who} writer fails: {error.message}"
            if is_right != "t":
                return f"{self._old} and {self._new} are not kept equal for {who} writer"
        return ""

    def differ(self, session: Session) -> str:
        """Say how many rows from before are not as the others yet; empty where none is."""
        wrong = f"{self._new}::text IS DISTINCT FROM ({with_cast(self._change)})::text"
        rows = session.run(f"SELECT count(*) FROM {self._table} WHERE {wrong}")[-1].rows
        return "" if rows[0][0] == "0" else f"{rows[0][0]} rows have not their {self._new} yet"

    def _lift(self, session: Session, table: str, kept: Iterable[str], columns: Iterable[str]) -> None:
        found = session.run(
            LIFTED.format(table=literal(table), kept=_array(kept), columns=_array([*columns, *self._keys]))
        )[-1].rows
        for row in found:
            session.run(str(row[0]))

    def _is_taken(self, session: Session, value: str) -> bool:
        """Whether the column's rules allow it, and it comes back; what it refers to is written."""
        typed = self._as_old(value)
        back = with_value(self._change.back, self._change.new, f"({self._forward(typed)})")
        same = f"({back})::text = ({typed})::text"
        references = [each for each in self._column.constraints if each.references]
        try:
            for each in references:
                row = f"INSERT INTO {each.references} ({identifier(each.referenced)}) VALUES ({typed})"
                session.run(f"{row} ON CONFLICT DO NOTHING")
            return session.run(f"BEGIN;{self._insert({self._old: typed})} RETURNING {same}")[-1].rows[0][0] == "t"
        except ServerError:
            return False
        finally:
            session.run("ROLLBACK")

    def _in_rules(self) -> list[str]:
        """The strings in the column's checks, as those of a list of words that it may have."""
        texts = [each.definition for each in self._column.constraints if each.kind == "c"]
        return [found.replace("''", "'") for text in texts for found in re.findall(r"'((?:[^']|'')*)'", text)]

    def _insert(self, values: dict[str, str]) -> str:
        number = next(self._numbers)
        row = {identifier(name): sql.format(n=number) for name, sql in self._keys.items()} | values
        return f"INSERT INTO {self._table} ({', '.join(row)}) VALUES ({', '.join(row.values())})"

    def _as_old(self, value: str) -> str:
        return f"{literal(value)}::{self._column.type}"

    def _forward(self, old: str) -> str:
        return with_value(with_cast(self._change), self._change.old, f"({old})")

    def _is_right(self, old: str) -> str:
        is_old = f"{self._old}::text = ({old})::text"
        return f"{is_old} AND {self._new}::text IS NOT DISTINCT FROM ({with_cast(self._change)})::text"


def _array(texts: Iterable[str]) -> str:
    return "ARRAY[" + ", ".join(literal(text) for text in texts) + "]"
