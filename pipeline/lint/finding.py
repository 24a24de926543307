"""What a check found, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault at one place.

    Lines and columns count from 1; the end column is the one just behind the last character. `rule` is the slug of the
    rule and of its page under docs/lint/; `help` says what to write instead.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    rule: str
    message: str
    help: str = ""

    @property
    def where(self) -> str:
        """The place as editors and terminals link it."""
        return f"{self.path}:{self.line}"


def about_file(path: str, rule: str, message: str, help_: str = "", *, line: int = 1) -> Finding:
    """Make a finding that concerns a file as a whole, or one of its lines."""
    return Finding(path, line, 1, line, 1, rule, message, help_)
