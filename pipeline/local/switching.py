"""`switch`: the local database from another git branch's migrations to those of the branch that is checked out."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.deploy import inspect_server
from pipeline.deploy.authorship import author_of
from pipeline.deploy.checkout import deploy
from pipeline.deploy.renaming import rename_in_history
from pipeline.deploy.rolling_back import rollback
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.switching import groups_of, to_undo, way_back
from pipeline.errors import AnotherBranch, Refused
from pipeline.migrations import raise_faults
from pipeline.migrations.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.deploy import Report, View
    from pipeline.deploy.checkout import Checkout
    from pipeline.migrations import Folder
    from pipeline.migrations.plan import Applied


@dataclass(frozen=True)
class Switched:
    """What was recorded under another number (old and new), what was undone, in that order, and what was applied then."""

    renamed: tuple[tuple[str, str], ...]
    undone: tuple[str, ...]
    report: Report


def switch(checkout: Checkout, *, confirm: Callable[[str], bool]) -> Switched:
    """Undo what the local database has of other branches, and apply what is pending in the checkout.

    What has only another number here is recorded under it. `confirm` is asked with a sentence that says what will be undone.

    Raises:
        InvalidPlan: a migration of the checkout is at fault, or nothing takes one of the others back; nothing was changed.
        NotLocal: the database is not local.
        Refused: `confirm` said no; nothing was changed.
        DatabaseFailed: a statement failed; the message says what is undone, and what is applied.
    """
    url, target, observer, folder = checkout.url, checkout.target, checkout.observer, checkout.folder()
    raise_faults(folder.faults)
    with as_exceptions():
        renamed = rename_in_history(url, folder, target=target, observer=observer).rows
        view = inspect_server(url, target=target)
        ids = _undoable(folder, view)
        if ids:
            groups = "; ".join(str(group) for group in groups_of(folder, ids[::-1], view.kept))
            where = f"{view.server} ({checkout.environment.source})"
            if not confirm(f"Undo {groups}, with the rows of what they made, in {where}?"):
                raise Refused("nothing was undone", remedy="Say yes, or give --yes.")
            rollback(
                url,
                folder,
                choose=_unless_changed(view, ids),
                target=target,
                author=lambda: author_of(os.environ),
                observer=observer,
            )
    return Switched(renamed, tuple(ids), deploy(checkout, folder))


def deploy_or_switch(checkout: Checkout, *, offer: Callable[[str], bool], lock_wait: float | None = None) -> Report:
    """Apply what is pending to the local database; where it has other migrations than the checkout, offer to switch it.

    Raises what `deploy` raises, AnotherBranch among it where the offer is not taken, and `switch`.
    """
    try:
        return deploy(checkout, lock_wait=lock_wait)
    except AnotherBranch as found:
        if not offer(f"{found.message}.\nUndo them, with the rows of what they made, and apply what is pending here?"):
            raise
    return switch(replace(checkout, verb="switch"), confirm=lambda _: True).report


def _unless_changed(view: View, ids: list[str]) -> Callable[[Mapping[str, Applied]], list[str]]:
    def choose(applied: Mapping[str, Applied]) -> list[str]:
        if applied.keys() != view.history.applied.keys():
            raise Refused(
                "somebody else has migrated this database meanwhile", remedy="Nothing was undone. Run it again."
            )
        return ids

    return choose


def _undoable(folder: Folder, view: View) -> list[str]:
    """What has to be undone, the last one first: all of it can be, and what is pending then is sound.

    Raises:
        InvalidPlan: it is not so.
    """
    applied = view.history.applied
    ids = to_undo(folder, applied)
    for id_ in ids:
        way_back(folder, applied[id_], view.kept)
    raise_faults(make_plan(folder, {id_: each for id_, each in applied.items() if id_ not in ids}).faults)
    return ids
