"""What is on the base branch stays as it is: files are compared with git, and numbers must come behind its last one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.git import run_git
from pipeline.lint.finding import Finding, about_file
from pipeline.migrations.names import is_hotfix, is_hotfix_of, number_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.migrations import Folder


@dataclass(frozen=True)
class Base:
    """The migrations folder on the base branch: names with the ids of their blobs.

    `shared` is the last commit that this branch has in common with it, `tip` the base branch now.
    """

    name: str
    shared: dict[str, str]
    tip: dict[str, str]

    @property
    def is_release(self) -> bool:
        """Whether it is a release's branch, release/… by its name: what is merged there is a hotfix."""
        return is_release(self.name)


def is_release(name: str) -> bool:
    """Whether a branch is a release's, by its name: release/…, here or at a remote."""
    return "release/" in name and name.partition("release/")[0].rstrip("/") in {"", "origin", "refs/heads", "heads"}


def read_base(folder: Path, name: str) -> Base:
    """Read the folder as it is on a branch or commit.

    Raises:
        UsageError: there is no such commit, or this is no git checkout.
    """
    tip = _git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    if not tip:
        raise UsageError(
            f"--base {name}: git knows no such commit",
            remedy="Fetch it first (in CI, with the whole history): git fetch origin main",
        )
    shared = _git(folder, "merge-base", tip, "HEAD").strip() or tip
    return Base(name, _blobs(folder, shared), _blobs(folder, tip))


def against_base(folder: Folder, path: Path, base: Base) -> list[Finding]:
    """Find files of the base that were edited or removed, and new ones whose number is taken or comes too early."""
    return [*_edited_or_removed(folder, path, base), *_numbers(folder, base)]


def new_ids(folder: Folder, base: Base) -> set[str]:
    """The migrations that are not on the base yet."""
    return {file.id for file in folder.files if f"{file.id}.sql" not in base.shared}


def _edited_or_removed(folder: Folder, path: Path, base: Base) -> Iterator[Finding]:
    for name, blob in sorted(base.shared.items()):
        shown = f"{folder.path}/{name}"
        there = path / name
        if not there.is_file():
            yield about_file(
                shown,
                "removed",
                f"it is on {base.name} and was removed here",
                f"Restore it: git checkout {base.name} -- {shown}. What it did is taken back by a new migration.",
            )
        elif not _is_blob(there.read_bytes(), blob) and not _same_text(path, there, blob):
            yield about_file(
                shown,
                "edited",
                f"it is on {base.name} and was edited here: databases that have it applied would refuse to go on",
                f"Restore it: git checkout {base.name} -- {shown}. Write the change as a new migration.",
            )


def _numbers(folder: Folder, base: Base) -> Iterator[Finding]:
    on_base = {number_of(name): name.removesuffix(".sql") for name in base.tip if not name.endswith(".rollback.sql")}
    last = max(on_base, default="0000")
    for file in folder.files:
        number = number_of(file.id)
        if f"{file.id}.sql" in base.tip:
            continue
        taken = on_base.get(number)
        what = f"number {number} is taken by {taken} on {base.name}" if taken else f"{base.name} is at {last} already"
        above = f"a number above {last}"
        if base.is_release:
            if is_hotfix_of(file.id, last):
                continue
            above = f"a hotfix's number behind {last}"
            what = f"{what}, and a hotfix stands behind it with a letter, or the main branch could not be deployed any more"
        elif (number > last or is_hotfix(file.id)) and not taken:
            continue
        yield about_file(
            file.path,
            "number",
            what,
            f"`./inv renumber --base {base.name}` gives it, its rollback file and what depends on it {above}.",
        )


def _blobs(folder: Path, commit: str) -> dict[str, str]:
    listed = _git(folder, "ls-tree", "-z", commit, "./", check=False)
    entries = (entry.split("\t", 1) for entry in listed.split("\0") if entry)
    return {name: head.split()[2] for head, name in entries if name.endswith(".sql")}


def _is_blob(data: bytes, blob: str) -> bool:
    data = data.replace(b"\r\n", b"\n")
    algorithm = hashlib.sha1 if len(blob) == 40 else hashlib.sha256
    return algorithm(b"blob %d\0" % len(data) + data).hexdigest() == blob


def _same_text(folder: Path, there: Path, blob: str) -> bool:
    """Whether they are equal but for the ends of lines, where the base was committed with CRLF."""
    text = _git(folder, "cat-file", "blob", blob)
    return there.read_text(encoding="utf-8", errors="replace").splitlines() == text.splitlines()


def _git(folder: Path, *arguments: str, check: bool = True) -> str:
    try:
        done = run_git(folder, *arguments)
    except OSError as error:
        raise UsageError("--base needs git", remedy="Install git, or leave --base out.") from error
    if "dubious ownership" in done.stderr:
        raise UsageError(
            "--base: the checkout belongs to another user, and git does not trust it",
            remedy="Run it as that user, or: git config --global --add safe.directory PATH (the root of the checkout).",
        )
    if check and "not a git repository" in done.stderr:
        raise UsageError("--base needs a git checkout", remedy="Run it from a clone, or leave --base out.")
    return done.stdout
