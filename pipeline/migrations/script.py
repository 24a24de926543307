"""One file taken apart: its title, its directives and its statements, with every fault that can be known before it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from pipeline.errors import MigrationFileError
from pipeline.migrations.batched import BATCHED, BatchedHead
from pipeline.migrations.chunks import cut
from pipeline.migrations.concurrent import Concurrent, read_concurrent
from pipeline.migrations.expansions import CONTRACTS, EXPANDS, EXPANSION, read_expansion
from pipeline.migrations.names import number_of
from pipeline.migrations.out_of_place import ALLOWED, OF_ITS_OWN, SELECT_INTO, out_of_place, selects_into
from pipeline.migrations.sql_text import Unterminated, line_of, statements, tokens

if TYPE_CHECKING:
    from pipeline.migrations.batched import Batched
    from pipeline.migrations.chunks import Chunk
    from pipeline.migrations.expansions import Expansion
    from pipeline.migrations.sql_text import Statement

_DIRECTIVE = re.compile(r"--\s*(depends|transactional|pipeline|remaining)\s*:\s*(.*)", re.IGNORECASE)
_LINE = re.compile(r"[^\n\r]*")
_DURATION = re.compile(r"[0-9]+(ms|s|min|h)\Z")  # \d takes the digits of every script
_SETTINGS = ("lock-timeout", "statement-timeout")
# `accept=exclusive-lock (why)`: what a rehearsal finds too long, and the author of the file does not.
_ACCEPT = re.compile(
    r"(?:^|(?<=\s))accept(?![^\s=])(?:=(?P<what>[^\s()]*))?(?:\s*\((?P<reason>[^()]*)\))?(?P<rest>\S*)"
)
_ACCEPTABLE = ("exclusive-lock",)

# What the runner's own transaction must not be interfered with by. The server refuses them as well ("EXECUTE of
# transaction commands is not implemented"); here they are named with their line, before anything runs.
_TRANSACTION_CONTROL = {"BEGIN", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}

# What a file may have by the ten thousand, and what none of the rules below is about.
_HARMLESS = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "SELECT", "WITH", "GRANT", "REVOKE", "COMMENT", "DO"}
)
_TOLD_BY_THEIR_HEAD = frozenset({"CREATE", "DROP"})  # by their first words, CONCURRENTLY among them
_HEAD = 6
_STRINGS_SETTING = "standard_conforming_strings"
_AS_READ = frozenset({"ON", "'ON'", "TRUE", "'TRUE'", "1", "'1'", "DEFAULT"})


class Kind(Enum):
    """How a file is run."""

    TRANSACTIONAL = "transactional"  # in one transaction with its record
    CONCURRENT = "concurrent"  # its one statement outside one, between a record of its start and one of its end
    BATCHED = "batched"  # recorded, and its one statement then run batch by batch, each in a transaction of its own


@dataclass(frozen=True)
class Script:
    """A migration file, or a rollback file, that is well formed."""

    path: str
    text: str = field(repr=False)
    title: str
    statements: tuple[Statement, ...] = field(repr=False)
    depends: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)  # "lock-timeout", "statement-timeout" -> "5s"
    accepted: dict[str, str] = field(default_factory=dict)  # "exclusive-lock" -> the reason that the file gives
    concurrent: Concurrent | None = None  # the one statement of a file that runs outside a transaction
    batched: Batched | None = None  # the one statement of a file that runs batch by batch
    expands: Expansion | None = None  # the column that stands double from this file on
    contracts: Expansion | None = None  # the column that goes with this file

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The text cut between its statements, as it is sent."""
        return cut(self.text, self.statements)

    @property
    def kind(self) -> Kind:
        """How the file is run."""
        if self.batched is not None:
            return Kind.BATCHED
        return Kind.TRANSACTIONAL if self.concurrent is None else Kind.CONCURRENT

    @property
    def how(self) -> str:
        """How it is run, for people; empty for a file in one transaction."""
        return {Kind.TRANSACTIONAL: "", Kind.CONCURRENT: "outside a transaction", Kind.BATCHED: "batch by batch"}[
            self.kind
        ]

    @property
    def transactional(self) -> bool:
        """Whether the file runs in one transaction with its record."""
        return self.kind is Kind.TRANSACTIONAL


