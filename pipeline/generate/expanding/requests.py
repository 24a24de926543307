"""What is asked for on the command line, read: the column, its new name or type, and the expressions both ways."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.generate.expanding import Change
from pipeline.generate.expanding.expressions import check_expression
from pipeline.generate.new_migrations import check_name
from pipeline.generate.style import quoted
from pipeline.migrations.sql_text import Unterminated, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.generate.expanding.columns import ColumnFacts

# Names that a file's head can hold, and that a name made of two of them is still readable by.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*\Z")


@dataclass(frozen=True, slots=True)
class Request:
    """`--rename Message.name=toolName --keep-both`, or `--retype Message.usage=jsonb --using … --back … [--as …]`."""

    table: str
    old: str
    new: str
    type: str = ""  # empty for a rename: the old one's
    using: str = ""
    back: str = ""

    def change(self, name: str, spelled: str, column: ColumnFacts, *, comparable: bool = True) -> Change:
        """What becomes of the column, under the migration's name, `spelled` as SQL needs it."""
        return Change(
            name,
            spelled,
            self.table,
            self.old,
            self.new,
            self.type or column.definition,
            self.using or quoted(self.old),
            self.back or quoted(self.new),
            comparable,
        )


def rename_request(texts: Sequence[str]) -> Request:
    """Read the one `--rename TABLE.COLUMN=NEW` that goes with --keep-both. Raises UsageError."""
    if len(texts) != 1:
        raise UsageError("--keep-both goes with one --rename", remedy="Give each column an expansion of its own.")
    text = texts[0]
    table, old, new = _taken_apart(text, "--rename", "--rename Message.name=toolName --keep-both")
    return Request(table, old, _checked(new, "--rename", text))


def retype_request(text: str, using: str, back: str, new: str = "") -> Request:
    """Read `--retype TABLE.COLUMN=TYPE`, the expressions and the new column's name: left out, the old one's with the type's.

    Raises:
        UsageError: one of them cannot be read, or an expression is missing.
    """
    table, old, type_ = _taken_apart(text, "--retype", "--retype 'Message.usage=jsonb' --using … --back …")
    _check_type(type_)
    if not using or not back:
        raise UsageError(
            "--retype needs both directions",
            remedy=f"--using gives the new value from {quoted(old)}, --back the old one from the new column.",
        )
    new = _checked(new or _with_type(old, type_), "--as", new)
    if new == old:
        raise UsageError(f"--as {new}: that is the old column", remedy="Give the new one another name.")
    return Request(
        table, old, new, type_, check_expression(using, "--using", old), check_expression(back, "--back", new)
    )


def column_named(text: str, flag: str) -> tuple[str, str]:
    """Read `TABLE.COLUMN`. Raises UsageError."""
    table, _, column = text.strip().rpartition(".")
    if not table or not _NAME.match(column):
        raise UsageError(f"{flag} {text}: not of the form TABLE.COLUMN", remedy=f"Write {flag} Message.name.")
    return table.removeprefix("public."), column


def migration_name(name: str) -> str:
    """The migration's name, which is the trigger's and its function's, too.

    Raises:
        UsageError: it cannot be one.
    """
    plain = check_name(name)
    if len(plain) > 63:
        raise UsageError(f"{plain!r} is too long for the name of a function", remedy="Use at most 63 characters.")
    return plain


def _taken_apart(text: str, flag: str, example: str) -> tuple[str, str, str]:
    named, equals, new = text.partition("=")
    if not equals or not new.strip():
        raise UsageError(f"{flag} {text}: not of the form TABLE.COLUMN=NEW", remedy=f"Write {example}.")
    table, old = column_named(named, flag)
    return table, old, new.strip()


def _checked(name: str, flag: str, text: str) -> str:
    if not _NAME.match(name):
        raise UsageError(
            f"{flag} {text}: {name!r} cannot be the new column's name here", remedy="Use letters, digits, _ and $."
        )
    return name


def _check_type(type_: str) -> None:
    try:
        found = [token for token in tokens(type_) if token.kind != "comment"]
    except Unterminated as fault:
        raise UsageError(f"--retype …={type_}: {fault}", remedy="Close it.") from None
    if any(token.text in {";", "=", "'"} or token.kind in {"string", "dollar"} for token in found):
        raise UsageError(
            f"--retype …={type_}: no type", remedy="Write a type as CREATE TABLE takes it, as numeric(10, 2)."
        )


def _with_type(old: str, type_: str) -> str:
    """The old name with the type's: of usage and jsonb usageJsonb, of tool_usage and jsonb tool_usage_jsonb."""
    word = "".join(re.findall(r"[A-Za-z0-9]+", type_.partition("(")[0])).lower()
    is_snake = "_" in old.strip("_")
    return f"{old}_{word}" if is_snake else f"{old}{word[:1].upper()}{word[1:]}"
