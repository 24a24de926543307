"""Renames: those that the developer names, those that follow from them, and those that look like one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.generate.parts import Piece
from pipeline.generate.spelling import quoted
from pipeline.postgres.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.generate.facts import Facts, Table

_KINDS = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW"}
_KEPT = (
    "A rename keeps the rows. Whoever uses the old name fails from here on: docs/expand-contract.md has the way around."
)


@dataclass(frozen=True, slots=True)
class _Named:
    """A --rename taken apart: `part` is the column, or empty for a relation."""

    relation: str
    part: str
    new: str


def named_renames(texts: Sequence[str], before: Facts) -> list[Piece]:
    """Turn `--rename old=new` into statements: "Thread=Conversation", "Message.content=body", "Mood.sad=gloomy".

    Raises:
        UsageError: a text is not of that form, or names nothing that is there.
    """
    return [_statement(_taken_apart(text), text, before) for text in texts]


def following_renames(before: Facts, desired: Facts) -> list[Piece]:
    """Rename the indexes and constraints that are there under another name, on the same table and otherwise equal.

    Nothing is at stake but a name, so nobody needs to say so; built again they would cost a scan each.
    """
    pieces = []
    constraints = _pairs(
        {key: definition for key, definition in before.constraints.items() if key not in desired.constraints},
        {key: definition for key, definition in desired.constraints.items() if key not in before.constraints},
    )
    for table, old, new in constraints:
        pieces.append(
            _both_ways(f"ALTER TABLE {quoted(table)} RENAME CONSTRAINT {{}} TO {{}}", quoted(old), quoted(new), "")
        )
    indexes = _pairs(_loose_indexes(before, desired), _loose_indexes(desired, before))
    for _, old, new in indexes:
        sql, undo = (
            f"ALTER INDEX {quoted(old)} RENAME TO {quoted(new)}",
            f"ALTER INDEX {quoted(new)} RENAME TO {quoted(old)}",
        )
        pieces.append(Piece(sql, undo=(undo,)))
    return pieces


def probable_renames(before: Facts, desired: Facts) -> list[str]:
    """Say which `--rename` the developer may have meant: what is gone beside what is new and looks like it."""
    found = []
    gone, new = _only_in(before.tables, desired.tables), _only_in(desired.tables, before.tables)
    for old in gone:
        found += [f"--rename {old}={name}" for name in new if _alike(before.tables[old], desired.tables[name])]
    for name, labels in before.enums.items():
        after_labels = desired.enums.get(name, [])
        if len(labels) == len(after_labels):
            found += [
                f"--rename {name}.{old}={now}" for old, now in zip(labels, after_labels, strict=True) if old != now
            ]
    for name, table in before.tables.items():
        if name in desired.tables and table.kind in {"r", "p"}:
            after = desired.tables[name]
            for old in _only_in(table.columns, after.columns):
                alike = [
                    column
                    for column in _only_in(after.columns, table.columns)
                    if after.columns[column].type == table.columns[old].type
                ]
                found += [f"--rename {name}.{old}={column}" for column in alike]
    return found


def _taken_apart(text: str) -> _Named:
    old, equals, new = text.partition("=")
    relation, _, part = old.strip().rpartition(".")
    if not relation:
        relation, part = part, ""
    new = new.strip().rpartition(".")[2]
    if not equals or not relation or not new:
        raise UsageError(
            f"--rename {text}: not of the form old=new",
            remedy="For a table: --rename Thread=Conversation. For a column: --rename Message.content=body.",
        )
    return _Named(relation, part, new)


def _statement(named: _Named, text: str, before: Facts) -> Piece:
    relation, part = named.relation, named.part
    if part and f"{relation}.{part}" in before.tables:
        relation, part = f"{relation}.{part}", ""  # a table of another schema
    if part in before.enums.get(relation, ()):
        template = f"ALTER TYPE {quoted(relation)} RENAME VALUE {{}} TO {{}}"
        return _both_ways(
            template, literal(part), literal(named.new), "The rows that have it keep it, under its new name."
        )
    if relation not in before.tables:
        raise UsageError(
            f"--rename {text}: the migrations build no table {relation!r}",
            remedy=f"There are: {', '.join(sorted(before.tables)) or 'none'}.",
        )
    if part and part not in before.tables[relation].columns:
        raise UsageError(
            f"--rename {text}: {relation!r} has no column {part!r}",
            remedy=f"It has: {', '.join(before.tables[relation].columns)}.",
        )
    head = f"ALTER {_KINDS[before.tables[relation].kind]}"
    if part:
        return _both_ways(
            f"{head} {quoted(relation)} RENAME COLUMN {{}} TO {{}}", quoted(part), quoted(named.new), _KEPT
        )
    schema = relation.rpartition(".")[0]
    renamed = f"{schema}.{named.new}" if schema else named.new
    old_name = relation.rpartition(".")[2]
    return Piece(
        f"{head} {quoted(relation)} RENAME TO {quoted(named.new)}",
        _KEPT,
        undo=(f"{head} {quoted(renamed)} RENAME TO {quoted(old_name)}",),
    )


def _both_ways(template: str, old: str, new: str, why: str) -> Piece:
    return Piece(template.format(old, new), why, undo=(template.format(new, old),))


def _pairs(gone: Mapping[tuple[str, str], str], new: Mapping[tuple[str, str], str]) -> Iterable[tuple[str, str, str]]:
    """Match what is gone with what is new on the same table and otherwise equal, where only one fits."""
    for (table, old), definition in sorted(gone.items()):
        fitting = [name for (other, name), text in new.items() if other == table and text == definition]
        rivals = [name for (other, name), text in gone.items() if other == table and text == definition]
        if len(fitting) == 1 and len(rivals) == 1:
            yield table, old, fitting[0]


def _loose_indexes(facts: Facts, other: Facts) -> dict[tuple[str, str], str]:
    """The indexes that belong to no constraint and are not in the other, with their definitions without the name."""
    return {
        (index.table, name): index.definition.replace(f"{name.rpartition('.')[2]}", "", 1).replace('""', "", 1)
        for name, index in facts.indexes.items()
        if not index.constraint and name not in other.indexes
    }


def _only_in(names: Mapping[str, object], others: Mapping[str, object]) -> list[str]:
    return [name for name in names if name not in others]


def _alike(old: Table, new: Table) -> bool:
    """Whether at least two thirds of the columns are the same, by name and type."""
    left = {(name, column.type) for name, column in old.columns.items()}
    right = {(name, column.type) for name, column in new.columns.items()}
    return old.kind == new.kind and len(left & right) * 3 >= max(len(left), len(right)) * 2
