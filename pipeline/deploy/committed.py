"""Whether the migrations of a checkout are those of the commit that is checked out, told by git itself.

Compared is the text that would run with the text in HEAD, so what git's index says, or is told to overlook, does not count.
One process: it reads HEAD and the tree of the folder. A second one is asked only about files that are not HEAD's to the
letter, since a clean filter (LFS, ident, line ends) may stand between the two.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.git import environment_of_git

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pipeline.migrations import Folder, MigrationFile

_TIMEOUT = 20  # seconds


class Unanswered(Exception):
    """Git has no answer: no git, no checkout, no commit. `remedy` says what would give one."""

    def __init__(self, why: str, remedy: str = "Deploy from a clone.") -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True)
class Head:
    """The commit that is checked out.

    `differing` says of a migration's id how its file is not the commit's; `absent` are migrations of the commit that are
    not in the folder.
    """

    commit: str
    differing: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


def compare_with_head(folder: Folder, environ: Mapping[str, str]) -> Head:
    """Compare every migration of the folder with HEAD.

    Raises:
        Unanswered: git cannot tell.
    """
    environment = environment_of_git(environ)
    commit, tree = _read_head(folder.path, environment)
    committed = dict(_entries(tree, len(commit) // 2))
    differing = {
        file.id: "edited since" if f"{file.id}.sql" in committed else "not in it"
        for file in folder.files
        if not _is_blob(file.data, committed.get(f"{file.id}.sql", ""))
    }
    edited = [folder.by_id[id_] for id_, how in differing.items() if how != "not in it"]
    for file in _same_behind_a_filter(folder.path, edited, committed, environment):
        del differing[file.id]
    there = {f"{file.id}.sql" for file in folder.files}
    absent = (name for name in committed if name.endswith(".sql") and not name.endswith(".rollback.sql"))
    return Head(commit, differing, tuple(sorted(name.removesuffix(".sql") for name in absent if name not in there)))


def _read_head(path: str, environment: Mapping[str, str]) -> tuple[str, bytes]:
    """HEAD's id, and its tree of the folder as git keeps it; an empty tree where the commit has no such folder."""
    done = _git(path, environment, "cat-file", "--batch", given=b"HEAD\nHEAD:./\n")
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode != 0:
        if "dubious ownership" in said:
            raise Unanswered(
                "the checkout belongs to another user, and git does not trust it",
                f'Deploy as that user, or: git config --global --add safe.directory "{os.path.realpath(path)}" (the root of '
                "the checkout).",
            )
        if "not a git repository" in said:
            raise Unanswered("it is in no git checkout")
        raise Unanswered(f"git says: {said.splitlines()[0] if said else f'exit code {done.returncode}'}")
    (commit, kind, _), rest = _object(done.stdout)
    if kind != "commit":
        raise Unanswered("nothing is committed yet", "Commit the migrations first.")
    (_, kind, tree), _ = _object(rest)
    return commit, tree if kind == "tree" else b""


def _object(answer: bytes) -> tuple[tuple[str, str, bytes], bytes]:
    """The first object of an answer of `git cat-file --batch`: its id, kind and content; and what follows it."""
    head, _, rest = answer.partition(b"\n")
    words = head.decode("utf-8", "replace").split()
    if len(words) != 3 or not words[2].isdecimal():  # "HEAD missing"
        return ("", "", b""), rest
    size = int(words[2])
    return (words[0], words[1], rest[:size]), rest[size + 1 :]


def _entries(tree: bytes, width: int) -> Iterator[tuple[str, str]]:
    """The files of a tree with the ids of their blobs; a link's blob is where it leads to, so it has none."""
    at = 0
    while at < len(tree):
        mode_ends = tree.index(b" ", at)
        name_ends = tree.index(b"\0", mode_ends)
        mode = tree[at:mode_ends]
        id_ = tree[name_ends + 1 : name_ends + 1 + width].hex()
        if mode != b"40000":
            yield os.fsdecode(tree[mode_ends + 1 : name_ends]), id_ if mode.startswith(b"100") else ""
        at = name_ends + 1 + width


def _is_blob(data: bytes, blob: str) -> bool:
    """Whether a blob of this id holds the text, with LF at the ends of its lines or with CRLF."""
    algorithm = hashlib.sha1 if len(blob) == 40 else hashlib.sha256
    texts = (data, data.replace(b"\n", b"\r\n"))
    return bool(blob) and any(algorithm(b"blob %d\0" % len(text) + text).hexdigest() == blob for text in texts)


def _same_behind_a_filter(
    path: str, edited: Iterable[MigrationFile], committed: Mapping[str, str], environment: Mapping[str, str]
) -> list[MigrationFile]:
    """Those that git itself would commit as they are in HEAD: it knows what its attributes and filters make of a file."""
    asked = [file for file in edited if committed[f"{file.id}.sql"]]
    if not asked:
        return []
    done = _git(path, environment, "hash-object", "--", *(f"{file.id}.sql" for file in asked))
    hashes = done.stdout.decode("ascii", "replace").split()
    if done.returncode != 0 or len(hashes) != len(asked):
        return []
    return [file for file, blob in zip(asked, hashes, strict=True) if blob == committed[f"{file.id}.sql"]]


def _git(
    path: str, environment: Mapping[str, str], *arguments: str, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "--no-replace-objects", "-C", path, *arguments],
            input=given,
            env=environment,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except FileNotFoundError as error:
        raise Unanswered("there is no git on PATH", "Install git, and deploy from a clone.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unanswered(f"git does not answer ({error})") from error
