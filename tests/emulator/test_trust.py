"""What the account of the servers, or a client, may write leads to no signal, no file and no line of the log of others."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from emulator.log_lines import OneLine
from servers.account import Account
from servers.processes import FoundProcess, process_exists
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.emulator import Emulator


@pytest.fixture
def account() -> Account:
    return Account.choose("postgres", "nobody")


@pytest.fixture
def folder(emulator: Emulator, account: Account) -> Iterator[Path]:
    """A folder of the account's, where it may also come in."""
    made = emulator.data / "branches" / "of-a-test"
    account.make_folder(made)
    yield made
    subprocess.run(["rm", "-r", made], check=True)


@pytest.fixture
def sleeper(account: Account, folder: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes that only sleep: as the account and in its folder, if nothing else is said."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*, own: bool = True, cwd: str | None = None) -> subprocess.Popen[bytes]:
        options: Any = account.spawn() if own else {}
        started.append(subprocess.Popen(["sleep", "600"], cwd=cwd or folder, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_process_of_the_account_in_the_folder_is_found_and_gets_the_signal(
    account: Account, folder: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = sleeper()
    found = FoundProcess.find(str(process.pid), account, folder)
    assert found is not None
    assert found.alive
    found.send(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    assert not found.alive
    found.send(signal.SIGTERM)  # nobody's, by now


def test_a_process_that_works_elsewhere_is_not_found(
    account: Account, folder: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    assert FoundProcess.find(str(sleeper(cwd="/").pid), account, folder) is None


def test_a_process_of_somebody_else_is_not_found_though_it_works_there(
    account: Account, folder: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    if account.uid is None:
        pytest.skip("the account is our own: only root can start a process of somebody else")
    assert FoundProcess.find(str(sleeper(own=False).pid), account, folder) is None


@pytest.mark.parametrize("pid", ["-1", "0", "", "1", "²", " 7", "99999999999999", str(2**31 - 1)])
def test_what_is_no_pid_of_a_server_is_nobody(account: Account, folder: Path, pid: str) -> None:
    """kill(-1) is everybody, and kill(0) is ourselves."""
    assert FoundProcess.find(pid, account, folder) is None


def test_a_number_that_was_written_into_a_pid_file_ends_no_process(
    another_emulator: Callable[..., Emulator], sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    victim = sleeper(own=False, cwd="/")
    emulator = another_emulator()
    project = emulator.create_project()
    pid_file = emulator.data / "branches" / project["branch"]["id"] / "data" / "postmaster.pid"
    emulator.kill()
    server, *rest = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(victim.pid), *rest, ""]))
    try:
        emulator.start()
        emulator.stop()
        assert victim.poll() is None
    finally:
        os.kill(int(server), signal.SIGQUIT)
        until(lambda: not process_exists(int(server)))


def test_files_of_the_account_are_written_with_its_rights_alone(account: Account, folder: Path, tmp_path: Path) -> None:
    """A link that it planted leads to nothing that is not its own."""
    precious = tmp_path / "precious"
    precious.write_text("ours")
    precious.chmod(0o600)
    for name in ("configuration", "log", "read"):
        (folder / name).symlink_to(precious)
    os.mkfifo(folder / "pipe", 0o666)

    account.write(folder / "configuration", "theirs")
    with account.append(folder / "log") as log:
        log.write(b"theirs")
    assert account.read(folder / "read") == ""
    assert account.read(folder / "pipe") == ""
    assert (precious.read_text(), precious.stat().st_uid) == ("ours", os.geteuid())
    written = (folder / "configuration").stat()
    assert (written.st_mode & 0o777, written.st_uid) == (0o600, os.geteuid() if account.uid is None else account.uid)


def test_what_a_client_sends_is_one_line_of_the_log(emulator: Emulator) -> None:
    address = emulator.environment["HTTPS_PROXY"].rpartition(":")[2]
    forged = "2026-01-01 00:00:00,000 INFO emulator.service forged"
    with socket.create_connection(("127.0.0.1", int(address)), timeout=10) as client:
        client.sendall(
            f"CONNECT evil\x1b[2J\x85\x0b{forged.replace(' ', chr(0xA0))}:443 HTTP/1.1\r\n\r\n".encode("latin-1")
        )
        assert client.recv(100).startswith(b"HTTP/1.1 403")
    line = next(line for line in log(emulator).split("\n") if "refused to reach evil" in line)
    assert "evil\\x1b[2J\\x85" in line
    assert not any(character in log(emulator) for character in "\x1b\x85\x0b")


def test_no_text_of_an_event_begins_a_line_of_its_own() -> None:
    try:
        raise ValueError("a\n2026-01-01 INFO forged\r\u2028more")  # noqa: TRY301
    except ValueError as error:
        record = logging.LogRecord(
            "n", logging.INFO, "", 0, "of %s", ("x\ny\x00",), (type(error), error, error.__traceback__)
        )
    first, *others = OneLine("%(levelname)s %(message)s").format(record).splitlines()
    assert first == "INFO of x\\ny\\x00"
    assert others
    assert all(line.startswith("  | ") for line in others)


def log(emulator: Emulator) -> str:
    return (emulator.data / "emulator.log").read_text(encoding="utf-8", errors="replace")
