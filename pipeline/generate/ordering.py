"""The differ's steps in an order that runs, and none of them twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.migrations.phrase import altered_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.generate.difference import Step

_KINDS = {
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
    changes = [_read(step) for step in once]

    def place(at: int) -> tuple[int, bool]:
        first = _Change(_BEHIND.get(changes[at].kind, "none"), changes[at].column)
        needed = max((number for number, change in enumerate(changes) if change == first), default=-1)
        return max(at, needed), needed > at

    return [once[at] for at in sorted(range(len(once)), key=place)]


def _once(steps: Sequence[Step]) -> list[Step]:
    """Without the second DROP DEFAULT of a column, and without the first of two equal SET DEFAULT."""
    kept = []
    for at, step in enumerate(steps):
        kind = _read(step).kind
        others = {"drop default": steps[:at], "set default": steps[at + 1 :]}.get(kind, ())
        if not any(step.sql == other.sql for other in others):
            kept.append(step)
    return kept


def _read(step: Step) -> _Change:
    table, clauses = altered_table(statements(step.sql)[0])
    if len(clauses) != 1 or step.verbatim or not clauses[0].take("ALTER", "COLUMN"):
        return _Change()
    column = clauses[0].name()
    return _Change(_KINDS.get(clauses[0].take_any(*_KINDS), ""), (table, column))
