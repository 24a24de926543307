"""What the head of a file says of a column that stands double: the file that makes it so, and the one that ends it.

`-- pipeline: expands="Message"."name" into="toolName"`, and `contracts=` with the same behind it: names as SQL has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import MigrationFileError
from pipeline.migrations.sql_text import tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
EXPANSION = re.compile(
    rf"(?:^|(?<=\s))(?P<what>expands|contracts)=(?P<column>{_NAME}(?:\.{_NAME}){{1,2}})\s+into=(?P<new>{_NAME})(?=\s|$)"
)
EXPANDS, CONTRACTS = "expands", "contracts"


@dataclass(frozen=True, slots=True)
class Expansion:
    """A column and the one that takes its place. `table` is named without its schema where that is public."""

    table: str
    old: str
    new: str


def read_expansion(what: str, directives: Mapping[str, Sequence[tuple[str, int]]], path: str) -> Expansion | None:
    """What the head says behind EXPANDS or CONTRACTS; None where it has no such word.

    Raises:
        MigrationFileError: it says it twice.
    """
    found = [
        (match, line)
        for value, line in directives.get("pipeline", [])
        for match in EXPANSION.finditer(value)
        if match["what"] == what
    ]
    if len(found) > 1:
        raise MigrationFileError(
            f"`{what}=` twice", where=f"{path}:{found[1][1]}", remedy="Give each column a file of its own."
        )
    if not found:
        return None
    match, _ = found[0]
    *table, old = [token.identifier for token in tokens(match["column"]) if token.text != "."]
    return Expansion(".".join(table).removeprefix("public."), old, next(tokens(match["new"])).identifier)
