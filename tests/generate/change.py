"""One edit of schema.sql, and how generating its migration must end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ending = Literal["converged", "draft", "refused"]


@dataclass(frozen=True)
class Change:
    """One edit: what is replaced, what is added at the end, and what the developer says on the command line."""

    group: str
    name: str
    replace: tuple[tuple[str, str], ...] = ()
    add: str = ""
    allow_destructive: bool = False
    renames: tuple[str, ...] = ()
    ending: Ending = "converged"
    counts: tuple[str, ...] = ()  # columns whose next number must be one that no row has had
    asked: tuple[str, ...] = ()  # what `check` asks about schema.sql itself
    rewritten: tuple[str, ...] = ()  # columns whose values are written otherwise afterwards, and mean the same

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"

    def of(self, schema: str) -> str:
        for old, new in self.replace:
            assert schema.count(old) == 1, f"{self.id}: {old!r} stands {schema.count(old)} times in the schema"
            schema = schema.replace(old, new)
        return f"{schema}\n{self.add}\n"


def edit(group: str, name: str, old: str, new: str, **more: object) -> Change:
    return Change(group, name, replace=((old, new),), **more)  # type: ignore[arg-type]


def add(group: str, name: str, sql: str, **more: object) -> Change:
    return Change(group, name, add=sql, **more)  # type: ignore[arg-type]
