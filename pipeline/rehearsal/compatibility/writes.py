"""What the new rules of a table refuse of what a statement may write, or give it that it did not have before.

An INSERT's plan has what goes into every column of the table, so that a column that it does not name is seen, too: the
default, or NULL. That a parameter may be NULL is known where the catalogue saw it. Beyond that a statement may write any
value: a uniqueness that was not there before may refuse it, and so may an enum, or a list in a CHECK, that lost a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.migrations.phrase import names_in
from pipeline.migrations.sql_text import statements
from pipeline.rehearsal.compatibility.assigning import assignments
from pipeline.rehearsal.compatibility.plans import is_null, parameter
from pipeline.rehearsal.compatibility.rules import CHECK, ENUM, UNIQUE
from pipeline.rehearsal.result import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.rehearsal.compatibility.catalogue import Sent
    from pipeline.rehearsal.compatibility.plans import Insert, Relation, Work
    from pipeline.rehearsal.compatibility.rules import Rules, Table, Unique


# Kinds of types, as format_type names them, that differ in what they take; and the SQLSTATE with which a value is refused.
_LENGTHS = {("text", "character varying", "character"): "22001", ("numeric",): "22003"}
_TYPE = re.compile(r"(?P<name>[a-z ]+)(?:\((?P<length>\d+)(?:,(?P<scale>-?\d+))?\))?")


@dataclass(frozen=True, slots=True)
class Finding:
    """A trouble of one statement: the fields of StatementTrouble that are not the statement's own."""

    trouble: Trouble
    reason: str
    sqlstate: str = ""
    table: str = ""
    name: str = ""
    rows: int | None = None


@dataclass(frozen=True)
class _Written:
    """What a statement writes into a table: each column's value as the server or the statement writes it.

    `was` is what an INSERT wrote before. Of an UPDATE only the columns that it names are there.
    """

    old: Table | None
    new: Table
    values: Mapping[str, str]
    was: Mapping[str, str]
    named: frozenset[str]  # the columns that the statement's text has
    nulls: frozenset[int]
    is_update: bool

    def gives(self, column: str) -> bool:
        """Whether the statement itself says what goes into the column, and not NULL."""
        value = self.values.get(column, "NULL::")
        return not is_null(value) and (column in self.named or parameter(value) is not None)

    def may_be_null(self, value: str) -> bool:
        """Whether it is NULL, or a parameter that was seen to be."""
        return is_null(value) or value.upper() == "NULL" or parameter(value) in self.nulls


def refused_writes(
    sent: Sent, before: Rules, after: Rules, was: Work | None, now: Work, *, is_running: bool
) -> Iterator[Finding]:
    """What becomes of the rows that a statement writes. One that does not run yet (`is_running`) has no before."""
    for written in _written(sent, before, after, was, now):
        yield from _nulls(written, is_running=is_running)
        if is_running and written.old is not None:
            yield from _lost_defaults(written)
            yield from _new_uniques(written, written.old)
            yield from _gone_values(written, written.old, before, after)
            yield from _narrower(written, written.old)


def refused_reads(sent: Sent, before: Rules, after: Rules, parameters: Sequence[str]) -> Iterator[Finding]:
    """The enums among a statement's parameters, or casts, that lost a value: it may send that."""
    names = _names(sent.sql)
    for type_, labels in before.enums.items():
        left = after.enums.get(type_)
        used = {type_, f"{type_}[]"} & set(parameters) or type_.rpartition(".")[2].strip('"') in names
        if left is not None and labels - left and used:
            yield Finding(Trouble.FAILS, "value gone", ENUM, name=type_)


def _written(sent: Sent, before: Rules, after: Rules, was: Work | None, now: Work) -> Iterator[_Written]:
    names = _names(sent.sql)
    olds: dict[Relation, list[Insert]] = {}
    for insert in was.inserts if was else ():
        olds.setdefault(insert.table, []).append(insert)
    for insert in now.inserts:
        new, old = after.tables.get(insert.table), before.tables.get(insert.table)
        if new is None or len(insert.values) != len(new.columns):
            continue
        same = olds.get(insert.table)
        earlier = same.pop(0) if same else None
        yield _Written(
            old,
            new,
            _by_column(new, insert),
            _by_column(old, earlier) if old and earlier and len(earlier.values) == len(old.columns) else {},
            names,
            sent.nulls,
            is_update=False,
        )
    updates = {table[1]: table for table in {*now.updates, *(insert.table for insert in now.inserts)}}
    for name, values in assignments(sent.sql):
        table = updates.get(name)
        if table is not None and table in after.tables:
            columns = frozenset(values)
            yield _Written(
                before.tables.get(table), after.tables[table], values, {}, columns, sent.nulls, is_update=True
            )