def read_script(data: bytes, path: str) -> Script:
    """Take a file's LF-normalised bytes apart.

    Raises:
        MigrationFileError: the file is at fault; `where` names file and line.
    """
    text = _decoded(data, path)
    try:
        found = statements(text)
        directives = _directives(text, path, found)
    except Unterminated as fault:
        raise MigrationFileError(
            f"{fault.what} that is never closed", where=f"{path}:{fault.line}", remedy="Close it."
        ) from fault
    if not found:
        raise MigrationFileError(
            "no statement in it", where=path, remedy="Write the change, or remove the file if it was never merged."
        )
    transactional = _transactional(directives, path)
    if _STRINGS_SETTING in text.lower():
        _refuse_other_strings(found, path)
    if transactional:
        _refuse_what_breaks_the_transaction(found, path)
    settings = _settings(directives, path)
    head = BatchedHead(directives, path)
    batched = head.read(found, settings, transactional=transactional) if head else None
    return Script(
        path=path,
        text=text,
        title=_title(text),
        statements=tuple(found),
        depends=_depends(directives, path),
        settings=settings,
        accepted=_accepted(directives, path),
        concurrent=None if transactional else _single(found, path),
        batched=batched,
        expands=read_expansion(EXPANDS, directives, path),
        contracts=read_expansion(CONTRACTS, directives, path),
    )


