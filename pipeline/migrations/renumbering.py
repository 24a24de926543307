"""Other numbers for migrations that were not merged yet: which get which, and their files under their new names."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.migrations.names import is_hotfix, is_hotfix_of, name_of, next_number, number_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from pipeline.migrations import Folder, MigrationFile
    from pipeline.migrations.plan import Applied

_DEPENDS = re.compile(rb"^--\s*depends\s*:[^\n]*", re.MULTILINE | re.IGNORECASE)
_WORD = re.compile(rb"[^\s:]+")
_ENDINGS = (".sql", ".rollback.sql")


def new_ids(
    folder: Folder, merged: Collection[str], chosen: Collection[str] = (), *, hotfix: bool = False
) -> dict[str, str]:
    """Give the new id of each migration that gets another number, by its old one.

    `merged` are the ids on the base branch. Left out, `chosen` are those whose number a merged one has or has passed, or
    another of this branch, with all of this branch behind the first of them: they keep their order. A chosen one takes
    along what depends on it. With `hotfix`, the base branch is a release's: they get numbers of its hotfixes.

    Raises:
        UsageError: an id names nothing, or a merged migration.
        InvalidPlan: there is no number left.
    """
    own = [file for file in folder.files if file.id not in merged]
    moving = _with_dependents(own, folder, chosen, merged) if chosen else _clashing(own, merged, hotfix)
    staying = {file.id for file in folder.files if file.id not in moving} | set(merged)
    new: list[str] = []
    for old in moving:
        new.append(f"{next_number([*staying, *new], hotfix=hotfix)}_{name_of(old)}")
    return {old: id_ for old, id_ in zip(moving, new, strict=True) if old != id_}


def _clashing(own: Iterable[MigrationFile], merged: Collection[str], hotfix: bool) -> list[str]:
    """A hotfix that a release takes is taken over under its number; on the release's branch nothing else has a place."""
    taken = {number_of(id_) for id_ in merged}
    last = max(taken, default="0000")
    ids = [file.id for file in own if hotfix or not is_hotfix(file.id) or number_of(file.id) in taken]
    numbers = [number_of(id_) for id_ in ids]
    for at, (id_, number) in enumerate(zip(ids, numbers, strict=True)):
        if number <= last or number in numbers[:at] or (hotfix and not is_hotfix_of(id_, last)):
            return ids[at:]
    return []


def _with_dependents(
    own: Iterable[MigrationFile], folder: Folder, chosen: Collection[str], merged: Collection[str]
) -> list[str]:
    for name in chosen:
        found = [file.id for file in folder.files if name in {file.id, number_of(file.id)}]
        if not found:
            raise UsageError(f"there is no migration {name}", remedy="`./inv status` lists them.")
        if len(found) > 1:
            raise UsageError(f"{name} is {' and '.join(found)}", remedy="Give the whole id of the one that is to move.")
        if found[0] in merged:
            raise UsageError(
                f"{found[0]} is merged: databases know it under this number",
                remedy="Give the others new numbers, not this one.",
            )
    moving: list[str] = []
    for file in own:
        if {file.id, number_of(file.id)} & set(chosen) or set(_depends(file.data)) & set(moving):
            moving.append(file.id)
    return moving


def _depends(data: bytes) -> list[str]:
    return [word.decode("utf-8", "replace") for line in _DEPENDS.findall(data) for word in _WORD.findall(line)[1:]]


def renamed_text(data: bytes, ids: Mapping[str, str]) -> bytes:
    """The text with these ids replaced where it says what it depends on."""

    def line(match: re.Match[bytes]) -> bytes:
        return _WORD.sub(lambda word: ids.get(word[0].decode("utf-8", "replace"), "").encode() or word[0], match[0])

    return _DEPENDS.sub(line, data)


def rename_files(folder: Path, ids: Mapping[str, str]) -> None:
    """Give the files their new names and what they depend on: all of them, or, when it is interrupted, none.

    Raises:
        FileExistsError: a file has one of the new names already; nothing was changed.
    """
    made: list[Path] = []
    gone: dict[Path, bytes] = {}
    try:
        for path in sorted(folder.glob("*.sql")):
            id_, ending = _taken_apart(path.name)
            data = path.read_bytes()
            text = renamed_text(data, ids)
            if id_ not in ids and text == data:
                continue
            gone[path] = data
            new = folder / f"{ids.get(id_, id_)}{ending}"
            if new == path:
                path.write_bytes(text)
                continue
            with new.open("xb") as file:
                made.append(new)
                file.write(text)
            path.unlink()
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        for path, data in gone.items():
            path.write_bytes(data)
        raise


def _taken_apart(name: str) -> tuple[str, str]:
    ending = max((ending for ending in _ENDINGS if name.endswith(ending)), key=len)
    return name.removesuffix(ending), ending


def moved(folder: Folder, applied: Mapping[str, Applied]) -> dict[str, MigrationFile]:
    """Find what is applied under a number that its file no longer has: the file, by the id that the history has.

    It is the same migration when the name behind the number is the same, and the text, but for what it depends on.
    """
    pairs: dict[str, MigrationFile] = {}
    for id_ in applied:
        alike = [file for file in folder.files if name_of(file.id) == name_of(id_) and file.id not in applied]
        if id_ not in folder.by_id and len(alike) == 1:
            pairs[id_] = alike[0]
    back = {file.id: id_ for id_, file in pairs.items()}
    return {
        id_: file
        for id_, file in pairs.items()
        if applied[id_].checksum in {"", sha256(renamed_text(file.data, back)).hexdigest(), file.checksum}
    }
