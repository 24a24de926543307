"""Nothing from outside gives a traceback or commands the terminal: closed and full streams, encodings, control characters."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.console.progress import LiveProgress, Progress
from pipeline.console.terminal import one_line, printable

if TYPE_CHECKING:
    import pytest

    from tests.support.sample import Database
    from tests.verbs.conftest import Checkout

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
ESC = "\x1b[31mred\x1b[0m"


def in_shell(checkout: Checkout, verb: str, redirection: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """A verb with its streams as a shell's redirection makes them."""
    command = f'exec "$@" {redirection}'
    return subprocess.run(
        ["bash", "-c", command, "bash", *checkout.command(*verb.split())],
        cwd=checkout.path,
        env=checkout.environment(**variables),
        capture_output=True,
        check=False,
        timeout=120,
    )


def test_a_deploy_does_its_work_whatever_becomes_of_its_output(checkout: Checkout, superuser: Database) -> None:
    closed = in_shell(checkout, "deploy", ">&- 2>&- <&-")
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, b"", b"")
    assert len(superuser.applied()) == 5
    full = in_shell(checkout, "deploy", ">/dev/full")
    assert full.returncode == 1
    assert full.stderr.decode().splitlines()[0] == "error: standard output takes no more: No space left on device"
    assert b"Traceback" not in full.stderr
    both = in_shell(checkout, "plan", ">/dev/full 2>/dev/full")
    assert both.returncode == 1
    refused = in_shell(checkout, "deploy --wait soon --json", ">/dev/full 2>/dev/full")
    assert refused.returncode == 2


def test_text_that_the_terminal_has_no_characters_for_is_shown_escaped(checkout: Checkout, superuser: Database) -> None:
    checkout.write("0006_text", f"SELECT 'ä€😀 {ESC}', '\x9b\u202e';")
    answer = in_shell(checkout, "plan", "", **ASCII)
    assert answer.returncode == 0, answer.stderr
    assert rb"SELECT '\xe4\u20ac\U0001f600 \x1b[31mred\x1b[0m', '\x9b\u202e';" in answer.stdout
    assert in_shell(checkout, "deploy", "", **ASCII).returncode == 0
    assert len(superuser.applied()) == 6


def test_no_message_of_the_server_and_no_name_commands_the_terminal(checkout: Checkout) -> None:
    checkout.write("0006_notice", f"DO $$ BEGIN RAISE NOTICE E'{ESC}\nerror: forged'; RAISE '{ESC}'; END $$;")
    (checkout.path / "migrations" / f"0007_{ESC}.txt").touch()
    answer = in_shell(checkout, "deploy", "")
    assert answer.returncode == 5
    assert b"\x1b" not in answer.stdout + answer.stderr
    assert rb"server: \x1b[31mred\x1b[0m" in answer.stderr
    assert b"\nerror: forged" not in answer.stderr
    (checkout.path / "migrations" / f"0007_{ESC}.sql").touch()
    for verb in ("plan", "status", "deploy"):
        answer = in_shell(checkout, verb, "")
        assert answer.returncode == 4
        assert b"\x1b" not in answer.stdout + answer.stderr


def test_a_file_name_that_is_no_text_gives_no_traceback(checkout: Checkout) -> None:
    os.close(os.open(os.fsencode(checkout.path / "migrations") + b"/0007_\xff.sql", os.O_CREAT | os.O_WRONLY))
    answer = in_shell(checkout, "plan", "")
    assert answer.returncode == 4
    assert b"Traceback" not in answer.stderr
    assert rb"0007_\udcff.sql" in answer.stderr


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert printable("a\tb\nc") == "a\tb\nc"
    assert printable("\x1b]0;title\x07 \r \x7f \x9b \u2028 \u202e \u2066") == (
        r"\x1b]0;title\x07 \r \x7f \x9b \u2028 \u202e \u2066"
    )
    assert one_line("a\nerror: b") == "a error: b"


def test_a_wait_for_the_lock_is_told_once_and_then_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as shown:
        shown.waiting("ada")
        for seconds in range(125):
            shown.still_waiting("ada", float(seconds))
        shown.waiting("bob")
        shown.still_waiting("bob", 126.0)
    assert capsys.readouterr().err.splitlines() == [
        "waiting for the lock, which ada has",
        "still waiting for the lock after 60 s: ada has it",
        "still waiting for the lock after 120 s: ada has it",
        "waiting for the lock, which bob has",
    ]


def test_on_a_terminal_the_wait_is_one_line_above_a_bar_that_goes_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveProgress() as shown:
        shown.waiting("ada")
        for seconds in range(125):
            shown.still_waiting(f"ada, connected for {seconds}", float(seconds))
        waiting, starting = len(shown._bar.tasks), shown._bar.tasks[0].description
        shown.starting(1)
        shown.running(ESC)
        shown.applied("0001_first", None)
        assert (waiting, len(shown._bar.tasks)) == (1, 1)
    assert starting == "waiting for ada, connected for 124"
    assert [line.strip() for line in capsys.readouterr().err.splitlines() if line.strip()] == [
        "waiting for the lock, which ada has",
        "0001_first",
    ]


def test_on_a_terminal_work_without_a_count_has_a_line_that_goes_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveProgress() as shown:
        shown.working("proving it")
        described = [task.description for task in shown._bar.tasks]
        shown.starting(1)
        shown.applied("0001_first", None)
        assert (described, len(shown._bar.tasks)) == (["proving it"], 1)
    assert "0001_first" in capsys.readouterr().err


def at_terminal(checkout: Checkout, verb: str, columns: int, **variables: str) -> str:
    """What a verb shows at a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    # no colour is known of whoever runs the tests
    environment = {
        name: value for name, value in checkout.environment(**variables).items() if name not in {"COLUMNS", "LINES"}
    }
    with subprocess.Popen(
        checkout.command(*verb.split()),
        cwd=checkout.path,
        env=environment | {"NO_COLOR": "", "TERM": "xterm"} | variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the terminal's other side is closed at the end
            while chunk := os.read(ours, 4096):
                said += chunk
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


def test_what_is_wrong_or_due_has_a_colour_at_a_terminal_and_nowhere_else(checkout: Checkout) -> None:
    assert "\x1b[33m  pending   0001_" in at_terminal(checkout, "status", 120)
    assert "\x1b[31merror:\x1b[0m there is no verb statu" in at_terminal(checkout, "statu", 120)
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        for verb in ("status", "statu", "plan"):
            assert "\x1b" not in at_terminal(checkout, verb, 120, **variables)
    assert "\x1b" not in checkout.inv("status", TERM="xterm").stdout
    checkout.write("0006_text", f"SELECT '{ESC}';")
    assert "\x1b[31mred" not in at_terminal(checkout, "plan", 120)


def test_status_and_doctor_fit_a_terminal_of_80_columns(checkout: Checkout) -> None:
    checkout.inv("migrate")
    assert "WAL" in checkout.inv("status").stdout
    assert "WAL" in at_terminal(checkout, "status", 160, NO_COLOR="1")
    rows = [
        line for line in at_terminal(checkout, "status", 80, NO_COLOR="1").splitlines() if line.startswith("  applied")
    ]
    assert len(rows) == 5
    assert max(map(len, rows)) <= 80
    assert max(map(len, at_terminal(checkout, "doctor", 80, NO_COLOR="1").splitlines())) <= 80
