"""Text and names inside SQL text, where no parameters can be sent: several statements in one query, and DDL."""

from __future__ import annotations

from chatdb.quoting import quote_identifier as identifier

__all__ = ["identifier", "literal"]


def literal(text: str) -> str:
    """The text as an SQL string constant; standard_conforming_strings is on for every session of ours."""
    return "'" + text.replace("'", "''") + "'"
