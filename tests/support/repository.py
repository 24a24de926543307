"""A git repository with migrations, made up by a test: what a developer's checkout is to git."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.migrations import read_folder

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Repository:
    """A git repository whose migrations each make a table of their own name."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> Repository:
        """A new one, on the branch main."""
        (root / "migrations").mkdir(parents=True)
        made = cls(root)
        made.git("init", "-q", "-b", "main")
        return made

    @property
    def migrations(self) -> Path:
        return self.root / "migrations"

    def git(self, *arguments: str) -> str:
        """Run git here; its output. Raises CalledProcessError."""
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", "-C", str(self.root), *identity, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout

    def write(self, id_: str, sql: str = "", rollback: str = "", *, depends: str = "") -> None:
        """Write a migration and its rollback; left out, they make and drop a table with the rest of the id as its name."""
        head = f"-- {id_}\n" + (f"-- depends: {depends}\n" if depends else "")
        table = id_.partition("_")[2]
        text = sql or f"CREATE TABLE {table} (id int);"
        (self.migrations / f"{id_}.sql").write_text(f"{head}\n{text}\n")
        (self.migrations / f"{id_}.rollback.sql").write_text(f"-- Undo\n{rollback or f'DROP TABLE {table};'}\n")

    def remove(self, id_: str) -> None:
        """Remove a migration and its rollback file."""
        for ending in (".sql", ".rollback.sql"):
            (self.migrations / f"{id_}{ending}").unlink()

    def commit(self, message: str = "more") -> None:
        """Commit all that stands here."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def ids(self) -> list[str]:
        """The migrations that stand here."""
        return [file.id for file in read_folder(self.migrations).files]
