"""Renames: those that the developer names, those that follow from them, and those that look like one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.errors import UsageError
from pipeline.generate.new_migrations import NewStatement
from pipeline.generate.style import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.schema.facts import Facts, Table

_KINDS = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW"}
_KEPT = (
    "A rename keeps the rows. Whoever uses the old name fails from here on: docs/expand-contract.md has the way around."
)


@dataclass(frozen=True, slots=True)
class _Named:
    """A --rename taken apart: `part` is the column or the label, or empty where all of it is meant."""

    relation: str
    part: str
    new: str


def named_renames(texts: Sequence[str], before: Facts) -> list[NewStatement]:
    """Turn `--rename old=new` into statements.

    "Thread=Conversation", "Message.content=body", "Mood.sad=gloomy"; and "Thread=talk.Thread" moves to another schema, also
    a type, a sequence or a function.

    Raises:
        UsageError: a text is not of that form, or names nothing that is there.
    """
    new_statements = [each for text in texts for each in _statements(_taken_apart(text), text, before)]
    return list(dict.fromkeys(new_statements))  # two that move to one new schema make it once


def following_renames(before: Facts, desired: Facts) -> list[NewStatement]:
    """Rename the indexes and constraints that are there under another name, on the same table and otherwise equal.

    Nothing is at stake but a name, so nobody needs to say so; built again they would cost a scan each.
    """
    new_statements = []
    constraints = _pairs(
        {key: definition for key, definition in before.constraints.items() if key not in desired.constraints},
        {key: definition for key, definition in desired.constraints.items() if key not in before.constraints},
    )
    for table, old, new in constraints:
        new_statements.append(
            _both_ways(f"ALTER TABLE {quoted(table)} RENAME CONSTRAINT {{}} TO {{}}", quoted(old), quoted(new), "")
        )
    indexes = _pairs(_loose_indexes(before, desired), _loose_indexes(desired, before))
    for _, old, new in indexes:
        sql, undo = (
            f"ALTER INDEX {quoted(old)} RENAME TO {quoted(_bare(new))}",
            f"ALTER INDEX {quoted(new)} RENAME TO {quoted(_bare(old))}",
        )
        new_statements.append(NewStatement(sql, undo=(undo,), is_rename=True))
    return new_statements


def probable_renames(before: Facts, desired: Facts) -> list[str]:
    """Say which `--rename` the developer may have meant: what is gone beside what is new and looks like it."""
    found = []
    gone, new = _only_in(before.tables, desired.tables), _only_in(desired.tables, before.tables)
    for old in gone:
        found += [_hint(old, name) for name in new if _alike(before.tables[old], desired.tables[name])]
    for old, kind in before.others.items():  # only one that moved: what else is alike, a name does not tell
        moved = [name for name, other in desired.others.items() if (other, _bare(name)) == (kind, _bare(old))]
        if old not in desired.others and len(moved) == 1 and moved[0] not in before.others:
            found.append(_hint(old, moved[0]))
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


def _hint(old: str, new: str) -> str:
    """As --rename takes it: without a schema, the new name is one in the old schema."""
    return f"--rename {old}={f'public.{new}' if '.' in old and '.' not in new else new}"


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _taken_apart(text: str) -> _Named:
    old, equals, new = text.partition("=")
    relation, _, part = old.strip().rpartition(".")
    if not relation:
        relation, part = part, ""
    if not equals or not relation or not new.strip():
        raise UsageError(
            f"--rename {text}: not of the form old=new",
            remedy="For a table: --rename Thread=Conversation. For a column: --rename Message.content=body.",
        )
    return _Named(relation, part, new.strip())


def _statements(named: _Named, text: str, before: Facts) -> list[NewStatement]:
    relation, part = named.relation, named.part
    kinds = {**before.others, **{name: _KINDS[table.kind] for name, table in before.tables.items()}}
    if part and f"{relation}.{part}" in kinds:
        relation, part = f"{relation}.{part}", ""  # of another schema
    if part in before.enums.get(relation, ()):
        template = f"ALTER TYPE {quoted(relation)} RENAME VALUE {{}} TO {{}}"
        why = "The rows that have it keep it, under its new name."
        return [_both_ways(template, literal(part), literal(named.new), why)]
    if relation not in kinds:
        raise UsageError(
            f"--rename {text}: the migrations build no table {relation!r}",
            remedy=f"There are: {', '.join(sorted(before.tables)) or 'none'}.",
        )
    if part and part not in (before.tables[relation].columns if relation in before.tables else ()):
        raise UsageError(
            f"--rename {text}: {relation!r} has no column {part!r}",
            remedy=f"It has: {', '.join(before.tables[relation].columns) if relation in before.tables else 'none'}.",
        )
    head = f"ALTER {kinds[relation]}"
    if part:
        new = named.new.rpartition(".")[2]
        return [_both_ways(f"{head} {quoted(relation)} RENAME COLUMN {{}} TO {{}}", quoted(part), quoted(new), _KEPT)]
    return _moved(head, relation, named.new, before)


def _moved(head: str, old: str, new: str, before: Facts) -> list[NewStatement]:
    """To another schema, to another name, or both."""
    old_schema, _, old_name = old.rpartition(".")
    new_schema, dot, new_name = new.rpartition(".")
    old_schema = old_schema or "public"
    new_schema = new_schema if dot else old_schema
    new_statements = []
    if new_schema != old_schema:
        if new_schema not in before.schemas:
            schema = quoted(new_schema)
            new_statements.append(
                NewStatement(f"CREATE SCHEMA {schema}", undo=(f"DROP SCHEMA {schema}",), is_rename=True)
            )
        there = f"{head} {quoted(_qualified(new_schema, old_name))} SET SCHEMA {quoted(old_schema)}"
        new_statements.append(
            NewStatement(f"{head} {quoted(old)} SET SCHEMA {quoted(new_schema)}", _KEPT, undo=(there,), is_rename=True)
        )
    if new_name != old_name:
        sql = f"{head} {quoted(_qualified(new_schema, old_name))} RENAME TO {quoted(new_name)}"
        undo = f"{head} {quoted(_qualified(new_schema, new_name))} RENAME TO {quoted(old_name)}"
        new_statements.append(NewStatement(sql, _KEPT, undo=(undo,), is_rename=True))
    return new_statements


def _qualified(schema: str, name: str) -> str:
    return name if schema == "public" else f"{schema}.{name}"


def _both_ways(template: str, old: str, new: str, why: str) -> NewStatement:
    return NewStatement(template.format(old, new), why, undo=(template.format(new, old),), is_rename=True)


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
