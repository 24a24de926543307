"""`check` by its flags: what the verb calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import packages
from pipeline.check.base import new_ids, read_base
from pipeline.check.checking import check
from pipeline.deploy import look
from pipeline.deploy.claim import nobody
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import Target
from pipeline.environments import LOCAL
from pipeline.generate.entry import proving_place
from pipeline.generate.fixing import FIXABLE, fix
from pipeline.migrations import read_folder

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.check.checking import Checked
    from pipeline.deploy.entry import Ask
    from pipeline.deploy.observer import Observer
    from pipeline.generate.fixing import Fixed


def check_here(
    root: Path, *, base: str | None, lint_everything: bool, observer: Observer, ask: Ask = nobody
) -> Checked:
    """Check the checkout at `root` with shadows on the local server. Raises what `check` and `resolve` raise."""
    packages.ensure("check")
    _, place = proving_place(root, "check", observer, ask)
    with as_exceptions():
        return check(place, base=base, lint_everything=lint_everything)


def fix_here(
    root: Path, *, base: str | None, lint_everything: bool, observer: Observer, ask: Ask = nobody
) -> tuple[list[Fixed], Checked]:
    """Check, write anew what has a known way around, and check again. Raises what `check`, `fix` and `resolve` raise."""
    packages.ensure("check")
    _, place = proving_place(root, "check", observer, ask)
    with as_exceptions():
        first = check(place, base=base, lint_everything=lint_everything)
        folder = read_folder(place.migrations)
        paths = {finding.path for finding in first.findings if finding.rule in FIXABLE}
        ids = {file.id for file in folder.files if file.path in paths}
        if not ids:
            return [], first
        merged = (
            {file.id for file in folder.files} - new_ids(folder, read_base(place.migrations, base)) if base else set()
        )
        applied = look(place.local, target=Target(LOCAL, local_only=True)).history.applied
        fixed = fix(place, ids, merged=merged, applied=applied)
        return fixed, check(place, base=base, lint_everything=lint_everything)
