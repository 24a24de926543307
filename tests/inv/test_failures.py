"""What can be missing on a machine: each ends in one line that says what to do."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.inv.conftest import Wheel

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.inv.conftest import Checkout


def assert_one_line(done: subprocess.CompletedProcess[str], *says: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("inv: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for text in says:
        assert text in done.stderr


def test_no_python(fresh: Checkout) -> None:
    done = fresh.inv(PATH="/nonexistent", PYTHON="")
    assert_one_line(done, "Python 3.11 or newer is needed and this machine has no python3", "install one")


def test_a_python_that_is_too_old(fresh: Checkout, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.6" && exit 0\nexit 1\n')
    old.chmod(0o755)
    assert_one_line(fresh.inv(PATH=str(tmp_path), PYTHON=""), "this machine has Python 3.9.6", "install one")


def test_no_network(used: Checkout, second: Wheel) -> None:
    used.lock(second)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        index = f"http://127.0.0.1:{nobody.getsockname()[1]}/simple"
        done = used.inv(PIP_NO_INDEX="", PIP_FIND_LINKS="", PIP_INDEX_URL=index)
    assert_one_line(done, "the package index does not answer", "Check the network")


def test_a_package_that_is_not_the_one_that_was_locked(used: Checkout, second: Wheel) -> None:
    used.lock(Wheel(second.name, second.version, "0" * 64))
    assert_one_line(used.inv(), "a package is not the one that was locked")


def test_a_package_that_the_index_does_not_have(used: Checkout) -> None:
    used.lock(Wheel("invoke", "9.9", "0" * 64))
    assert_one_line(used.inv(), "no build of a package for this machine")


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "invoke==2.0\n"])
def test_a_broken_lock(used: Checkout, text: str) -> None:
    (used.root / "requirements.lock").write_text(text)
    assert_one_line(used.inv(), "the lock file is broken", "git checkout")


def test_a_missing_lock(used: Checkout) -> None:
    (used.root / "requirements.lock").unlink()
    assert_one_line(used.inv(), "requirements.lock is missing", "git checkout")


def test_after_a_failure_the_old_packages_are_not_taken_for_the_new_ones(used: Checkout, first: Wheel) -> None:
    used.lock(Wheel("invoke", "9.9", "0" * 64))
    assert used.inv().returncode == 2
    assert used.inv().returncode == 2
    used.lock(first)
    assert used.inv().stdout.startswith("1.0|")
