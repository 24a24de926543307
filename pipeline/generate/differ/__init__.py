"""The one small interface between the pipeline and whatever library compares two databases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbclient.url import DatabaseURL


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, without its semicolon, in the order in which it must run."""

    sql: str
    destructive: bool = False  # the library says that data is lost
    commit_before: bool = False  # it uses what a step before it must have committed, as a new enum value
    verbatim: bool = False  # it is in the developer's own words
    loses_nothing: bool = False  # what it drops was carried over before
    needs: str = ""  # the name of what has to be there first, where that comes in a later file


@dataclass(frozen=True)
class Difference:
    """What leads from one database to another, and back.

    `problem` says why no statements could be made for a direction; its steps are then empty. `doubts` are things that
    the library saw and does not handle. None of it is trusted: the gate decides.
    """

    forward: tuple[Step, ...]
    backward: tuple[Step, ...]
    problem: str = ""
    doubts: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the library sees no difference."""
        return not self.forward and not self.problem


class Differ(Protocol):
    """Whoever can tell the difference between two databases."""

    def difference(self, left: DatabaseURL, right: DatabaseURL, *, roles: Sequence[str]) -> Difference:
        """Compare two databases of one server, apart from grants and from the history's schema.

        `roles` are those that may be named in them.
        """
        ...
