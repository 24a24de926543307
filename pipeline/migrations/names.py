"""Which entries of a migrations folder are migrations, which are at fault, and which are left alone on purpose.

Left alone: hidden files, an editor's backups (`0001_a.sql~`, `.orig`, `.bak` …), files of other kinds, and folders. What
could be taken for a migration and is none is a fault: nobody would notice that it does not run.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError, InvalidPlan, MigrationFileError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

ROLLBACK = ".rollback.sql"

_NAME = re.compile(r"[0-9]{4}[a-z]?_[a-z0-9]+(?:_[a-z0-9]+)*\Z")  # \d takes the digits of every script
_DIGITS = 4
_OTHER_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode), "a device"),
)


def number_of(id_: str) -> str:
    """What stands before a migration's name: "0007", or "0006a" of a hotfix. The order of ids is that of their numbers."""
    return id_.partition("_")[0]


def is_hotfix(id_: str) -> bool:
    """Whether it is the hotfix of a release: its number is that of the release's last migration, with a letter behind it.

    A letter stands behind "_" in ASCII: 0006a_x comes behind every 0006_x, and before 0007_x, in yoyo's order too.
    """
    return len(number_of(id_)) > _DIGITS


def is_hotfix_of(id_: str, last: str) -> bool:
    """Whether it is a hotfix of the release whose last migration has this number, behind the hotfixes that it has."""
    return is_hotfix(id_) and id_[:_DIGITS] == last[:_DIGITS] and number_of(id_) > last


def name_of(id_: str) -> str:
    """What stands behind a migration's number."""
    return id_.partition("_")[2]


def next_number(ids: Iterable[str], *, hotfix: bool = False) -> str:
    """The number behind the last one: "0008", or for a `hotfix` of what these are, "0007a" and then "0007b".

    Raises:
        InvalidPlan: there is none.
    """
    last = max(map(number_of, ids), default="0000")
    return number_behind(last if hotfix else last[:_DIGITS], hotfix=hotfix)


def number_behind(number: str, *, hotfix: bool = False) -> str:
    """The number behind this one, of its kind; the first letter where `hotfix` and it has none.

    Raises:
        InvalidPlan: there is none.
    """
    digits, letter = number[:_DIGITS], number[_DIGITS:]
    if not letter and not hotfix:
        if digits == "9999":
            raise InvalidPlan("there is no number behind 9999", remedy="Begin anew from a baseline.")
        return f"{int(digits) + 1:04d}"
    if letter == "z":
        raise InvalidPlan(f"there is no hotfix number behind {number}", remedy="Release what is on the main branch.")
    return f"{digits}{chr(ord(letter) + 1) if letter else 'a'}"


def read_names(path: Path | str, root: str) -> tuple[list[str], list[MigrationFileError]]:
    """The names in a folder that are migrations and rollback files, sorted, and the faults of the others.

    `root` is how the folder is shown.

    Raises:
        ConfigurationError: there is no such folder, or it cannot be read.
    """
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the migrations folder {path}: {error.strerror}",
            remedy="Run from the repository's root, where migrations/ is.",
        ) from error
    looked_at = [entry for entry in entries if _could_be_meant(entry.name)]
    irregular = {entry.name: kind for entry in looked_at if (kind := _other_kind(entry))}
    there = {entry.name for entry in looked_at}
    names, faults = [], []
    for entry in looked_at:
        if (fault := _fault(root, entry.name, irregular.get(entry.name, ""), there)) is not None:
            faults.append(fault)
        elif entry.name.endswith(".sql"):
            names.append(entry.name)
    return names, faults


def _could_be_meant(name: str) -> bool:
    """Whether somebody may have meant it to be run: its ending is a migration's, at least to the eye."""
    if name.startswith("."):
        return False
    if name.endswith((".sql", ".py")):
        return True
    if not name.isascii():
        import unicodedata

        name = unicodedata.normalize("NFKC", name)
    visible = "".join(character for character in name if character.isprintable())
    return visible.casefold().rstrip(" .").endswith((".sql", ".sql.txt"))


def _other_kind(entry: os.DirEntry[str]) -> str:
    """What it is, when it is no file that can be read; empty for a file, and for a link to one."""
    try:
        if entry.is_file():  # without a question to the system where the folder's listing tells
            return ""
        mode = entry.stat().st_mode
    except OSError:
        return "a symbolic link that leads to no file"
    return next((kind for is_kind, kind in _OTHER_KINDS if is_kind(mode)), "no file")


def _fault(root: str, name: str, kind: str, there: Collection[str]) -> MigrationFileError | None:
    where = f"{root}/{_printable(name)}"
    if name.endswith(".py"):
        if kind:
            return None
        return MigrationFileError(
            "Python migrations are not run: a plan must be readable before it runs",
            where=where,
            remedy="Write the change as SQL, in NNNN_name.sql.",
        )
    rollback = name.endswith(ROLLBACK)
    stem = name.removesuffix(ROLLBACK) if rollback else name.removesuffix(".sql")
    if not name.endswith(".sql") or not _NAME.match(stem):
        return MigrationFileError(
            f"the name {name!r} is not of the form NNNN_snake_name.sql (or NNNN_snake_name.rollback.sql)",
            where=where,
            remedy="Rename it: four digits from 0 to 9 (and a letter for a hotfix), then lower-case words joined by underscores, "
            "as 0007_message_pinned.sql. If it is no migration, give it another ending, or move it out of the folder.",
        )
    if kind:
        return MigrationFileError(
            f"it is named like a migration, and is {kind}",
            where=where,
            remedy="Put the file in its place, or remove it.",
        )
    if rollback and f"{stem}.sql" not in there:
        return MigrationFileError(
            f"a rollback file without its migration {stem}.sql",
            where=where,
            remedy="Restore the migration, or remove its rollback file too.",
        )
    return None


def _printable(name: str) -> str:
    """The name, with escapes for what no terminal shows and no text holds."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in name
    )
