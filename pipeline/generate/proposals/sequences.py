"""What numbers the rows of a column goes on where it was: a serial, an identity, or a sequence that several share.

A new sequence begins at 1, and the next row would meet one that is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.generate.differ import Step
from pipeline.generate.proposals.online import not_null_name
from pipeline.generate.style import quoted
from pipeline.migrations.phrase import Phrase, altered_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.schema.facts import Counter, Facts

_INTEGERS = {"smallint", "integer", "bigint"}
_ASIDE = "_before"


@dataclass(frozen=True, slots=True)
class _Handover:
    """A column that other numbers come from than before."""

    table: str
    column: str
    old: Counter | None
    new: Counter
    old_goes: bool  # the old sequence goes with this change

    @property
    def source(self) -> str:
        """The sequence that knows how far the numbers got."""
        if self.old is None:
            return self.new.sequence
        return self.aside if self.old_goes else self.old.sequence

    @property
    def aside(self) -> str:
        """What the old sequence is called once the new one has its name."""
        assert self.old is not None  # noqa: S101 - told to the type checker
        is_in_the_way = self.old.sequence == self.new.sequence
        return f"{self.old.sequence[: 63 - len(_ASIDE)]}{_ASIDE}" if is_in_the_way else self.old.sequence


def carried_on(steps: Sequence[Step], before: Facts, after: Facts) -> list[Step]:
    """Write where the numbers go on, wherever a column that is there gets them from elsewhere."""
    result = list(steps)
    for (table, column), new in after.counters.items():
        known = before.tables.get(table)
        if known is None or column not in known.columns or after.tables[table].columns[column].type not in _INTEGERS:
            continue
        old = before.counters.get((table, column))
        if old is not None and _is_the_same(old, new):
            continue
        goes = old is not None and old.kind != "shared" and (new.sequence == old.sequence or _is_gone(old, after))
        result = _handed_over(result, _Handover(table, column, old, new, goes))
    return result


def _is_the_same(old: Counter, new: Counter) -> bool:
    """Whether it is one sequence, which at most belongs to another than before."""
    return old.sequence == new.sequence and (old.kind == "identity") == (new.kind == "identity")


def _is_gone(old: Counter, after: Facts) -> bool:
    return all(counter.sequence != old.sequence for counter in after.counters.values())


def _handed_over(steps: Sequence[Step], change: _Handover) -> list[Step]:
    """The steps with the old sequence put aside, the new one set to its number, and the old one dropped behind that."""
    setting = _first(steps, change, "ADD GENERATED") if change.new.kind == "identity" else _created(steps, change)
    if setting is None:
        return list(steps)
    needs = ""
    if change.new.kind == "identity" and _first(steps, change, "SET NOT NULL") is not None:
        needs = not_null_name(change.table, change.column)
    dropping = _first(steps, change, "DROP IDENTITY") if change.old_goes else None
    if change.old_goes and dropping is None:
        dropping = _dropped(steps, change)
    head: list[Step] = []
    tail = [Step(_go_on(change), needs=needs)]
    if change.old is not None and change.old_goes:
        if change.aside != change.old.sequence:
            new_name = change.aside.rpartition(".")[2]
            head = [Step(f"ALTER SEQUENCE {quoted(change.old.sequence)} RENAME TO {quoted(new_name)}")]
        if dropping is not None:
            ends = f"DROP SEQUENCE {quoted(change.aside)}" if change.old.kind == "owned" else steps[dropping].sql
            tail.append(replace(steps[dropping], sql=ends, loses_nothing=True))
    result: list[Step] = []
    for at, step in enumerate(steps):
        if at == setting:
            takes = _first([step], change, "SET DEFAULT") is not None  # from a sequence that is there already
            result += [*head, *tail, step] if takes else [*head, replace(step, needs=needs), *tail]
        elif at != dropping:
            result.append(step)
    return result


def _go_on(change: _Handover) -> str:
    column, table = quoted(change.column), quoted(change.table)
    extreme, function = ("min", "least") if change.new.descending else ("max", "greatest")
    return (
        f"SELECT setval({literal(quoted(change.new.sequence))}, {function}((SELECT {extreme}({column}) FROM {table}), "
        f"last_value), is_called OR EXISTS (SELECT FROM {table})) FROM {quoted(change.source)}"
    )


def _first(steps: Sequence[Step], change: _Handover, words: str) -> int | None:
    """The step that does this to the column."""
    for at, step in enumerate(steps):
        table, clauses = altered_table(statements(step.sql)[0])
        if table != change.table or len(clauses) != 1 or not clauses[0].take("ALTER", "COLUMN"):
            continue
        if clauses[0].name() == change.column and clauses[0].take(*words.split()):
            return at
    return None


def _created(steps: Sequence[Step], change: _Handover) -> int | None:
    """The step that makes the new sequence, or where it is there already, the one that takes numbers from it."""
    return _sequence_step(steps, "CREATE", change.new.sequence, default=_first(steps, change, "SET DEFAULT"))


def _dropped(steps: Sequence[Step], change: _Handover) -> int | None:
    assert change.old is not None  # noqa: S101 - told to the type checker
    return _sequence_step(steps, "DROP", change.old.sequence, default=None)


def _sequence_step(steps: Sequence[Step], verb: str, sequence: str, *, default: int | None) -> int | None:
    for at, step in enumerate(steps):
        phrase = Phrase(statements(step.sql)[0])
        if phrase.take(verb, "SEQUENCE") and phrase.name() == sequence:
            return at
    return default
