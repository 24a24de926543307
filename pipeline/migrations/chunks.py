"""A file's text cut between its statements, where the server cannot but agree that one ends.

The server names the text that it executes in every message that it sends, so a large file does not go out in one chunk.
The chunks together are the text, to the letter. That a cut can never change what the text means does not rest on our
reading of it: a chunk ends with a semicolon, and the server parses it by itself. Were that semicolon inside quotes, a block
comment, parentheses or a function's body, the chunk would be an error. It could be in a line comment without being one, so
there is no cut where two hyphens stand before the semicolon in its line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.migrations.sql_text import Statement


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some statements of a file with what stands around them: mostly one."""

    text: str
    start: int  # offset in the file's text
    statements: tuple[Statement, ...]


def cut(text: str, statements: Sequence[Statement]) -> list[Chunk]:
    """The text in chunks, which joined are the text again. Takes time linear in the text."""
    found: list[Chunk] = []
    start = behind = 0
    held: list[Statement] = []
    commented = False  # two hyphens stand in this line, behind the last cut
    for statement in statements:
        held.append(statement)
        part = text[behind : statement.stop]
        behind = statement.stop
        line = max(part.rfind("\n"), part.rfind("\r"))
        commented = (commented and line < 0) or "--" in part[line + 1 :]
        if commented or text[behind - 1] != ";":
            continue
        found.append(Chunk(text[start:behind], start, tuple(held)))
        start, held = behind, []
    if start < len(text):
        found.append(Chunk(text[start:], start, tuple(held)))
    return found
