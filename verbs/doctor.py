"""`doctor`: what this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path


@verb("checkout", "everybody")
def doctor(root: Path) -> None:
    """Say what this machine has, and what each thing is needed for."""
    from pipeline.console.text import say
    from pipeline.local.doctor import doctor as examine

    for each in examine(root):
        say(f"{'yes' if each.present else 'no':4}{each.name:16} {each.found}")
        say(f"{'':20} {each.needed_for}")
