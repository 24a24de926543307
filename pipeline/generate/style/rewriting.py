"""The differ's steps before they are written: in an order that runs, merged where one says more, and corrected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.generate.new_migrations import NewStatement
from pipeline.generate.style import quoted, spelled
from pipeline.lint.column_types import casts_by_itself, new_type, rewrites, widens
from pipeline.migrations.phrase import altered_table, contains
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.generate.differ import Step
    from pipeline.migrations.phrase import Phrase
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Column, Facts


_CHANGES = {
    "TYPE": "type",
    "SET DATA TYPE": "type",
    "SET DEFAULT": "set default",
    "DROP DEFAULT": "drop default",
    "SET NOT NULL": "not null",
    "ADD GENERATED": "identity",
}
# A default of the new type cannot be held by the old one; only a column that is NOT NULL can become an identity.
_BEHIND = {"set default": "type", "identity": "not null"}


@dataclass(frozen=True, slots=True)
class _Change:
    """What a step does to a column; `kind` is empty where it does nothing of these."""

    kind: str = ""
    column: tuple[str, str] = ("", "")


def ordered(steps: Sequence[Step]) -> list[Step]:
    """Put each change of a column behind the one that it needs, and leave out what is said twice."""
    once = _once(steps)
    changes = [_change_of(step) for step in once]

    def position(at: int) -> tuple[int, bool]:
        first = _Change(_BEHIND.get(changes[at].kind, "none"), changes[at].column)
        needed = max((number for number, change in enumerate(changes) if change == first), default=-1)
        return max(at, needed), needed > at

    return [once[at] for at in sorted(range(len(once)), key=position)]


def _once(steps: Sequence[Step]) -> list[Step]:
    """Without the second DROP DEFAULT of a column, and without the first of two equal SET DEFAULT."""
    kept = []
    for at, step in enumerate(steps):
        kind = _change_of(step).kind
        others = {"drop default": steps[:at], "set default": steps[at + 1 :]}.get(kind, ())
        if not any(step.sql == other.sql for other in others):
            kept.append(step)
    return kept


def _change_of(step: Step) -> _Change:
    table, clauses = altered_table(statements(step.sql)[0])
    if len(clauses) != 1 or step.verbatim or not clauses[0].take("ALTER", "COLUMN"):
        return _Change()
    column = clauses[0].name()
    return _Change(_CHANGES.get(clauses[0].take_any(*_CHANGES), ""), (table, column))


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


_WITH_KEY = (
    "A new column without a default is null in every row, so PostgreSQL takes the foreign key that comes with it as valid "
    "without reading the table."
)
_ABOUT_KEY = ("adding-foreign-key-constraint", "there is nothing to read, see above")


def rewritten(statement: Statement, before: Facts) -> NewStatement | None:
    """Write the statement anew, or None when it does nothing."""
    table, clauses = altered_table(statement)
    if len(clauses) == 1 and table in before.tables:
        clause = clauses[0]
        if clause.take("ALTER", "COLUMN"):
            column = before.tables[table].columns.get(name := clause.name())
            if column is not None and clause.take("DROP", "DEFAULT") and not column.has_default:
                return None
            if column is not None and clause.take("TYPE"):
                return _retyped(table, name, column, clause)
        if _is_new_key(clauses[0]):
            return NewStatement(spelled(statement.text), _WITH_KEY, answers=(_ABOUT_KEY,))
    return NewStatement(spelled(statement.text))


def _is_new_key(clause: Phrase) -> bool:
    """Whether the clause adds a column with its foreign key, as `merging` says it."""
    if not clause.take("ADD", "COLUMN"):
        return False
    words = clause.clause_words()
    return "REFERENCES" in words and "DEFAULT" not in words


def _retyped(table: str, name: str, column: Column, clause: Phrase) -> NewStatement:
    type_ = new_type(clause)
    head = f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(name)} TYPE "
    text = clause.rest_text
    if casts_by_itself(column.type, type_):
        text = text.split(" USING ")[0]
        if not rewrites(column.type, type_):
            return NewStatement(
                spelled(head + text), answers=(("table-rewrite", f"from {column.type} no row is written again"),)
            )
        why = "" if widens(column.type, type_) else f"It was {column.type}. A value that does not fit stops this file."
        return NewStatement(spelled(head + text), why)
    return NewStatement(
        spelled(head + text), f"It was {column.type}. Rows are converted one by one: look at the USING clause."
    )
