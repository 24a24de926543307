"""What goes to standard output and standard error, and what the person at the terminal answers.

Output is printable, in any encoding, and there is no traceback when nobody takes it.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError, UsageError

if TYPE_CHECKING:
    from typing import Literal, TextIO

    Style = Literal["", "wrong", "right", "due", "head", "aside"]

# Of the first eight colours, which every theme of a terminal keeps readable (ECMA-48's SGR): red, green, yellow; bold; faint.
_STYLES = {"wrong": "31", "right": "32", "due": "33", "head": "1", "aside": "2"}

# Control characters but for the end of a line and the tab, and what turns the direction of text: a terminal would obey them.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

# GitHub's runner reads a step's output for commands: `::name …::` at the beginning of a line, blanks before it or not, and
# the older `##[name]` anywhere (actions/runner, src/Runner.Common/ActionCommand.cs).
_COMMANDS = re.compile(r"^[^\S\n]*:(?=:.*::)|#(?=#\[)", re.MULTILINE)


def printable(text: str) -> str:
    """The text with the characters that a terminal would obey written as Python does, ESC as backslash x1b."""
    return _OBEYED.sub(lambda found: ascii(found.group())[1:-1], text)


def on_github() -> bool:
    """Whether a job of GitHub Actions runs us, which reads what we print for commands."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _without_commands(text: str) -> str:
    """The text, as a migration or a server has it, with the first mark of what GitHub would take for a command escaped."""
    return _COMMANDS.sub(lambda found: f"{found.group()[:-1]}\\x{ord(found.group()[-1]):x}", text)


def one_line(text: str) -> str:
    """Printable, and on one line: what somebody else named cannot begin a line of its own."""
    return printable(" ".join(text.splitlines()))


def prepare_streams() -> None:
    """Make standard output and error take any text. A closed one becomes /dev/null: nobody wants to read it.

    The descriptor of a closed one would be given to the next file or connection that is opened, and written to.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False, encoding="utf-8")  # noqa: SIM115 - open as long as the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def takes_styles(stream: TextIO) -> bool:
    """Whether it is a terminal with colours, and nobody asked to do without (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb" and stream.isatty()


def columns() -> int | None:
    """How wide the terminal of standard output is, or None where it is none: then nothing is cut or wrapped."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def fitting(row: str, more: str) -> str:
    """The row with more behind it, or without that where a terminal is too narrow for both."""
    wide, whole = columns(), f"{row}  {more}".rstrip()
    return row.rstrip() if wide is not None and len(whole) > wide else whole


def _shown(text: str, style: Style, stream: TextIO, *, commands: bool = False) -> str:
    """Printable, and in a style where the stream takes one: our own escapes are the only ones that reach a terminal."""
    plain = printable(text)
    if on_github() and not commands:
        plain = _without_commands(plain)
    if not style or not plain.strip() or not takes_styles(stream):
        return plain
    body = plain.rstrip("\n")
    return f"\x1b[{_STYLES[style]}m{body}\x1b[0m{plain[len(body) :]}"


def write_out(text: str, *, style: Style = "", flush: bool = False, commands: bool = False) -> None:
    """Write to standard output. `commands`: what GitHub's runner takes for a command in it is meant as one.

    Raises:
        BrokenPipeError: its reader has gone.
        PipelineError: it takes no more.
    """
    try:
        sys.stdout.write(_shown(text, style, sys.stdout, commands=commands))
        if flush:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(sys.stdout)
        raise PipelineError(
            f"standard output takes no more: {error.strerror}",
            remedy="What the verb did is done, and what it had to say is lost. `./inv status` tells what is applied.",
        ) from error


def write_error(text: str, *, style: Style = "", commands: bool = False) -> None:
    """Write to standard error, `commands` as above. Where nobody takes it the work goes on in silence."""
    try:
        sys.stderr.write(_shown(text, style, sys.stderr, commands=commands))
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Let what is left of the stream go nowhere: at the end of the process it would fail once more, with another exit code."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def confirm(question: str) -> bool:
    """Whether the person at the terminal says yes.

    Raises:
        UsageError: there is no terminal to ask at.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} Nobody is there to ask.", remedy="Nothing was changed. Give --yes to go on without a question."
        )
    write_error(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def offered(question: str) -> bool:
    """Whether somebody is at the terminal, and says yes."""
    return sys.stdin.isatty() and confirm(question)


def type_name(question: str) -> str | None:
    """What the person at the terminal types as an answer, or None where there is no terminal to ask at."""
    if not sys.stdin.isatty():
        return None
    write_error(question)
    return sys.stdin.readline().strip()
