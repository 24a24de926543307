"""A data directory's pid file, which the account of the server may have written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from servers.pid_file import is_alive

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "pid", ["-1", "0", "", "²", "٣", "1e3", "9" * 14, pytest.param(str(os.getpid()), id="our own")]
)
def test_what_is_no_pid_of_this_directorys_server_is_nobody(tmp_path: Path, pid: str) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{pid}\n{tmp_path}\n1\n5432\n\n\n\nready\n", encoding="utf-8")
    assert not is_alive(tmp_path)
