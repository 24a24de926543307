"""A catalogue: the statements that a service sends, in `queries/ROLE.sql`. Reading one, and writing one.

    -- name: order by id
    -- from: orders/reading.py
    -- null: $2
    SELECT "id", "note" FROM "Order" WHERE "id" = $1 OR "note" = $2;

`null` names the parameters that were seen to be NULL. Nothing else is kept of a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.migrations.sql_text import Unterminated, statements

if TYPE_CHECKING:
    from collections.abc import Iterable

# What a service may send and EXPLAIN takes. Each of them is planned alone, and none of them is run.
_PLANNED = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "MERGE"})
_NOTE = re.compile(r"^-- (name|from|null): (.*)$", re.MULTILINE)
_HERE = "Write it anew: docs/queries.md has the line."


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement as a client sends it. `nulls` are the numbers of the parameters that were seen to be NULL."""

    name: str
    sql: str
    source: str = ""
    nulls: frozenset[int] = frozenset()


def is_planned(sql: str) -> bool:
    """Whether this is one statement, of a kind that is planned and that changes no schema, role or setting."""
    try:
        found = statements(sql)
    except Unterminated:
        return False
    return len(found) == 1 and found[0].first_word in _PLANNED


def parse_catalogue(text: str, where: str) -> tuple[Sent, ...]:
    """Read the text of a catalogue; `where` names it in messages.

    Raises:
        ConfigurationError: a statement has no name, has one that is another's too, or is of a kind that is not planned.
    """
    try:
        found = statements(text)
    except Unterminated as error:
        raise ConfigurationError(f"{error}", where=f"{where}:{error.line}", remedy=_HERE) from error
    read: dict[str, Sent] = {}
    end = 0
    for statement in found:
        notes = dict(_NOTE.findall(text, end, statement.start))
        at, end = f"{where}:{statement.line}", statement.stop
        name = notes.get("name", "").strip()
        if not name or name in read:
            fault = "has the name of another one" if name else "has no line `-- name: …` above it"
            raise ConfigurationError(f"a statement {fault}", where=at, remedy=_HERE)
        if not is_planned(statement.text):
            raise ConfigurationError(
                f"{name} is no {', '.join(sorted(_PLANNED))}",
                where=at,
                remedy="A catalogue has nothing else: take it out.",
            )
        nulls = frozenset(int(number) for number in re.findall(r"\$(\d+)", notes.get("null", "")))
        read[name] = Sent(name, statement.text, notes.get("from", "").strip(), nulls)
    return tuple(read.values())


def write_catalogue(title: Iterable[str], sent: Iterable[Sent]) -> str:
    """The text of a catalogue, as `parse_catalogue` reads it. `title` are the lines of its first comment."""
    parts = ["".join(f"-- {line}\n" for line in title)]
    for each in sorted(sent, key=lambda one: one.name):
        nulls = f"-- null: {', '.join(f'${number}' for number in sorted(each.nulls))}\n" if each.nulls else ""
        parts.append(f"-- name: {each.name}\n-- from: {each.source}\n{nulls}{each.sql.strip()};\n")
    return "\n".join(parts)