def _decoded(data: bytes, path: str) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        raise MigrationFileError(
            "it begins with a byte order mark", where=f"{path}:1", remedy="Save it as UTF-8 without BOM."
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MigrationFileError(
            f"byte 0x{data[error.start]:02x} is not UTF-8", where=f"{path}:{line}", remedy="Save it as UTF-8."
        ) from error
    if "\0" in text:
        raise MigrationFileError(
            "a NUL character, which PostgreSQL cannot take",
            where=f"{path}:{line_of(text, text.index(chr(0)))}",
            remedy="Remove it.",
        )
    return text


def _title(text: str) -> str:
    for match in _LINE.finditer(text):
        line = match.group()
        if not line.startswith("--"):
            return ""
        if not _DIRECTIVE.match(line):
            return line.lstrip("-").strip()
    return ""


def _directives(text: str, path: str, found: list[Statement]) -> dict[str, list[tuple[str, int]]]:
    """Each directive's values with their lines. yoyo reads them in the leading comment only, so elsewhere they are a fault."""
    directives: dict[str, list[tuple[str, int]]] = {}
    if not _DIRECTIVE.search(text):  # most files have none, and need not be taken apart a second time
        return directives
    head_ends = found[0].start if found else len(text)
    for token in tokens(text):
        if token.kind != "comment" or not (match := _DIRECTIVE.match(token.text)):
            continue
        name, value = match.groups()
        line = line_of(text, token.start)
        if token.start > head_ends:
            raise MigrationFileError(
                f"`-- {name}:` has no effect behind the first statement",
                where=f"{path}:{line}",
                remedy="Move it to the comment at the top of the file.",
            )
        if name != name.lower():
            raise MigrationFileError(
                f"`-- {name}:` is a directive only in lower case",
                where=f"{path}:{line}",
                remedy=f"Write `-- {name.lower()}:`.",
            )
        directives.setdefault(name, []).append((value.strip(), line))
    return directives


def _depends(directives: dict[str, list[tuple[str, int]]], path: str) -> tuple[str, ...]:
    """The ids that the file names. One that comes after it would turn the order of numbers around.

    Where the later one is applied and this one fails, this one could never be applied: it sorts before an applied one.
    """
    own = path.rpartition("/")[2].removesuffix(".sql")
    names = [(name, line) for value, line in directives.get("depends", []) for name in value.split()]
    for name, line in names:
        if name >= own and not own.endswith(".rollback"):
            what = "itself" if name == own else f"{name}, which comes after it: files run in the order of their numbers"
            raise MigrationFileError(
                f"it depends on {what}",
                where=f"{path}:{line}",
                remedy="Remove it from the `-- depends:` line."
                if name == own
                else f"Give this file (and its rollback file) a number above {number_of(name)}, or "
                f"correct the `-- depends:` line.",
            )
    return tuple(name for name, _ in names)


def _transactional(directives: dict[str, list[tuple[str, int]]], path: str) -> bool:
    values = directives.get("transactional", [("true", 1)])
    value, line = values[-1]
    if len(values) > 1 or value.lower() not in {"true", "false"}:
        raise MigrationFileError(
            f"`-- transactional:` is true or false, once; here: {value!r}",
            where=f"{path}:{line}",
            remedy="Write `-- transactional: false`, or leave it out.",
        )
    return value.lower() == "true"


def _settings(directives: dict[str, list[tuple[str, int]]], path: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for value, line in directives.get("pipeline", []):
        for pair in EXPANSION.sub("", BATCHED.sub("", _ACCEPT.sub("", value))).split():
            key, _, duration = pair.partition("=")
            if key == "draft":
                raise MigrationFileError(
                    "it is a draft that was not finished",
                    where=f"{path}:{line}",
                    remedy="Finish it by hand (its head says what is missing), then run `./inv verify`.",
                )
            if key not in _SETTINGS:
                raise MigrationFileError(
                    f"unknown key {key!r} in `-- pipeline:`",
                    where=f"{path}:{line}",
                    remedy=f"Known keys: {', '.join(_SETTINGS)}, accept, batched with key; as `-- pipeline: lock-timeout=5s`.",
                )
            if not _DURATION.match(duration):
                raise MigrationFileError(
                    f"{key}={duration} is not a duration",
                    where=f"{path}:{line}",
                    remedy="Write a whole number with ms, s, min or h, as 500ms or 2min.",
                )
            settings[key] = duration
    return settings


def _accepted(directives: dict[str, list[tuple[str, int]]], path: str) -> dict[str, str]:
    """What the file accepts, each with its reason, which is not left out: it is what a reader of the report looks for."""
    accepted: dict[str, str] = {}
    for value, line in directives.get("pipeline", []):
        for match in _ACCEPT.finditer(value):
            reason = (match["reason"] or "").strip()
            if match["what"] not in _ACCEPTABLE or not reason or match["rest"]:
                raise MigrationFileError(
                    "`accept` names what is accepted, and why in parentheses",
                    where=f"{path}:{line}",
                    remedy="Write `-- pipeline: accept=exclusive-lock (the reason, without parentheses in it)`.",
                )
            accepted[match["what"]] = reason
    return accepted


def _refuse_other_strings(found: list[Statement], path: str) -> None:
    """Refuse what the server would read otherwise than we, and every other tool, do: backslashes behind a change of theirs."""
    changed = False
    for statement in found:
        if changed and any(
            token.kind == "string" and token.text[0] == "'" and "\\" in token.text for token in statement.tokens
        ):
            raise MigrationFileError(
                f"a backslash in a string, behind a statement that changes {_STRINGS_SETTING}",
                where=f"{path}:{statement.line}",
                remedy="Leave that setting on. A string with backslash escapes is written E'…'.",
            )
        words = tuple(word.upper() for word in statement.words)
        name = words.index(_STRINGS_SETTING.upper()) if _STRINGS_SETTING.upper() in words else 0
        by_set = statement.first_word == "SET" and 0 < name <= 2 and not _AS_READ.intersection(words[name + 2 :])
        changed = changed or by_set or ("SET_CONFIG" in words and f"'{_STRINGS_SETTING.upper()}'" in words)


def _refuse_what_breaks_the_transaction(found: list[Statement], path: str) -> None:
    for statement in found:
        what = _breaks_the_transaction(statement)
        if what:
            raise MigrationFileError(what[0], where=f"{path}:{statement.line}", remedy=what[1])


def _breaks_the_transaction(statement: Statement) -> tuple[str, str] | None:
    if statement.first_word in {"SELECT", "WITH"} and "into" in statement.text.lower():
        return SELECT_INTO if selects_into(statement.words) else None
    if statement.first_word in _HARMLESS:
        return None
    words = statement.head(_HEAD) if statement.first_word in _TOLD_BY_THEIR_HEAD else statement.words
    first, rest = words[0], words[1:]
    misplaced = out_of_place(words)
    if misplaced is not None:
        return f"{misplaced[0]} cannot run in a transaction, and is no migration's", misplaced[1]
    if first in _TRANSACTION_CONTROL or (first, *rest[:1]) in {("START", "TRANSACTION"), ("PREPARE", "TRANSACTION")}:
        return (
            f"{first} in a migration: the file and its record are one transaction already",
            "Remove it. What must be committed apart goes into a file of its own.",
        )
    if first == "COPY" and ("STDIN" in rest or "STDOUT" in rest):
        return "COPY from or to the client has no client here", "Write the rows as INSERT … VALUES."
    if first == "VACUUM" or (first in {"CREATE", "DROP", "REINDEX"} and "CONCURRENTLY" in words[:5]):
        return f"{' '.join(words[:2])} … cannot run in a transaction", OF_ITS_OWN
    if words[:2] == ("ALTER", "TABLE") and "DETACH" in words and words[-1] == "CONCURRENTLY":
        return "DETACH PARTITION … CONCURRENTLY cannot run in a transaction", OF_ITS_OWN
    if first == "(" and selects_into(words):
        return SELECT_INTO
    if first == "\\":
        return "a psql command, not SQL", "Write it as SQL."
    return None


def _single(found: list[Statement], path: str) -> Concurrent:
    if len(found) > 1:
        raise MigrationFileError(
            f"{len(found)} statements in a file with `-- transactional: false`",
            where=f"{path}:{found[1].line}",
            remedy="Give each a file of its own: after a crash between two, nobody could tell what was done.",
        )
    misplaced = out_of_place(found[0].words)
    if misplaced is not None:
        raise MigrationFileError(
            f"{misplaced[0]} is no migration's", where=f"{path}:{found[0].line}", remedy=misplaced[1]
        )
    concurrent = read_concurrent(found[0])
    if concurrent is None:
        raise MigrationFileError(
            f"a file with `-- transactional: false` holds one {ALLOWED}",
            where=f"{path}:{found[0].line}",
            remedy="Name the index or the table, one at a time; or remove `-- transactional: false`.",
        )
    return concurrent
