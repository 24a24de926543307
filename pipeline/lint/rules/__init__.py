"""The rules of our own, each under its slug. A rule takes a source and yields what it finds in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.rules import columns, constraints, indexes, locking, neon, rights, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

    Rule = Callable[[Source], Iterable[Finding]]

_ALL: tuple[Rule, ...] = (
    *columns.RULES,
    *constraints.RULES,
    *indexes.RULES,
    *locking.RULES,
    *neon.RULES,
    *rights.RULES,
    *rows.RULES,
)

RULES: dict[str, Rule] = {
    rule.__name__.replace("_", "-"): rule for rule in sorted(_ALL, key=lambda rule: rule.__name__)
}
