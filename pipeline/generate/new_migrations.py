"""Migrations under construction: their statements, the files that these stand in, the texts, and putting them there."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.migrations.names import next_number, number_behind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.migrations import MigrationFile

DRAFT = "-- pipeline: draft"
_WIDTH = 120
_NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*\Z")
_TITLES = {
    "backfill": "the rows without a value",
    "check": "new rows",
    "index": "the index",
    "validate": "the rows that were there before",
    "then": "what follows",
}


@dataclass(frozen=True, slots=True)
class NewStatement:
    """One statement, without its semicolon. `why` becomes the comment above it.

    `undo` are the statements that take it back, in order; None means that the differ is asked. `undo_last` are those of them
    that come when all else of the part is taken back. `answers` are lint rules with
    what there is to say to them, where we know better than a rule that sees the text alone; `ignores` are the answers to
    what was really asked, as they are written. `is_rename`: the differ was asked behind
    it, and knows nothing of it.
    """

    sql: str
    why: str = ""
    undo: tuple[str, ...] | None = None
    undo_last: tuple[str, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    ignores: tuple[str, ...] = ()
    is_rename: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """What the head of a file says whose statement runs batch by batch: names as SQL has them, and the query of what is left."""

    table: str
    key: str
    remaining: str


@dataclass(frozen=True, slots=True)
class SplitStatement:
    """A statement taken apart: what runs with the others, what concurrently, what finishes that, and what comes last.

    `filling` are statements that run batch by batch behind what runs with the others, and `checked` what comes behind them.

    `name` is the index or constraint that exists only then; statements that name it must wait for it.
    """

    name: str
    transactional: tuple[NewStatement, ...] = ()
    filling: tuple[tuple[NewStatement, Batch], ...] = ()
    checked: tuple[NewStatement, ...] = ()
    concurrent: tuple[NewStatement, ...] = ()
    finishing: tuple[NewStatement, ...] = ()
    last: tuple[NewStatement, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one file holds. `kind` names it among its siblings: "" for the main one, backfill, check, index, validate, then."""

    statements: tuple[NewStatement, ...]
    kind: str = ""
    concurrent: bool = False  # outside a transaction
    batch: Batch | None = None  # batch by batch

    @property
    def undo(self) -> tuple[str, ...] | None:
        """The statements that take the part back, or None when a statement does not know."""
        backwards: list[str] = []
        for each in reversed(self.statements):
            if each.undo is None:
                return None
            backwards += each.undo
        return (*backwards, *(sql for each in reversed(self.statements) for sql in each.undo_last))


@dataclass(frozen=True)
class Arrangement:
    """The files' contents in order, what they lose, and what a gate without rows cannot see."""

    parts: tuple[Part, ...]
    losses: tuple[str, ...] = ()
    doubts: tuple[str, ...] = field(default=())
    careful: bool = True  # as far as it can be; otherwise in the differ's own order


@dataclass(frozen=True, slots=True)
class NewMigration:
    """A migration that is not in the folder yet."""

    id: str
    forward: str
    backward: str

    def with_note(self, note: Sequence[str]) -> NewMigration:
        """The same as a draft: marked so that nothing applies it, and with what is to be done in its head."""
        return NewMigration(self.id, _marked(self.forward, note), _marked(self.backward, ()))


def check_name(name: str) -> str:
    """Return the name as it will stand in file names.

    Raises:
        UsageError: it cannot be one.
    """
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    if not _NAME.match(plain) or len(plain) > 80:
        raise UsageError(
            f"{name!r} cannot be the name of a migration",
            remedy="Use words of letters and digits, joined by underscores: add_message_pinned.",
        )
    return plain


@dataclass(frozen=True, slots=True)
class Losses:
    """What going forward loses, and what going back does."""

    forward: Sequence[str] = ()
    backward: Sequence[str] = ()


