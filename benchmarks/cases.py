"""What is measured: how many migrations a database has, and how many it is given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """`applied` migrations are in the database when a tool starts, and `pending` more are in the folder."""

    name: str
    applied: int
    pending: int

    @property
    def files(self) -> int:
        """How many migrations the folder holds."""
        return self.applied + self.pending


# The last two stand on the database that the one before them leaves.
CASES = (
    Case("1", 0, 1),
    Case("10", 0, 10),
    Case("100", 0, 100),
    Case("1000", 0, 1000),
    Case("nothing", 1000, 0),
    Case("one-on-1000", 1000, 1),
)


def name_of(number: int) -> str:
    """The id of a migration, as its file is called."""
    return f"{number:04}_make_item_{number:04}"


def forward(number: int) -> str:
    """A small migration of the usual kind: a table, and an index for it."""
    return (
        f"-- item {number}\n"
        f"CREATE TABLE item_{number:04} (id uuid PRIMARY KEY, label text NOT NULL, made_at timestamptz NOT NULL);\n"
        f"CREATE INDEX item_{number:04}_made_at ON item_{number:04} (made_at);\n"
    )


def backward(number: int) -> str:
    """Its rollback."""
    return f"DROP TABLE item_{number:04};\n"
