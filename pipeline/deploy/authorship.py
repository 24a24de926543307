"""Who deploys, from where, and which commit: kept with every migration that is applied."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from pipeline.history.record import Author

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def author_of(root: Path, environ: Mapping[str, str]) -> Author:
    """The author as CI's variables name it, else as the machine and git do. Never raises: an unknown part is empty."""
    actor = (
        environ.get("GITHUB_ACTOR") or environ.get("GITLAB_USER_LOGIN") or environ.get("USER") or environ.get("LOGNAME")
    )
    commit = environ.get("GITHUB_SHA") or environ.get("CI_COMMIT_SHA") or _head(root)
    return Author(actor=_text(actor or f"uid {os.getuid()}"), host=_text(os.uname().nodename), commit=_text(commit))


def _text(value: str) -> str:
    """A name of the machine's, without the bytes of it that are no text and that no database would take."""
    return os.fsencode(value).decode("utf-8", "replace")


def _head(root: Path) -> str:
    """The checkout's commit, or nothing outside a git checkout."""
    try:
        head = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return head.stdout.strip()
