"""attach-partition: a table read to the end before it becomes a partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.expressions import conjuncts, proves_not_null
from pipeline.lint.phrase import altered_table, names_in, quoted
from pipeline.migrations.sql_text import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.model import Relation
    from pipeline.lint.phrase import Phrase
    from pipeline.lint.source import Source, Step


def attach_partition(source: Source) -> Iterable[Finding]:
    """ATTACH PARTITION of a table that has rows, with no validated CHECK that says what its bounds say."""
    for step in source.running:
        parent, clauses = altered_table(step.statement)
        for clause in clauses:
            if not clause.take("ATTACH", "PARTITION"):
                continue
            name = clause.name()
            if not _may_have_rows(name, step, source):
                continue
            bounds = _bounds(clause, step.before.relation(parent))
            if bounds and _is_implied(bounds, step.before.relation(name)):
                continue
            shown = " AND ".join(bounds) if bounds else "…"
            check = quoted(f"{name.rpartition('.')[2]}_bounds")
            yield source.at(
                step,
                "attach-partition",
                f"every row of {quoted(name)} is read under ACCESS EXCLUSIVE: nobody can read or write it until the file is "
                f"committed; on {quoted(parent)} it takes SHARE UPDATE EXCLUSIVE, on its default partition, if there is one, "
                "ACCESS EXCLUSIVE, and reads that one, too",
                f"First file: ALTER TABLE {quoted(name)} ADD CONSTRAINT {check} CHECK ({shown}) NOT VALID; second: VALIDATE "
                f"CONSTRAINT {check}; then ATTACH, which reads nothing, and DROP CONSTRAINT {check}.",
            )


def _may_have_rows(name: str, step: Step, source: Source) -> bool:
    """Whether it is a table in use, or a new one into which this deploy puts rows before."""
    if step.before.in_use(name):
        return True
    return any(
        other.words[:2] == ("INSERT", "INTO") and name in names_in(other.statement.tokens[2:5])
        for other in source.running
    )


def _bounds(clause: Phrase, parent: Relation) -> list[str]:
    """What a range or list partition of one column says of its rows, as conditions; nothing for what is more than that."""
    key = _key_column(parent)
    if not key or not clause.take("FOR", "VALUES"):
        return []
    column = quoted(key)
    found = [f"{column} IS NOT NULL"]
    if clause.take("IN"):
        values = clause.group()
        return [*found, f"{column} IN ({_text(clause, values)})"] if values else []
    if clause.take("FROM"):
        lower = clause.group()
        upper = clause.group() if clause.take("TO") else ()
        found += [f"{column} >= {_text(clause, lower)}"] if lower and lower[0].upper != "MINVALUE" else []
        found += [f"{column} < {_text(clause, upper)}"] if upper and upper[0].upper != "MAXVALUE" else []
        return found
    return []


def _key_column(parent: Relation) -> str:
    names = [token.identifier for token in tokens(parent.key) if token.kind in {"word", "quoted"}] if parent.key else []
    return names[1] if len(names) == 2 and names[0] in {"range", "list"} else ""


def _text(clause: Phrase, found: tuple[object, ...]) -> str:
    statement = clause.statement
    first, last = found[0], found[-1]
    return statement.text[first.start - statement.start : last.end - statement.start]  # type: ignore[attr-defined]


def _is_implied(bounds: list[str], table: Relation) -> bool:
    checks = [each.check for each in table.constraints.values() if each.kind == "check" and each.valid]
    said = {_plain(part) for check in checks for part in map(_words, conjuncts(check))}
    column = next(iter(tokens(bounds[0]))).identifier
    known = table.columns.get(column)
    not_null = (known is not None and known.not_null) or any(proves_not_null(check, column) for check in checks)
    return not_null and all(_plain(tuple(token.text for token in tokens(bound))) in said for bound in bounds[1:])


def _words(part: Iterable[object]) -> tuple[str, ...]:
    return tuple(token.text for token in part)  # type: ignore[attr-defined]


def _plain(words: tuple[str, ...]) -> str:
    """Without casts, parentheses and the quotes of names: `("at" >= '2026-01-01'::date)` is at >= '2026-01-01'."""
    found, skip = [], 0
    for number, word in enumerate(words):
        if skip:
            skip -= 1
        elif word == ":" and words[number + 1 : number + 2] == (":",):
            skip = 2
        elif word not in {"(", ")"}:
            found.append(word.strip('"'))
    return " ".join(found)
