"""`doctor` and `emulator`: what this machine has, and Neon's stand-in on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path


@verb("checkout", "everybody")
def doctor(root: Path) -> None:
    """Say what this machine has, and what each thing is needed for."""
    from pipeline.console.text import say_wrapped
    from pipeline.local.doctor import doctor as examine

    for each in examine(root):
        say_wrapped(f"{'yes' if each.present else 'no':4}{each.name:16} {each.found}", 21)
        say_wrapped(f"{'':20} {each.needed_for}", 21)


@verb(
    "checkout",
    "platform engineers",
    flags={
        "up": "start it, and return when it serves",
        "down": "stop it; its projects and their data stay",
        "env_file": "where to write what a shell needs to reach it, and nothing else (.local/emulator.env)",
    },
)
def emulator(root: Path, up: bool = False, down: bool = False, env_file: str = "") -> None:
    """Start or stop Neon's stand-in on this machine."""
    from pipeline.local.emulator import end, one_of, start

    code = start(root, env_file) if one_of(up=up, down=down) == "up" else end(root)
    if code != 0:
        raise SystemExit(code)
