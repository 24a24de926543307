"""Folders of migration files, made up by a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.migrations import read_folder

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.migrations import Folder


class FolderBuilder:
    """A folder under construction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)

    def write(self, id_: str, sql: str | bytes, rollback: str | None = None) -> FolderBuilder:
        """Write a migration, and its rollback file if one is given."""
        (self.path / f"{id_}.sql").write_bytes(sql if isinstance(sql, bytes) else sql.encode())
        if rollback is not None:
            (self.path / f"{id_}.rollback.sql").write_text(rollback)
        return self

    def read(self) -> Folder:
        """The folder as the pipeline reads it."""
        return read_folder(self.path)


@pytest.fixture
def folder(tmp_path: Path) -> FolderBuilder:
    """An empty migrations folder."""
    return FolderBuilder(tmp_path / "migrations")
