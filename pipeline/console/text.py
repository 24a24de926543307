"""Results as people read them, on standard output: what several verbs print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.terminal import columns, write_out

if TYPE_CHECKING:
    from pipeline.console.terminal import Style
    from pipeline.deploy import Report
    from pipeline.postgres import Identity


def say(text: str = "", style: Style = "") -> None:
    """One line on standard output."""
    write_out(text + "\n", style=style)


def say_wrapped(text: str, indent: int, style: Style = "") -> None:
    """A line that goes on behind `indent` blanks, where a terminal is too narrow for it."""
    import textwrap

    wide = columns()
    fitted = text if wide is None else textwrap.fill(text, max(wide, indent + 20), subsequent_indent=" " * indent)
    say(fitted, style)


def show_report(report: Report) -> None:
    """The last line of a deploy or a local migration."""
    server = server_text(report.server, report.identity)
    if report.applied:
        say(f"{counted(len(report.applied))} applied, {report.already} already there: {server}")
    else:
        say(f"nothing to do: {counted(report.already)} applied already: {server}")
    if report.kept:
        say(f"the state before it is kept as {report.kept}")
    if report.activated:
        say(f"LOGIN and password set for {', '.join(report.activated)}")
    for each in report.corrected:
        say(f"put right: {each}")


def server_text(address: str, identity: Identity) -> str:
    """Who answered: where, which PostgreSQL, which Neon branch."""
    neon = f", Neon branch {identity.branch_id}" if identity.branch_id else ""
    standby = ", a standby" if identity.in_recovery else ""
    return f"{address} (PostgreSQL {identity.version_text}{neon}{standby})"


def counted(number: int, noun: str = "migration", plural: str = "") -> str:
    """The number with its noun, in the plural where it is not one."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def duration_text(milliseconds: int) -> str:
    """A duration as people read it, with three digits or so: 117 ms, 2.5 s, 48 s, 3 min 20 s, 2 h 5 min."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s".replace(".0 s", " s")
    seconds = milliseconds // 1000
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds // 60 % 60} min"
