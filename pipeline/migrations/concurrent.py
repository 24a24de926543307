"""The few statements that run outside a transaction, read closely enough to tell after a crash how far one came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.migrations.sql_text import Statement, Token


@dataclass(frozen=True, slots=True)
class Concurrent:
    """A statement that PostgreSQL refuses inside a transaction block.

    `kind` is "create index", "drop index", "reindex index", "reindex table", "detach partition", "vacuum" or "cluster";
    `name` is the object's name as the file spells it (quoted, with a schema or without; empty for VACUUM). For CREATE INDEX it
    has the schema of the table, where PostgreSQL puts a new index; `table` is spelled likewise, `bare_table` without its
    schema, and `definition` is what follows the table's name. For DETACH PARTITION `name` is the partition and `table` what
    it is detached from. An `exclusive` one keeps readers waiting for as long as it waits itself.
    """

    kind: str
    sql: str
    name: str = ""
    table: str = ""
    bare_table: str = ""
    definition: str = ""
    unique: bool = False
    if_not_exists: bool = False
    exclusive: bool = False


def read_concurrent(statement: Statement) -> Concurrent | None:
    """The statement as a Concurrent, or None for one of another kind, or one that names no index."""
    reader = _Reader(statement)
    if reader.take("CREATE"):
        return _create_index(reader)
    if reader.take("DROP", "INDEX", "CONCURRENTLY"):
        reader.take("IF", "EXISTS")
        name = reader.name()
        reader.take("RESTRICT")
        return Concurrent("drop index", statement.text, name) if name and reader.at_end else None
    if reader.take("REINDEX"):
        return _reindex(reader)
    if reader.take("VACUUM"):
        return Concurrent("vacuum", statement.text, exclusive=_is_full(reader))
    if reader.take("CLUSTER"):
        return _cluster(reader)
    if reader.take("ALTER", "TABLE"):
        return _detach_partition(reader)
    return None


def _create_index(reader: _Reader) -> Concurrent | None:
    unique = reader.take("UNIQUE")
    if not reader.take("INDEX", "CONCURRENTLY"):
        return None
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    name = reader.identifier()
    if not name or not reader.take("ON"):
        return None
    reader.take("ONLY")
    table, bare = reader.name(), reader.last
    if not table:
        return None
    schema = table.removesuffix(bare)
    return Concurrent(
        "create index",
        reader.statement.text,
        schema + name,
        table,
        bare,
        reader.rest(),
        unique=unique,
        if_not_exists=if_not_exists,
    )


def _reindex(reader: _Reader) -> Concurrent | None:
    options = reader.parenthesised()
    for what in ("INDEX", "TABLE"):
        if reader.take(what):
            concurrently = reader.take("CONCURRENTLY") or "CONCURRENTLY" in options
            name = reader.name()
            if concurrently and name and reader.at_end:
                return Concurrent(f"reindex {what.lower()}", reader.statement.text, name)
    return None


def _detach_partition(reader: _Reader) -> Concurrent | None:
    reader.take("IF", "EXISTS")
    reader.take("ONLY")
    table = reader.name()
    reader.take("*")
    if not table or not reader.take("DETACH", "PARTITION"):
        return None
    name = reader.name()
    if not name or not reader.take("CONCURRENTLY") or not reader.at_end:
        return None
    return Concurrent("detach partition", reader.statement.text, name, table)


def _cluster(reader: _Reader) -> Concurrent | None:
    reader.parenthesised()
    reader.take("VERBOSE")
    name = reader.name()
    if reader.take("ON"):  # CLUSTER index ON table, as before PostgreSQL 8.3
        name = reader.name()
    elif reader.take("USING"):
        reader.name()
    return Concurrent("cluster", reader.statement.text, name, exclusive=True) if name and reader.at_end else None


def _is_full(reader: _Reader) -> bool:
    """Whether a VACUUM rewrites its tables: VACUUM FULL, or VACUUM (…, FULL [true], …)."""
    options = reader.parenthesised()
    for index, word in enumerate(options):
        if word == "FULL":
            value = options[index + 1] if index + 1 < len(options) else ","
            return value.strip("'\"").upper() not in {"FALSE", "OFF", "0"}
    return reader.take("FULL")


class _Reader:
    """A position among a statement's tokens."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.last = ""  # the last identifier that was stepped over
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self.statement.tokens)

    def take(self, *keywords: str) -> bool:
        """Step over these keywords when they stand here."""
        here = self.statement.tokens[self._at : self._at + len(keywords)]
        if tuple(token.upper for token in here) != keywords:
            return False
        self._at += len(keywords)
        return True

    def name(self) -> str:
        """Step over a name, with its schema or without; empty when none stands here."""
        first = self.identifier()
        if not first:
            return ""
        if self.take("."):
            second = self.identifier()
            return f"{first}.{second}" if second else ""
        return first

    def parenthesised(self) -> tuple[str, ...]:
        """Step over a parenthesised list; its tokens in upper case."""
        if not self.take("("):
            return ()
        start = self._at
        while not self.at_end and not self.take(")"):
            self._at += 1
        return tuple(token.upper for token in self.statement.tokens[start : self._at])

    def rest(self) -> str:
        """The text from here to the end of the statement."""
        if self.at_end:
            return ""
        return self.statement.text[self.statement.tokens[self._at].start - self.statement.start :]

    def identifier(self) -> str:
        """Step over a bare name; empty when none stands here."""
        token: Token | None = None if self.at_end else self.statement.tokens[self._at]
        # ON stands where CREATE INDEX CONCURRENTLY leaves its name out
        if token is None or token.kind not in {"word", "quoted"} or token.upper == "ON":
            return ""
        self._at += 1
        self.last = token.text
        return token.text
