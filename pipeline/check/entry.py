"""`check` by its flags: what the verb calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import packages
from pipeline.check.checking import check
from pipeline.deploy.claim import nobody
from pipeline.deploy.signals import as_exceptions
from pipeline.generate.entry import proving_place

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.check.checking import Checked
    from pipeline.deploy.entry import Ask
    from pipeline.deploy.observer import Observer


def check_here(
    root: Path, *, base: str | None, lint_everything: bool, observer: Observer, ask: Ask = nobody
) -> Checked:
    """Check the checkout at `root` with shadows on the local server. Raises as `check` and `resolve`."""
    packages.ensure("check")
    _, place = proving_place(root, "check", observer, ask)
    with as_exceptions():
        return check(place, base=base, lint_everything=lint_everything)
