"""`.env`: what a line means, beside what the shell makes of it, and what happens to one that means nothing."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pipeline.environments.env_file import read_env_file
from pipeline.environments.variables import load_env_file
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

# Docker Compose agrees about each of them (compose-go, dotenv).
LIKE_A_SHELL = [
    "X='a${HOME}b'",
    "X='a$HOME b # c'",
    "X='a\"b'",
    'X="a${OTHER}b"',
    "X=a${OTHER}b",
    "X=${OTHER}",
    "X=${UNKNOWN:-instead}",
    'X="a b"',
    "X=plain # a comment",
    "X=a#b",
    "X=",
    "X=''",
    "export X='exported'",
    "\n\n  X='indented'",
    "X='two\nlines'",
    "OTHER=of_the_file\nX=${OTHER}",
    "FIRST=first\nX=${FIRST}",
]


@pytest.mark.parametrize("text", LIKE_A_SHELL)
def test_a_line_means_what_it_means_to_a_shell(tmp_path: Path, text: str) -> None:
    file = tmp_path / ".env"
    file.write_text(text)
    environ = {"HOME": "/home/ada", "OTHER": "other"}
    # what the environment has wins over a line of the file, as it does for the file's own variables
    script = "\n".join(line for line in text.split("\n") if not line.startswith("OTHER=")) + '\nprintf "%s" "$X"'
    shell = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, check=True).stdout
    assert read_env_file(file, environ)["X"] == shell


def test_a_dollar_without_braces_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("X=pa$HOME\n")
    assert read_env_file(tmp_path / ".env", {"HOME": "/home/ada"}) == {"X": "pa$HOME"}


def test_a_byte_order_mark_and_crlf_are_no_part_of_a_name_or_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfX='1'\r\nY=2\r\n")
    assert read_env_file(tmp_path / ".env", {}) == {"X": "1", "Y": "2"}


@pytest.mark.parametrize(
    ("data", "message", "where"),
    [
        (b"X=1\n# caf\xe9\n", "byte 0xe9 is not UTF-8", ".env:2"),
        ("X=1\n".encode("utf-16"), "byte 0xff is not UTF-8", ".env:1"),
        (b"X=1\nY=\0\n", "a NUL character", ".env:2"),
        (b"X=1\n\nthis is secret\n", "not of the form NAME=value", ".env:3"),
        (b"X='secret that never ends\nY=1\n", "not of the form NAME=value", ".env:1"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line_and_not_shown(
    tmp_path: Path, data: bytes, message: str, where: str
) -> None:
    (tmp_path / ".env").write_bytes(data)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_env_file(tmp_path)
    assert caught.value.where == where
    assert "secret" not in str(caught.value)
