"""Steps of the differ that are better said as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.generate.spelling import quoted
from pipeline.migrations.phrase import altered_table, contains
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.generate.difference import Step
    from pipeline.schema.facts import Facts


@dataclass(frozen=True, slots=True)
class _Clause:
    """The one clause of an ALTER TABLE: "drop column", "add column" or "add foreign key", of which column, and the rest."""

    kind: str
    table: str
    column: str
    rest: str
    name: str = ""  # of the foreign key


def merged(steps: Sequence[Step], before: Facts) -> list[Step]:
    """Merge what belongs together.

    A column that is dropped and added with the same type has another collation: the server changes that in place, with
    the rows kept. A foreign key on a column that is new and null in every row comes with the column: nothing is read.
    """
    clauses = [_clause(step) for step in steps]
    result: list[Step | None] = list(steps)
    for at, clause in enumerate(clauses):
        if clause is None or clause.table not in before.tables:
            continue
        for earlier, other in enumerate(clauses[:at]):
            if other is None or result[earlier] is None or (other.table, other.column) != (clause.table, clause.column):
                continue
            sql = _in_place(other, clause, before) or _with_its_key(other, clause)
            if sql:
                result[earlier] = None
                result[at] = replace(steps[at], sql=sql, destructive=False)
    return [step for step in result if step is not None]


def _in_place(dropped: _Clause, added: _Clause, before: Facts) -> str:
    """The statement that gives a column another collation, or nothing when there is more to it."""
    if (dropped.kind, added.kind) != ("drop column", "add column"):
        return ""
    column = before.tables[added.table].columns.get(added.column)
    type_, _, collation = added.rest.partition(" COLLATE ")
    if column is None or column.type != type_ or column.not_null or column.has_default or " " in collation.strip():
        return ""
    return f"ALTER TABLE {quoted(added.table)} ALTER COLUMN {quoted(added.column)} TYPE {added.rest}"


def _with_its_key(column: _Clause, key: _Clause) -> str:
    """The statement that adds a column together with its foreign key, or nothing when rows would have to be read."""
    words = statements(f"SELECT {column.rest}")[0].words
    if (column.kind, key.kind) != ("add column", "add foreign key") or {"DEFAULT", "GENERATED"} & set(words):
        return ""
    if contains(words, "NOT", "NULL") or key.rest.endswith("NOT VALID"):
        return ""
    reference = key.rest[key.rest.index("REFERENCES") :]
    return (
        f"ALTER TABLE {quoted(column.table)} ADD COLUMN {quoted(column.column)} {column.rest} "
        f"CONSTRAINT {quoted(key.name)} {reference}"
    )


def _clause(step: Step) -> _Clause | None:
    table, clauses = altered_table(statements(step.sql)[0])
    if len(clauses) != 1 or step.verbatim:
        return None
    clause = clauses[0]
    if clause.take("DROP", "COLUMN"):
        return _Clause("drop column", table, clause.name(), "")
    if clause.take("ADD", "COLUMN"):
        return _Clause("add column", table, clause.name(), clause.rest_text)
    if clause.take("ADD", "CONSTRAINT"):
        name, rest = clause.name(), clause.rest_text
        if clause.take("FOREIGN", "KEY", "("):
            columns = clause.names()
            if len(columns) == 1:
                return _Clause("add foreign key", table, columns[0], rest, name)
    return None
