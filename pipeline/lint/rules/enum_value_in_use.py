"""enum-value-in-use: a value that exists from the commit on, used before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

_HARMLESS = {("ALTER", "TYPE"), ("COMMENT", "ON")}


def enum_value_in_use(source: Source) -> Iterable[Finding]:
    """ALTER TYPE … ADD VALUE, and the value in another statement of the file: PostgreSQL calls it an unsafe use."""
    for step in source.running if source.is_transactional else ():
        literals = {
            token.text[1:-1] for token in step.statement.tokens if token.kind == "string" and token.text[0] == "'"
        }
        if step.words[:2] in _HARMLESS:
            continue
        for type_ in step.before.types.values():
            used = literals.intersection(type_.added) if not type_.is_new else set()
            if used:
                value = min(used)
                yield source.at(
                    step,
                    "enum-value-in-use",
                    f"'{value}' was added to {quoted(type_.name)} in this file and cannot be used before the commit: the file "
                    "fails with `unsafe use of new value`, and nothing of it stands",
                    f"Put this statement into the next file; ALTER TYPE {quoted(type_.name)} ADD VALUE '{value}'; stays in "
                    "this one.",
                )
