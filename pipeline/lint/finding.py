"""What a check found, and where; and what a lock means for those who use the table, in words that every rule shares."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.migrations.phrase import quoted


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


_WAITS = {
    "SHARE": "nobody can write to it, readers go on",
    "SHARE ROW EXCLUSIVE": "nobody can write to it, readers go on",
    "EXCLUSIVE": "nobody can write to it, readers go on",
    "ACCESS EXCLUSIVE": "nobody can read or write it",
    "SHARE UPDATE EXCLUSIVE": "services read and write on, other changes of the table wait",
    "ROW EXCLUSIVE": "services go on, but whoever wants one of the rows that it changed waits",
}
EXPAND = "Expand and contract (docs/expand-contract.md)"
NOT_TRANSACTIONAL = "in a file of its own whose head has `-- transactional: false`"
# How long something is held, in the words that a message ends with.
TO_THE_END = "until the whole file is committed"


def holds(lock: str, table: str, until: str) -> str:
    """Say the lock, who waits, and how long: `takes SHARE on "t": nobody can write to it, …, until …`."""
    return f"takes {lock} on {quoted(table)}: {_WAITS[lock]}, {until}"


def while_reading(table: str) -> str:
    """Say how long, where every row is read under the lock."""
    return f"until every row of {quoted(table)} has been read and the file is committed"
