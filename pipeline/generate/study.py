"""Looking at both sides before anything is written: what the migrations build, and what schema.sql asks for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import InvalidPlan
from pipeline.generate.building import load, replay
from pipeline.generate.dump import Deviation, Objects, deviations, read_objects
from pipeline.generate.facts import Facts, read_facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatdb.url import DatabaseURL
    from pipeline.migrations import Folder
    from pipeline.schema.shadows import Shadows


@dataclass(frozen=True)
class Side:
    """A shadow database and what is in it."""

    database: DatabaseURL
    objects: Objects
    facts: Facts


@dataclass(frozen=True)
class Study:
    """Both sides."""

    current: Side
    desired: Side

    @property
    def deviations(self) -> list[Deviation]:
        """What schema.sql asks for and the migrations do not build, or the other way round."""
        return deviations(self.desired.objects, self.current.objects, grants=False)


def study(shadows: Shadows, folder: Folder, schema: Path) -> Study:
    """Build and read both sides, side by side.

    Raises:
        InvalidPlan: a migration, or schema.sql, cannot be run.
    """
    current = shadows.create("current")

    def build_current() -> Side:
        replay(current, folder)
        return read_side(current)

    return study_beside(build_current, shadows.create("desired"), schema)


def study_beside(build_current: Callable[[], Side], desired: DatabaseURL, schema: Path) -> Study:
    """Build the current side as it is asked to, and beside it the other one in a database that is empty.

    Raises:
        InvalidPlan: schema.sql cannot be run; and what `build_current` raises.
    """

    def build_desired() -> Side:
        load(desired, schema)
        return read_side(desired)

    with ThreadPoolExecutor(max_workers=2) as pool:
        sides = pool.submit(build_current), pool.submit(build_desired)
        left = sides[0].result()
        try:
            return Study(left, sides[1].result())
        except InvalidPlan:
            # on a new server it may have named a role that the migrations, beside it, had not made yet
            return Study(left, build_desired())


def read_side(database: DatabaseURL) -> Side:
    """Read a database that is built."""
    return Side(database, read_objects(database), read_facts(database))