def _by_column(table: Table, insert: Insert) -> dict[str, str]:
    pairs = zip(table.columns, insert.values, strict=True)
    return {column.name: value for column, value in pairs if not column.is_dropped and not column.is_generated}


def _nulls(written: _Written, *, is_running: bool) -> Iterator[Finding]:
    """Columns that take no NULL, and get one. A trigger may fill in what an INSERT leaves out."""
    if written.new.has_trigger:
        return
    for column, value in written.values.items():
        sqlstate = written.new.refusal_of_null(column)
        if not sqlstate or not written.may_be_null(value):
            continue
        same = written.may_be_null(value if written.is_update else written.was.get(column, ""))
        failed_before = is_running and written.old is not None and bool(written.old.refusal_of_null(column)) and same
        trouble = Trouble.FAILED_BEFORE if failed_before else Trouble.FAILS
        yield Finding(trouble, "null", sqlstate, written.new.shown, column)


def _lost_defaults(written: _Written) -> Iterator[Finding]:
    """Columns that had a value, and get NULL because their default is gone."""
    for column, value in written.was.items():
        if not is_null(value) and is_null(written.values.get(column, "")) and not written.new.refusal_of_null(column):
            yield Finding(Trouble.CHANGED, "default", table=written.new.shown, name=column)


def _new_uniques(written: _Written, old: Table) -> Iterator[Finding]:
    """Uniquenesses that are not there already, if with fewer columns, and that what is written may break."""
    for unique in written.new.uniques:
        if not any(_implies(each, unique) for each in old.uniques) and _may_repeat(written, unique):
            yield Finding(Trouble.FAILS, "unique", UNIQUE, written.new.shown, unique.name)


def _implies(old: Unique, new: Unique) -> bool:
    return old.keys <= new.keys and old.predicate in {"", new.predicate} and (old.with_nulls or not new.with_nulls)


def _may_repeat(written: _Written, unique: Unique) -> bool:
    if written.is_update:
        return bool(unique.columns & written.values.keys()) or not unique.columns
    values = [written.values.get(column, "") for column in unique.columns]
    if any(map(is_null, values)) and not unique.with_nulls:
        return False
    if any(written.gives(column) for column in unique.columns) or unique.keys != unique.columns:
        return True
    return not any("(" in value for value in values)  # a default that is computed makes another value each time


def _gone_values(written: _Written, old: Table, before: Rules, after: Rules) -> Iterator[Finding]:
    """Columns that the statement fills, and whose enum or list of a CHECK lost a value."""
    for check in written.new.checks:
        lists = [each.values for each in old.checks if each.column == check.column and each.values is not None]
        if check.values is None or not lists or not written.gives(check.column):
            continue
        if frozenset.intersection(*lists) - check.values:
            yield Finding(Trouble.FAILS, "value gone", CHECK, written.new.shown, check.name)
    types = {column.name: column.type.removesuffix("[]") for column in old.columns}
    for column in written.new.columns:
        was, now = (before.enums.get(types.get(column.name, "")), after.enums.get(column.type.removesuffix("[]")))
        if was is not None and now is not None and was - now and written.gives(column.name):
            yield Finding(Trouble.FAILS, "value gone", ENUM, written.new.shown, column.name)


def _narrower(written: _Written, old: Table) -> Iterator[Finding]:
    """Columns that the statement fills, and that take less than before: fewer characters, or digits before the point."""
    types = {column.name: column.type for column in old.columns}
    for column in written.new.columns:
        for kinds, sqlstate in _LENGTHS.items():
            was, now = _room(types.get(column.name, ""), kinds), _room(column.type, kinds)
            if was is not None and now is not None and now < was and written.gives(column.name):
                yield Finding(Trouble.FAILS, "narrower", sqlstate, written.new.shown, column.name)


def _room(type_: str, kinds: tuple[str, ...]) -> float | None:
    """How many characters, or digits before the point, a type of these kinds takes; None for another type."""
    found = _TYPE.fullmatch(type_)
    if found is None or found["name"] not in kinds:
        return None
    return float("inf") if found["length"] is None else int(found["length"]) - int(found["scale"] or 0)


def _names(sql: str) -> frozenset[str]:
    return frozenset(name for statement in statements(sql) for name in names_in(statement.tokens))
