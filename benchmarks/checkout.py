"""A checkout for the run: this repository's code and environment, and migrations that were made for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.cases import backward, forward, name_of

ROOT = Path(__file__).resolve().parents[1]


def make_checkout(folder: Path, files: int) -> Path:
    """Make a checkout with so many migrations, in which ./inv runs as in this one; its path.

    `tasks.py` is copied and not linked, since the folder that it is really in is where migrations/ is looked for.
    """
    folder.mkdir()
    for name in ("tasks.py", "inv", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("pipeline", "dbclient", "servers", "verbs", "services.py", "product.toml"):
        (folder / name).symlink_to(ROOT / name)
    _link_environment(folder)
    migrations = folder / "migrations"
    migrations.mkdir()
    for number in range(1, files + 1):
        (migrations / f"{name_of(number)}.sql").write_text(forward(number), encoding="utf-8")
        (migrations / f"{name_of(number)}.rollback.sql").write_text(backward(number), encoding="utf-8")
    # What runs asks git which commit holds the files.
    for arguments in (
        ("init", "--quiet"),
        ("add", "--force", "migrations"),
        ("commit", "--quiet", "--message=A checkout"),
    ):
        subprocess.run(
            ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", *arguments], cwd=folder, check=True
        )
    return folder


def _link_environment(folder: Path) -> None:
    """Give it this interpreter's environment, with the stamp that ./inv compares (pipeline/packages.py)."""
    environment = folder / ".venv"
    (environment / "installed").mkdir(parents=True)
    for entry in Path(sys.prefix).iterdir():
        if entry.name != "installed":
            (environment / entry.name).symlink_to(entry)
    lock = (folder / "requirements.lock").read_bytes()
    (environment / "installed" / "requirements.lock").write_bytes(os.fsencode(folder.resolve()) + b"\n" + lock)
    (environment / "installed" / "ready").touch()  # else ./inv prepares it again before each run
