"""What stands in the repository beside the migrations and follows them: the ER diagram's page and Prisma's schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.schema.er_diagram import redrawn, write_page

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb.url import DatabaseURL
    from pipeline.generate.place import Place


@dataclass(frozen=True, slots=True)
class Following:
    """New texts of the two files; None for one that is as it should be, or is not there."""

    page: str | None = None
    prisma: str | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """The files that were written."""

    page: Path | None = None
    prisma: Path | None = None


def read_following(place: Place, database: DatabaseURL) -> Following:
    """Read what the files should say from a database that the migrations built.

    Raises:
        ConfigurationError: Prisma's engine cannot be had.
        InvalidPlan: `schema.prisma` cannot be read by it.
    """
    return Following(redrawn(place.page, database), place.prisma.refreshed(database))


def write_following(place: Place, following: Following) -> Followed:
    """Write what `read_following` gave."""
    return Followed(write_page(place.page, following.page), place.prisma.write(following.prisma))
