"""Names inside SQL text."""

from __future__ import annotations


def quote_identifier(name: str) -> str:
    """Quote a name so that SQL reads it back unchanged."""
    return '"' + name.replace('"', '""') + '"'
