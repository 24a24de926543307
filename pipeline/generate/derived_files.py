"""The files that are made from what the migrations build: the page with the ER diagram, and Prisma's schema.

clients/prisma/schema.prisma is what TypeScript services make their client from, kept as Prisma itself finds the database.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import InvalidPlan
from pipeline.node import find_node, install

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.generate import Workbench

_PACKAGES = ("package.json", "package-lock.json", ".npmrc", "schema_engine.mjs", "pull.mjs", "diff.mjs")
_TIMEOUT = 120  # seconds
_EMPTY = "The introspected database was empty"  # what the engine makes an error of
_CONFLICT = b"\n<<<<<<< "


@dataclass(frozen=True, slots=True)
class DerivedTexts:
    """New texts of the two files; None for one that is as it should be, or is not there."""

    page: str | None = None
    prisma: str | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """The files that were written."""

    page: Path | None = None
    prisma: Path | None = None


def read_derived(workbench: Workbench, database: DatabaseURL) -> DerivedTexts:
    """Read what the files should say from a database that the migrations built.

    Raises:
        ConfigurationError: Prisma's engine cannot be had.
        InvalidPlan: `schema.prisma` cannot be read by it.
    """
    from pipeline.schema.er_diagram import redrawn

    return DerivedTexts(redrawn(workbench.page, database), prisma_schema(workbench).refreshed(database))


def write_derived(workbench: Workbench, texts: DerivedTexts) -> Derived:
    """Write what `read_derived` gave."""
    from pipeline.schema.er_diagram import write_page

    return Derived(write_page(workbench.page, texts.page), prisma_schema(workbench).write(texts.prisma))


def prisma_schema(workbench: Workbench) -> PrismaSchema:
    """The schema of the TypeScript services' client."""
    return PrismaSchema(workbench.root / "clients" / "prisma", workbench.state / "clients")


def draw_after_conflict(root: Path, local: DatabaseURL) -> Path | None:
    """Draw the diagram from the local database, which has every migration now; None where there is no conflict in it.

    A merge leaves one when both sides changed the schema: it is drawn, so nobody needs to solve it by hand.
    """
    page = root / "docs" / "schema.md"
    if not page.is_file() or _CONFLICT not in page.read_bytes():  # the usual case, which needs no import
        return None
    from pipeline.schema.er_diagram import in_conflict, redrawn, write_page

    return write_page(page, redrawn(page, local)) if in_conflict(page) else None


class PrismaSchema:
    """The file in a checkout's folder of Prisma's packages. `state` is the git-ignored folder that they are installed into."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.file = folder / "schema.prisma"
        self._folder = folder
        self._state = state

    @property
    def exists(self) -> bool:
        """Whether this checkout has a client of Prisma's at all."""
        return self.file.is_file()

    def install(self) -> Path:
        """Install Prisma's packages and our programs that call them, and give the folder that has them.

        Raises:
            ConfigurationError: Node.js or the packages cannot be had.
        """
        return install([self._folder / name for name in _PACKAGES], self._state)

    def refreshed(self, database: DatabaseURL) -> str | None:
        """Give the file's text as Prisma's engine finds this database; None where it says that already, or is not there.

        What the database cannot know is kept: names of relations, defaults that the client makes, comments. The order of
        a model's fields is that of the table's columns, so `database` has to be one that the migrations built.

        Raises:
            ConfigurationError: Node.js or the packages cannot be had.
            InvalidPlan: the engine failed, as on a file that is not in Prisma's language; `where` names it.
        """
        if not self.exists:
            return None
        done = subprocess.run(
            [str(find_node().program), str(self.install() / "pull.mjs"), str(self.file)],
            env={**os.environ, "DATABASE_URL": database.for_prisma().dsn, "NODE_NO_WARNINGS": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_TIMEOUT,
            check=False,
        )
        if done.returncode != 0:
            if _EMPTY in done.stderr and not re.search(r"^(model|view) ", self.file.read_text("utf-8"), re.MULTILINE):
                return None  # nothing of nothing: a product that has no table yet
            lines = [line.strip() for line in done.stderr.splitlines()]
            why = next((line for line in lines if line.lower().startswith("error")), done.stderr.strip()[:500])
            raise InvalidPlan(
                f"Prisma's engine failed on it: {why}",
                where=f"{self._folder.parent.name}/{self._folder.name}/{self.file.name}",
                remedy="Correct it, or take it from git; it is written anew by `./inv verify`.",
            )
        return None if done.stdout == self.file.read_text(encoding="utf-8") else done.stdout

    def refreshed_once(self, database: DatabaseURL, built_from: Iterable[str]) -> str | None:
        """Do what `refreshed` does, once for the same texts: that the file fits them is remembered in `state`.

        `built_from` are the checksums of what the database was built from. The engine takes a second of a processor.

        Raises:
            ConfigurationError, InvalidPlan: as `refreshed` raises them.
        """
        if not self.exists:
            return None
        folder = self.install()
        digest = hashlib.sha256(self.file.read_bytes())
        for text in (folder.name, *built_from):
            digest.update(b"\0" + text.encode())
        fits = self._state / "fits"
        if fits.is_file() and fits.read_text(encoding="utf-8") == digest.hexdigest():
            return None
        new = self.refreshed(database)
        if new is None:
            fits.write_text(digest.hexdigest(), encoding="utf-8")
        return new

    def write(self, text: str | None) -> Path | None:
        """Write what `refreshed` gave, and give the file if it was written."""
        if text is None:
            return None
        self.file.write_text(text, encoding="utf-8", newline="\n")
        return self.file
