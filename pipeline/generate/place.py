"""Where the flows of this package work: a checkout, a server for shadow databases, and a differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.generate.derived_files import PrismaSchema
from pipeline.generate.differ.pg_delta import PgDelta

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb.url import DatabaseURL
    from pipeline.generate.differ import Differ


@dataclass(frozen=True)
class Place:
    """A checkout (`root`), the local database, and optionally another server for the shadows, or another differ."""

    root: Path
    local: DatabaseURL
    shadow: DatabaseURL | None = None  # SHADOW_DATABASE_URL
    chosen_differ: Differ | None = None

    @property
    def schema(self) -> Path:
        """The desired schema."""
        return self.root / "schema.sql"

    @property
    def migrations(self) -> Path:
        """The folder of migrations."""
        return self.root / "migrations"

    @property
    def page(self) -> Path:
        """The page with the ER diagram."""
        return self.root / "docs" / "schema.md"

    @property
    def prisma(self) -> PrismaSchema:
        """The schema of the TypeScript services' client."""
        return PrismaSchema(self.root / "clients" / "prisma", self.state / "clients")

    @property
    def state(self) -> Path:
        """The git-ignored folder of this checkout."""
        return self.root / ".local"

    @property
    def differ(self) -> Differ:
        """Who compares two databases."""
        return self.chosen_differ or PgDelta(self.state / "differ")
