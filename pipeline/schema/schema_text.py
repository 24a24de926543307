"""schema.sql as it is read: its statements, without what only pg_dump, psql or a server of another version needs.

A schema.sql may begin as what `pg_dump --schema-only` wrote, of any version from 14 to 18: its head and tail set up the
session that restores it, and who owns and may use what is not said here but by migrations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError, InvalidPlan
from pipeline.migrations.sql_text import Unterminated, line_of, statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.migrations.sql_text import Statement

# psql's, written by pg_dump since 17.6 and its siblings of August 2025 (CVE-2025-8714).
_RESTRICT = re.compile(r"^\\(?:un)?restrict[^\n]*", re.MULTILINE)
_COMMAND = re.compile(r"^\\\w+", re.MULTILINE)

# What pg_dump sets for the session that restores (_doSetFixedOutputState and its neighbours in pg_backup_archiver.c).
# check_function_bodies stays: with it off, a function may stand above the table that it reads.
_SETTINGS = frozenset({
    "STATEMENT_TIMEOUT", "LOCK_TIMEOUT", "IDLE_IN_TRANSACTION_SESSION_TIMEOUT", "TRANSACTION_TIMEOUT", "CLIENT_ENCODING",
    "STANDARD_CONFORMING_STRINGS", "XMLOPTION", "CLIENT_MIN_MESSAGES", "ESCAPE_STRING_WARNING", "ROW_SECURITY",
    "DEFAULT_TABLESPACE", "DEFAULT_TABLE_ACCESS_METHOD", "DEFAULT_WITH_OIDS",
})  # fmt: skip
_FUNCTIONS = ("SET_CONFIG", "PG_RESTORE_RELATION_STATS", "PG_RESTORE_ATTRIBUTE_STATS")

# Who may do what: compared with nothing, and therefore not run either.
_RIGHTS = {"GRANT": "GRANT", "REVOKE": "REVOKE"}


@dataclass(frozen=True)
class SchemaText:
    """What schema.sql asks for. `left_out` are the statements about owners and rights: their words and their lines."""

    statements: tuple[Statement, ...]
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence about what was left out, or none."""
        if not self.left_out:
            return ()
        kinds = sorted({kind for kind, _ in self.left_out})
        lines = [str(line) for _, line in self.left_out]
        shown = ", ".join(lines[:5]) + (f" and {len(lines) - 5} more" if len(lines) > 5 else "")
        return (
            f"{_listed(kinds)} in schema.sql (line {shown}) is left out: who owns and may use what is said by migrations.",
        )


def read_schema(schema: Path) -> SchemaText:
    """Read schema.sql.

    Raises:
        ConfigurationError: there is no such file.
        InvalidPlan: a quote is never closed, or it holds rows, or a command of psql; `where` names its line.
    """
    try:
        text = schema.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {schema.name}: {error}", remedy="It stands in the root.") from error
    # blanks keep every offset, and so every line
    text = _RESTRICT.sub(lambda match: " " * len(match[0]), text)
    try:
        found = statements(text)
    except Unterminated as fault:
        raise InvalidPlan(f"{fault.what} that is never closed", where=f"{schema.name}:{fault.line}") from fault
    for statement in found:
        _refuse(statement, text, schema)
    left_out = [(kind, statement.line) for statement in found if (kind := _right(statement))]
    return SchemaText(
        tuple(each for each in found if not _right(each) and not _is_for_the_session(each)), tuple(left_out)
    )


def _refuse(statement: Statement, text: str, schema: Path) -> None:
    if statement.words[0] == "COPY":
        raise InvalidPlan(
            "rows have no place in it",
            where=f"{schema.name}:{statement.line}",
            remedy="Take the dump again with `pg_dump --schema-only`.",
        )
    if statement.words[0] == "\\" and (command := _COMMAND.match(text, statement.start)):
        raise InvalidPlan(
            f"{command[0]} is a command of psql, and no SQL",
            where=f"{schema.name}:{line_of(text, statement.start)}",
            remedy="Remove it. (Take the dump without `--create`.)",
        )


def _is_for_the_session(statement: Statement) -> bool:
    """Whether it sets up the session that restores a dump, or makes the schema that is always there."""
    words = statement.words
    if words[0] == "SET" and words[1:2] and words[1] in _SETTINGS:
        return True
    if words[0] == "SELECT":
        return any(word in words[:8] for word in _FUNCTIONS)
    return _names(statement, "CREATE", "SCHEMA") in {("public",), ("IF", "NOT", "EXISTS", "public")}


def _right(statement: Statement) -> str:
    """GRANT, REVOKE or OWNER, where the statement is about nothing else; empty otherwise."""
    words = statement.words
    if words[0] in _RIGHTS:
        return _RIGHTS[words[0]]
    if words[:3] == ("ALTER", "DEFAULT", "PRIVILEGES"):
        return "ALTER DEFAULT PRIVILEGES"
    if words[0] == "ALTER" and words[-3:-1] == ("OWNER", "TO"):
        return "OWNER"
    return ""


def _names(statement: Statement, *keywords: str) -> tuple[str, ...]:
    """What follows the keywords, names folded; nothing where the statement begins otherwise."""
    if statement.words[: len(keywords)] != keywords:
        return ()
    return tuple(
        token.identifier if token.kind == "quoted" or token.identifier == "public" else token.upper
        for token in statement.tokens[len(keywords) :]
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
