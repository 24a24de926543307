"""Text and names inside SQL text, where no parameters can be sent, and settings inside libpq's `options`."""

from __future__ import annotations


def identifier(name: str) -> str:
    """Quote a name so that SQL reads it back unchanged."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as an SQL string constant; standard_conforming_strings is on for every session of ours."""
    return "'" + text.replace("'", "''") + "'"


def start_up_option(setting: str, value: str) -> str:
    """A setting for `options`, which the server splits at spaces that have no backslash (postgres.c, pg_split_opts)."""
    escaped = value.replace("\\", "\\\\").replace(" ", "\\ ")
    return f"-c {setting}={escaped}"
