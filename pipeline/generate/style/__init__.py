"""The style of generated SQL: as people write it here.

This module spells one statement: unqualified in public, short type names, aligned columns. Beside it, `rewriting` puts a
differ's statements in order and merges what one of them can say, and `wording` takes schema.sql's own words for them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbclient.quoting import identifier
from pipeline.migrations.sql_text import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.migrations.sql_text import Token

_WIDTH = 120
# What PostgreSQL's own functions write, and how people write it. The order matters.
_PHRASES = (
    (re.compile(r"timestamp(\(\d\))? with time zone"), r"timestamptz\1"),
    (re.compile(r"timestamp(\(\d\))? without time zone"), r"timestamp\1"),
    (re.compile(r"time(\(\d\))? with time zone"), r"timetz\1"),
    (re.compile(r"time(\(\d\))? without time zone"), r"time\1"),
    (re.compile(r"character varying"), "varchar"),
    (re.compile(r" USING btree "), " "),
    (re.compile(r"ON UPDATE (CASCADE|RESTRICT|SET NULL|SET DEFAULT) ON DELETE (CASCADE|RESTRICT|SET NULL|SET DEFAULT)"),
     r"ON DELETE \2 ON UPDATE \1"),
    (re.compile(r'(REFERENCES (?:"[^"]+"|\w+))\('), r"\1 ("),
)  # fmt: skip
_COLUMN_LIST = re.compile(
    r'((?:FOREIGN KEY|PRIMARY KEY|UNIQUE|REFERENCES (?:"[^"]+"|\w+)|ON (?:"[^"]+"|\w+)) \()([^()]*)\)'
)
_PLAIN_COLUMN = re.compile(r"[a-z_][a-z0-9_]*\Z")


def quoted(name: str) -> str:
    """The name as a quoted identifier; a name with a schema keeps both parts."""
    return ".".join(identifier(part) for part in name.split(".", 1))


def new_name(name: str) -> str:
    """What something is called that is built beside the one whose name it will have."""
    return f"{name[:59]}_new"


def spelled(sql: str) -> str:
    """Write one statement of the differ the way that people here do. Strings and functions' bodies stay as they are."""
    text = "".join(_outside_strings(sql))
    if text.startswith("CREATE TABLE ") and text.endswith(")"):
        return _table(text)
    return _broken(text)


def _outside_strings(sql: str) -> Iterable[str]:
    """The text without `public.`, with the phrases replaced between the tokens that are strings."""
    kept = "".join(_unqualified(sql))
    pending = ""
    position = 0
    for token in tokens(kept):
        if token.kind in {"string", "dollar", "comment"}:
            yield _phrases(pending + kept[position : token.start])
            yield token.text
            pending, position = "", token.end
    yield _phrases(pending + kept[position:])


def _unqualified(sql: str) -> Iterable[str]:
    position = 0
    found = list(tokens(sql))
    skip_dot = False
    for number, token in enumerate(found):
        follower = found[number + 1].text if number + 1 < len(found) else ""
        yield sql[position : token.start]
        if skip_dot and token.text == ".":
            skip_dot = False
        elif _is_public(token) and follower == ".":
            skip_dot = True
        else:
            yield token.text
        position = token.end
    yield sql[position:]


def _is_public(token: Token) -> bool:
    return token.kind in {"word", "quoted"} and token.identifier == "public"


def _phrases(text: str) -> str:
    for pattern, written in _PHRASES:
        text = pattern.sub(written, text)
    return _COLUMN_LIST.sub(lambda match: f"{match[1]}{_quoted_columns(match[2])})", text)


def _quoted_columns(columns: str) -> str:
    """Quote each bare column, unless the list holds anything more than columns."""
    parts = [part.strip() for part in columns.split(",")]
    return ", ".join(f'"{part}"' if _PLAIN_COLUMN.match(part) else part for part in parts)


def _table(text: str) -> str:
    parenthesis = text.index("(")
    parts = split_at_commas(text[parenthesis + 1 : -1])
    columns = [part.split(" ", 1) for part in parts if part.startswith('"')]
    width = max((len(column[0]) for column in columns), default=0)
    lines = [
        f"    {part.split(' ', 1)[0].ljust(width)} {part.split(' ', 1)[1]}" if part.startswith('"') else f"    {part}"
        for part in parts
    ]
    return f"{text[:parenthesis].rstrip()} (\n" + ",\n".join(lines) + "\n)"


def _broken(text: str) -> str:
    """Break a long ALTER TABLE or CREATE INDEX before its clause."""
    if "\n" in text or len(text) < _WIDTH:
        return text
    match = re.match(r"(ALTER TABLE (?:ONLY )?\S+|CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?\S+) ", text)
    return f"{match[1]}\n    {text[match.end() :]}" if match else text


def split_at_commas(text: str) -> list[str]:
    """Cut at the commas that stand outside of parentheses, brackets and strings."""
    parts, start, depth = [], 0, 0
    for token in tokens(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            parts.append(text[start : token.start].strip())
            start = token.end
    return [*parts, text[start:].strip()]
