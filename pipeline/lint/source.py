"""What a rule looks at: one file with its statements, and what it needs to know of the files behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pipeline.lint.finding import Finding
from pipeline.lint.phrase import Phrase
from pipeline.migrations.sql_text import line_of, statements, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement

_IGNORE = re.compile(r"--\s*lint:\s*ignore\b\s*(?P<rules>[^()]*?)\s*(?:\((?P<reason>.*)\)\s*)?\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Ignore:
    """One `-- lint: ignore rule-name (reason)`, which covers the statement that it stands above or in."""

    rules: tuple[str, ...]
    reason: str
    line: int
    covers: range  # of offsets


@dataclass(frozen=True)
class Source:
    """One migration file as the rules see it. A rollback file is a source of its own."""

    path: str
    text: str = field(repr=False)
    rollback_path: str | None = None  # of the migration; None on a rollback file, too
    is_rollback: bool = False
    later: tuple[Source, ...] = field(default=(), repr=False)  # the migrations that run behind this one

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """The file's statements.

        Raises:
            Unterminated: a quote or a comment is never closed.
        """
        return tuple(statements(self.text))

    @cached_property
    def new_tables(self) -> frozenset[str]:
        """The tables that this file creates, as `Phrase.name` gives them: a lock on one of them stops nobody."""
        return frozenset(name for statement in self.statements if (name := created_table(statement)))

    @cached_property
    def ignores(self) -> tuple[Ignore, ...]:
        """The file's ignore comments."""
        return tuple(_ignores(self))

    def at(self, statement: Statement, rule: str, message: str, help_: str) -> Finding:
        """Make a finding that spans a statement."""
        start, end = statement.start, statement.start + len(statement.text)
        return Finding(self.path, *_place(self.text, start), *_place(self.text, end), rule, message, help_)


def read_sources(files: Sequence[MigrationFile]) -> list[Source]:
    """Read the sources of these files, rollback files included, in the order of the files.

    A file that is not UTF-8 is left out: reading the folder has reported it.
    """
    forward: list[Source] = []
    for file in reversed(files):
        text = _text(file.data)
        if text is not None:
            forward.append(Source(file.path, text, file.rollback_path, later=tuple(reversed(forward))))
    sources: list[Source] = []
    for source in reversed(forward):
        sources.append(source)
        if source.rollback_path is not None and (text := _read(source.rollback_path)) is not None:
            sources.append(Source(source.rollback_path, text, is_rollback=True))
    return sources


def created_table(statement: Statement) -> str:
    """Give the name of the table that a CREATE TABLE makes, or nothing."""
    phrase = Phrase(statement)
    if not phrase.take("CREATE"):
        return ""
    phrase.take_any("GLOBAL", "LOCAL")
    phrase.take_any("TEMPORARY", "TEMP", "UNLOGGED")
    if not phrase.take("TABLE"):
        return ""
    phrase.take("IF", "NOT", "EXISTS")
    return phrase.name()


def _read(path: str) -> str | None:
    with open(path, "rb") as file:  # noqa: PTH123 - as the folder's reader does, for speed
        return _text(file.read().replace(b"\r\n", b"\n"))


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _place(text: str, offset: int) -> tuple[int, int]:
    return line_of(text, offset), offset - (text.rfind("\n", 0, offset) + 1) + 1


def _ignores(source: Source) -> Iterable[Ignore]:
    if "lint:" not in source.text:
        return
    for token in tokens(source.text):
        if token.kind != "comment" or (match := _IGNORE.match(token.text)) is None:
            continue
        rules = tuple(name for name in re.split(r"[\s,]+", match["rules"]) if name)
        reason = (match["reason"] or "").strip()
        yield Ignore(rules, reason, line_of(source.text, token.start), _covered(source, token.start))


def _covered(source: Source, offset: int) -> range:
    """From the comment to the end of the statement; from the top of the file when it stands above every statement."""
    for number, statement in enumerate(source.statements):
        end = statement.start + len(statement.text)
        last_of_line = source.text.find("\n", end)
        if offset < (last_of_line if last_of_line >= 0 else len(source.text)):
            return range(0 if number == 0 else min(offset, statement.start), end + 1)
    return range(offset, len(source.text) + 1)
