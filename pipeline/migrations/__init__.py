"""What a folder of migrations holds, by yoyo's conventions: NNNN_name.sql with an optional NNNN_name.rollback.sql.

Reading is cheap on purpose: names and checksums only. A file is taken apart when it is about to run (`MigrationFile.forward`).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError, InvalidPlan, MigrationFileError
from pipeline.migrations.names import ROLLBACK, number_of, read_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from pipeline.migrations.script import Script


@dataclass(frozen=True)
class MigrationFile:
    """One migration: `id` is the file's name without its ending, as yoyo has it."""

    id: str
    path: str
    data: bytes = field(repr=False)  # LF-normalised
    rollback_path: str | None = None

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the LF-normalised text, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def hash(self) -> str:
        """Yoyo's key of the history: SHA-256 of the id (yoyo.migrations.get_migration_hash)."""
        return hashlib.sha256(self.id.encode()).hexdigest()

    @cached_property
    def forward(self) -> Script:
        """The file taken apart.

        Raises:
            MigrationFileError: the text is at fault; `where` names file and line.
        """
        from pipeline.migrations.script import read_script

        return read_script(self.data, self.path)

    @cached_property
    def rollback_data(self) -> bytes | None:
        """The rollback file's LF-normalised bytes, or None where there is none."""
        return None if self.rollback_path is None else _normalised(self.rollback_path)

    @cached_property
    def backward(self) -> Script | None:
        """The rollback file taken apart, or None where there is none.

        Raises:
            MigrationFileError: the text is at fault; `where` names file and line.
        """
        if self.rollback_path is None or self.rollback_data is None:
            return None
        from pipeline.migrations.script import read_script

        script = read_script(self.rollback_data, self.rollback_path)
        if script.depends:
            raise MigrationFileError(
                "a rollback file depends on nothing",
                where=self.rollback_path,
                remedy="Remove its `-- depends:` line; the migration's own is what counts.",
            )
        if script.batched is not None:
            raise MigrationFileError(
                "a rollback file does not run in batches",
                where=self.rollback_path,
                remedy="Remove its `batched=`: a rollback runs on local databases only, in one transaction.",
            )
        return script


@dataclass(frozen=True)
class Folder:
    """The migrations of one folder, sorted by id, and the faults that their names alone show."""

    path: str
    files: tuple[MigrationFile, ...]
    faults: tuple[MigrationFileError, ...] = ()

    @cached_property
    def by_id(self) -> dict[str, MigrationFile]:
        """The files by their id."""
        return {file.id: file for file in self.files}


def read_folder(path: Path | str) -> Folder:
    """Read a folder's names and contents.

    Raises:
        ConfigurationError: there is no such folder, or a file of it cannot be read.
    """
    root = _shown(path)
    names, faults = read_names(path, root)
    among = frozenset(names)
    files = [_read(root, name, among) for name in names if not name.endswith(ROLLBACK)]
    return Folder(root, tuple(files), (*faults, *_duplicates(files)))


def raise_faults(faults: Sequence[InvalidPlan]) -> None:
    """Raise one fault as it is, several as one InvalidPlan that lists them; nothing when there is none."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        listed = "\n".join("  " + str(fault).replace("\n", "\n    ") for fault in faults)
        several = InvalidPlan(f"{len(faults)} faults, nothing was run:\n{listed}")
        several.faults = tuple(faults)
        raise several


def text_faults(files: Iterable[MigrationFile]) -> list[MigrationFileError]:
    """The faults that the texts of these files show, forward and backward."""
    found = []
    for file in files:
        for direction in ("forward", "backward"):
            try:
                getattr(file, direction)
            except MigrationFileError as fault:
                found.append(fault)
    return found


def _shown(path: Path | str) -> str:
    """The folder as a person would name it: relative to where they are, when it is below."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _duplicates(files: Iterable[MigrationFile]) -> list[MigrationFileError]:
    faults = []
    first: dict[str, MigrationFile] = {}
    for file in files:
        number = number_of(file.id)
        if number in first:
            fault = MigrationFileError(
                f"number {number} is taken by {first[number].id}",
                where=file.path,
                remedy="`./inv renumber` gives the one that was not merged yet the next free number.",
            )
            faults.append(fault)
        first.setdefault(number, file)
    return faults


def _read(root: str, name: str, names: Collection[str]) -> MigrationFile:
    stem = name.removesuffix(".sql")
    path = f"{root}/{name}"
    rollback = f"{stem}{ROLLBACK}"
    return MigrationFile(stem, path, _normalised(path), f"{root}/{rollback}" if rollback in names else None)


def _normalised(path: str) -> bytes:
    try:
        # The open() of pathlib costs twice as much, and a deploy with nothing to do reads a thousand of these.
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read().replace(b"\r\n", b"\n")
    except OSError as error:
        raise ConfigurationError(
            f"cannot read it: {error.strerror}",
            where=path,
            remedy="Nothing was changed. The account that runs this needs the right to read it.",
        ) from error
