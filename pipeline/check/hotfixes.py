"""A hotfix has one place in the order of numbers and is met in two: where it stands, and behind what was merged meanwhile.

A production runs it where it stands, and so does a database from zero. Whoever has the main branch's migrations already runs
it last. So both orders have to build the same; on a release's branch with what the main branch has, which takes it over next.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.check.base import read_base
from pipeline.errors import InvalidPlan
from pipeline.git import ask_git, default_base
from pipeline.lint.finding import Finding, about_file
from pipeline.migrations import read_folder
from pipeline.migrations.names import is_hotfix, number_of
from pipeline.schema.dump import deviations, listed, read_objects
from pipeline.schema.replay import replay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.check.base import Base
    from pipeline.generate import Workbench
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.schema.shadows import Shadows

_PAGE = "docs/a-hotfix.md"


def unproven_hotfixes(workbench: Workbench, folder: Folder, base: Base, shadows: Shadows) -> list[Finding]:
    """Find hotfixes that are not on the base yet and that do something else behind the main branch's migrations.

    Raises:
        UsageError: git does not answer.
    """
    new = [file for file in folder.files if is_hotfix(file.id) and f"{file.id}.sql" not in base.tip]
    if not new:
        return []
    with ExitStack() as until_the_end:
        onto, name = folder, base.name
        if base.is_release:
            name = default_base(workbench.migrations)
            if not name:
                return []
            main = read_base(workbench.migrations, name)
            if clashes := list(_clashes(new, main)):
                return clashes
            copy = Path(until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="db-pipeline-")))
            onto = _with(new, workbench.migrations, main, copy / "migrations")
        return list(_compared(new, onto, name, shadows))


def _clashes(new: Sequence[MigrationFile], main: Base) -> Iterator[Finding]:
    taken = {number_of(name): name.removesuffix(".sql") for name in main.tip if not name.endswith(".rollback.sql")}
    for file in new:
        there = taken.get(number_of(file.id))
        if there is not None and there != file.id:
            yield _finding(
                file, f"number {number_of(file.id)} is taken by {there} on {main.name}", "Give it the next letter."
            )


def _with(new: Sequence[MigrationFile], folder: Path, main: Base, copy: Path) -> Folder:
    """The main branch's folder with the new hotfixes in it, written to `copy`."""
    copy.mkdir()
    for name, blob in main.tip.items():
        (copy / name).write_text(ask_git(folder, "cat-file", "blob", blob), encoding="utf-8")
    for file in new:
        (copy / f"{file.id}.sql").write_bytes(file.data)
    return read_folder(copy)


def _compared(new: Sequence[MigrationFile], onto: Folder, name: str, shadows: Shadows) -> Iterator[Finding]:
    ids = {file.id for file in new}
    in_order, late = shadows.create("in_order"), shadows.create("late")
    others = replace(onto, files=tuple(file for file in onto.files if file.id not in ids))
    last = max((file.id for file in others.files), default="")
    try:
        replay(in_order, onto)
    except InvalidPlan as fault:
        yield _finding(
            new[0], f"{name} cannot go on from it: {Path(fault.where).name}: {fault.message}", _rewrite(name)
        )
        return
    try:
        replay(late, others)
        replay(late, onto)
    except InvalidPlan as fault:
        yield _finding(new[0], f"it does not run behind {last}, which {name} has: {fault.message}", _rewrite(name))
        return
    if wrong := deviations(read_objects(in_order), read_objects(late), grants=True):
        yield _finding(
            new[0], f"it builds something else behind {last}, which {name} has", f"{_rewrite(name)}\n{listed(wrong)}"
        )


def _rewrite(name: str) -> str:
    return (
        f"Write it so that it does the same before and after what {name} has that the release has not, as with IF NOT EXISTS; "
        f"or release {name} instead ({_PAGE})."
    )


def _finding(file: MigrationFile, message: str, remedy: str) -> Finding:
    return about_file(file.path, "hotfix", message, remedy)
