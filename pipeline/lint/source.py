"""What a rule looks at: one file with its statements, and what it needs to know of the files behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline.lint.bodies import body_of
from pipeline.lint.finding import Finding
from pipeline.lint.following import after
from pipeline.lint.model import Schema
from pipeline.migrations.phrase import Phrase, altered_columns, altered_table
from pipeline.migrations.sql_text import Unterminated, line_of, statements, tokens

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement

_ROWS = {"INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "COPY"}
_BATCHED = re.compile(r"^--\s*pipeline:(?:.*\s)?batched=", re.MULTILINE)
_NOT_TRANSACTIONAL = re.compile(r"^--\s*transactional:\s*false\s*$", re.MULTILINE)
_IGNORE = re.compile(r"--\s*lint:\s*ignore\b\s*(?P<rules>[^()]*?)\s*(?:\((?P<reason>.*)\)\s*)?\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Ignore:
    """One `-- lint: ignore rule-name (reason)`, which covers the statement that it stands above or in."""

    rules: tuple[str, ...]
    reason: str
    line: int
    covers: range  # of offsets


@dataclass(frozen=True, slots=True)
class Step:
    """One statement that the file runs, or lays down in a function's body, with the schema that it finds.

    `anchor` is what a finding about it points to: the statement, or the one that calls the function. `runs` is whether this
    file runs it: a function's body runs when somebody calls it.
    """

    statement: Statement
    before: Schema = field(repr=False)
    anchor: Statement = field(repr=False)
    runs: bool = True

    @property
    def words(self) -> tuple[str, ...]:
        """The statement's words, as rules match them."""
        return self.statement.words


@dataclass(frozen=True)
class Source:
    """One migration file as the rules see it. A rollback file is a source of its own."""

    path: str
    text: str = field(repr=False)
    rollback_path: str | None = None  # of the migration; None on a rollback file, too
    is_rollback: bool = False
    before: Schema = field(default_factory=Schema, repr=False)  # what the migrations before this one have built
    folder: Sequence[Source] = field(default=(), repr=False)  # all migrations, in their order
    deploy: Hashable = None  # the same for those that are deployed together

    @property
    def later(self) -> list[Source]:
        """The migrations that run behind this one."""
        return [source for source in self.folder if source.path > self.path]

    @property
    def same_deploy(self) -> list[Source]:
        """Those of them that are deployed together with it."""
        return [source for source in self.later if source.deploy == self.deploy]

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """The file's statements.

        Raises:
            Unterminated: a quote or a comment is never closed.
        """
        return tuple(statements(self.text))

    @property
    def steps(self) -> tuple[Step, ...]:
        """What the file does, one by one: its statements, those in its DO blocks, and those in functions' bodies."""
        return self._walk[0]

    @property
    def running(self) -> Iterator[Step]:
        """The steps that run with the file; none of a rollback file, which runs on a developer's machine only."""
        return iter(()) if self.is_rollback else (step for step in self.steps if step.runs)

    @property
    def altered(self) -> Iterator[tuple[Step, str, Phrase]]:
        """Each clause of an ALTER TABLE on a table in use, with its step and the table."""
        for step in self.running:
            table, clauses = altered_table(step.statement)
            if step.before.in_use(table):
                yield from ((step, table, clause) for clause in clauses)

    @property
    def altered_columns(self) -> Iterator[tuple[Step, str, str, Phrase]]:
        """Each ALTER COLUMN of a table in use, with its step, the table and the column; what follows the column is left."""
        for step in self.running:
            for table, column, clause in altered_columns(step.statement):
                if step.before.in_use(table):
                    yield step, table, column, clause

    @property
    def after(self) -> Schema:
        """What there is behind the file."""
        return self._walk[1]

    @cached_property
    def is_transactional(self) -> bool:
        """Whether the whole file runs in one transaction, with its record."""
        return _NOT_TRANSACTIONAL.search(self.text) is None

    @cached_property
    def is_batched(self) -> bool:
        """Whether its statement runs batch by batch, each in a transaction of its own."""
        return _BATCHED.search(self.text) is not None

    @cached_property
    def ignores(self) -> tuple[Ignore, ...]:
        """The file's ignore comments."""
        return tuple(_ignores(self))

    def at(self, where: Statement | Step, rule: str, message: str, help_: str) -> Finding:
        """Make a finding that spans a statement."""
        statement = where.anchor if isinstance(where, Step) else where
        start, end = statement.start, min(statement.start + len(statement.text), len(self.text))
        return Finding(self.path, *_position(self.text, start), *_position(self.text, end), rule, message, help_)

    @cached_property
    def _walk(self) -> tuple[tuple[Step, ...], Schema]:
        steps: list[Step] = []
        schema = self.before
        for statement in self.statements:
            if not schema.routines and statement.first_word in _ROWS:  # rows change no schema, and there may be many
                steps.append(Step(statement, schema, statement))
                continue
            steps += [Step(statement, schema, statement), *_called(statement, schema, statement)]
            inside = body_of(statement)
            if statement.words[0] != "DO":
                steps += [Step(each, schema, each, runs=False) for each in inside]
                schema = after(schema, statement)
                continue
            for each in inside:
                steps += [Step(each, schema, each), *_called(each, schema, each)]
                schema = after(schema, each, certainly=False)
        return tuple(steps), schema


def read_sources(files: Sequence[MigrationFile], deploys: Mapping[str, Hashable] | None = None) -> list[Source]:
    """Read the sources of these files, rollback files included, in the order of the files.

    `deploys` says by a migration's id which deploy it came with: files of one deploy find what those before them made with
    nobody using it. One that is not named came alone. A file that is not UTF-8 is left out: reading the folder has reported
    it.
    """
    sources: list[Source] = []
    folder: list[Source] = []
    schema, deploy = Schema(), None
    for file in files:
        text = _text(file.data)
        if text is None:
            continue
        came_with = (deploys or {}).get(file.id, file.id)
        schema = schema.in_the_next_file() if came_with == deploy else schema.deployed()
        deploy = came_with
        source = Source(file.path, text, file.rollback_path, before=schema, folder=folder, deploy=deploy)
        folder.append(source)
        sources.append(source)
        schema = schema_behind(source)
        if source.rollback_path is not None and (text := _read(source.rollback_path)) is not None:
            sources.append(Source(source.rollback_path, text, is_rollback=True, before=schema))
    return sources


def schema_behind(source: Source) -> Schema:
    """Give what there is behind a file, or before it when its quotes do not close."""
    try:
        return source.after
    except Unterminated:
        return source.before  # linting reports it


def _called(statement: Statement, schema: Schema, anchor: Statement) -> Iterator[Step]:
    """The bodies of the functions that a statement calls, as far as the files make them."""
    if statement.words[0] in {"CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "COMMENT"} or not schema.routines:
        return
    for token, behind in pairwise(statement.tokens):
        if behind.text == "(" and token.kind in {"word", "quoted"} and token.identifier in schema.routines:
            yield from (Step(each, schema, anchor) for each in schema.routines[token.identifier].body)


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


def offset_of(text: str, line: int, column: int) -> int:
    """The offset of a place; line and column count from 1."""
    offset = 0
    for _ in range(line - 1):
        offset = text.find("\n", offset) + 1
    return offset + column - 1


def _position(text: str, offset: int) -> tuple[int, int]:
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
