"""What git says of the repository that a folder is in: its branches, and where a file is."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIMEOUT = 60  # seconds

# What would lead git to another repository than the one that the folder is in; a hook has them set. (git rev-parse
# --local-env-vars names them; those that configure git stay, such as a safe.directory.)
_ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where git has a migration: the newest commit that touched its file, shortened, and a branch that leads to it."""

    commit: str = ""
    branch: str = ""


def environment_of_git(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables with which git looks into the repository that the folder is in, and answers in English."""
    return {**{name: value for name, value in environ.items() if name not in _ELSEWHERE}, "LC_ALL": "C"}


def run_git(folder: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder; nothing is on its output where it failed.

    Raises:
        OSError: there is no git, or no such folder.
    """
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=environment_of_git(os.environ),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT,
        check=False,
    )
    return done if done.returncode == 0 else subprocess.CompletedProcess(done.args, done.returncode, "", done.stderr)


def ask_git(folder: Path | str, *arguments: str) -> str:
    """Give git's answer about the folder; nothing when it has none, or is not there."""
    try:
        return run_git(folder, *arguments).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def branch_here(folder: Path | str) -> str:
    """The git branch that is checked out; nothing for a detached HEAD, or where git cannot tell."""
    return ask_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD").strip()


def default_base(folder: Path | str) -> str:
    """Name the branch that others are merged into: origin's default branch, main there, or main here; empty without git."""
    head = ask_git(folder, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD").strip()
    for name in filter(None, (head, "origin/main", "main")):
        if ask_git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip():
            return name
    return ""


def whereabouts(folder: Path | str, id_: str) -> Whereabouts:
    """Look for a migration's file on every branch; empty where none has it, or git cannot tell."""
    said = ask_git(
        folder, "log", "--all", "--source", "-1", "--diff-filter=AMR", "--format=%h %S", "--", f"{id_}.sql"
    ).strip()
    commit, _, ref = said.partition(" ")
    return Whereabouts(commit, ref.removeprefix("refs/heads/").removeprefix("refs/remotes/"))