def write_parts(
    name: str,
    parts: Sequence[tuple[Part, Sequence[str]]],
    ids: Sequence[str],
    losses: Losses,
    *,
    number: str = "",
    depends: str | None = None,
) -> list[NewMigration]:
    """Write the files of these parts, each with the statements that take it back. Losses are said in the first one.

    `number` is that of the first one; left out, it comes behind the last of `ids`. `depends` is what the first one depends on;
    left out, the last of `ids`.
    """
    number, previous = number or next_number(ids), max(ids, default="") if depends is None else depends
    written: list[NewMigration] = []
    for part, undo in parts:
        number = number_behind(number) if written else number
        id_ = f"{number}_{name}{_suffix(part, [other for other, _ in parts])}"
        title = _title(name, part)
        depending = [f"-- depends: {previous}"] if previous else []
        outside = ["-- transactional: false"] if part.concurrent else []
        batched = [f"-- pipeline: batched={part.batch.table} key={part.batch.key}"] if part.batch else []
        remaining = [f"-- remaining: {part.batch.remaining}"] if part.batch else []
        said = Losses() if written else losses
        forward = [
            f"-- {title}",
            *depending,
            *outside,
            *batched,
            *remaining,
            *_said("Loses, and no rollback brings it back: ", said.forward),
        ]
        backward = [f"-- Undo: {title[0].lower()}{title[1:]}", *outside, *_said("Loses: ", said.backward)]
        written.append(
            NewMigration(
                id_,
                "\n".join([*forward, "", _body(part.statements)]),
                "\n".join([*backward, "", *(f"{sql};" for sql in undo), ""]),
            )
        )
        previous = id_
    return written


def last_dependable(files: Sequence[MigrationFile]) -> str:
    """The id that a file behind these depends on, or empty: a backfill is waited for by those alone that say so by hand."""
    return max((file.id for file in files if file.forward.batched is None), default="")


def _said(head: str, losses: Sequence[str]) -> list[str]:
    return [_comment(f"\n{head}{'; '.join(losses)}.")] if losses else []


def put(folder: Path, migrations: Sequence[NewMigration]) -> list[Path]:
    """Put the files into the folder: all of them, or, when it is interrupted, none.

    Returns the paths of the migrations (not of their rollback files).
    """
    made: list[Path] = []
    try:
        for migration in migrations:
            # the rollback file last: without its migration the folder would be malformed
            for ending, text in ((".sql", migration.forward), (".rollback.sql", migration.backward)):
                path = folder / f"{migration.id}{ending}"
                with path.open("x", encoding="utf-8", newline="\n") as file:
                    made.append(path)
                    file.write(text)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    return [path for path in made if not path.name.endswith(".rollback.sql")]


def without_mark(text: str) -> str:
    """The text of a draft without its mark and the notes below it."""
    kept, in_notes = [], False
    for line in text.splitlines(keepends=True):
        if line.rstrip() == DRAFT:
            in_notes = True
        elif not (in_notes and line.startswith("-- !")):
            in_notes = False
            kept.append(line)
    return "".join(kept)


def is_draft(text: str) -> bool:
    """Whether the text carries the mark of a draft."""
    return any(line.rstrip() == DRAFT for line in text.splitlines())


def _marked(text: str, note: Sequence[str]) -> str:
    title, _, rest = text.partition("\n")
    notes = "".join(f"{line}\n" for item in note for line in _note_lines(item))
    return f"{title}\n{DRAFT}\n{notes}{rest}"


def _note_lines(item: str) -> list[str]:
    lines = []
    for line in item.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        wrapped = textwrap.wrap(line.strip(), _WIDTH - 5 - len(indent), break_long_words=False) or [""]
        lines += [f"-- ! {indent}{part}".rstrip() for part in wrapped]
    return lines


def _body(new_statements: Sequence[NewStatement]) -> str:
    """The statements, each below its comment; what was said once in a file is not said again."""
    blocks: list[str] = []
    said: set[str] = set()
    apart = False
    for each in new_statements:
        comments = [_comment(each.why)] if each.why and each.why not in said else []
        comments += [f"-- lint: ignore {ignore}" for ignore in each.ignores]
        said.add(each.why)
        apart = bool(blocks) and (apart or bool(comments) or "\n" in each.sql)
        blocks.append(("\n" if apart else "") + "\n".join([*comments, f"{each.sql};"]) + "\n")
        apart = bool(comments) or "\n" in each.sql
    return "".join(blocks)


def _comment(text: str) -> str:
    lines = []
    for paragraph in text.split("\n"):
        lines += [f"-- {line}" for line in textwrap.wrap(paragraph, _WIDTH - 3)] or ["--"]
    return "\n".join(lines)


def _title(name: str, part: Part) -> str:
    words = name.replace("_", " ")
    title = words[0].upper() + words[1:]
    return f"{title}: {_TITLES[part.kind]}" if part.kind else title


def _suffix(part: Part, parts: Sequence[Part]) -> str:
    """What tells the file from its siblings; the first one has the bare name."""
    if part is parts[0]:
        return ""
    kind = part.kind or "then"
    alike = [other for other in parts[1:] if (other.kind or "then") == kind]
    return f"_{kind}" if len(alike) == 1 else f"_{kind}_{alike.index(part) + 1}"
