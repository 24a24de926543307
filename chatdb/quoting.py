"""Text and names inside SQL text, where no parameters can be sent: several statements in one query, and DDL."""

from __future__ import annotations


def identifier(name: str) -> str:
    """Quote a name so that SQL reads it back unchanged."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as an SQL string constant; standard_conforming_strings is on for every session of ours."""
    return "'" + text.replace("'", "''") + "'"
