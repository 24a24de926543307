"""Rolling back on a local database: the applied files behind a given one, newest first, each with its record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipeline.deploy import Report, inspect_server
from pipeline.deploy.authorship import author_of
from pipeline.deploy.execution import carry_out
from pipeline.deploy.locking import Deadlines, open_locked
from pipeline.deploy.observer import Observer
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.steps import Step
from pipeline.deploy.switching import way_back
from pipeline.deploy.target import Target, admit
from pipeline.errors import Refused, UsageError
from pipeline.history.kept import read_kept
from pipeline.history.record import Author
from pipeline.migrations.names import number_of
from pipeline.migrations.plan import in_order_of_application

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.deploy.checkout import Checkout
    from pipeline.migrations import Folder
    from pipeline.migrations.plan import Applied


def roll_back(checkout: Checkout, to: str = "", *, confirm: Callable[[str], bool] = lambda _: True) -> Report:
    """Roll the checkout's local database back to a migration, or the last one that was applied, which `confirm` is asked about.

    Nobody waits for the answer: the lock is taken when it is there.

    Raises:
        Refused: `confirm` said no, or somebody else migrated the database meanwhile; nothing was changed.
        Other errors: what `rollback` raises.
    """
    with as_exceptions():
        asked = None if to else _ask_about_last(checkout, confirm)

        def choose(applied: Mapping[str, Applied]) -> list[str]:
            if _last(applied) != asked:
                raise Refused(
                    "somebody else has migrated this database meanwhile", remedy="Nothing was changed. Run it again."
                )
            return asked

        return rollback(
            checkout.url,
            checkout.folder(),
            to=to,
            choose=None if asked is None else choose,
            target=checkout.target,
            author=lambda: author_of(os.environ),
            observer=checkout.observer,
        )


def _ask_about_last(checkout: Checkout, confirm: Callable[[str], bool]) -> list[str]:
    last = _last(inspect_server(checkout.url, target=checkout.target).history.applied)
    if last and not confirm(f"Roll back {last[0]}, with the rows of what it made?"):
        raise Refused("nothing was changed", remedy="Say yes, give --yes, or say with --to which one stays the last.")
    return last


def _last(applied: Mapping[str, Applied]) -> list[str]:
    return [each.id for each in in_order_of_application(applied.values())][-1:]


def rollback(
    url: DatabaseURL,
    folder: Folder,
    *,
    to: str = "",
    choose: Callable[[Mapping[str, Applied]], Sequence[str]] | None = None,
    target: Target | None = None,
    author: Callable[[], Author] = Author,
    deadlines: Deadlines | None = None,
    observer: Observer | None = None,
) -> Report:
    """Roll back every migration that was applied after `to` (its id or its number; "0000" rolls back all of them).

    Or those that `choose` gives of what is applied, in its order. One whose file the folder has not, or has in another text, is
    taken back with the rollback that the database kept.

    Raises:
        UsageError: no applied migration is named so.
        InvalidPlan: nothing takes one of them back; nothing was run.
        DatabaseFailed: a statement failed or the server was lost; the message says what is rolled back.
        Interrupted: a signal arrived; the message says what is rolled back.
    """
    observer = observer or Observer()
    opened = open_locked(url, application="db-pipeline rollback", deadlines=deadlines or Deadlines(), observer=observer)
    with opened.session:
        target = target or Target(local_only=True)
        admit(target, opened)
        applied = opened.history.applied
        ids = choose(applied) if choose is not None else _applied_after(applied, to)
        kept = (read_kept(opened.session) if ids else None) or {}
        chosen = [Step(*way_back(folder, applied[id_], kept), backward=True) for id_ in ids]
        written_by = author()
        done = carry_out(chosen, opened, written_by, observer) if chosen else []
    left = len(opened.history.applied) - len(done)
    return Report(opened.session.shown_as, opened.identity, left, tuple(done))


def _applied_after(applied: Mapping[str, Applied], to: str) -> list[str]:
    """What was applied after `to`, the last one first."""
    order = in_order_of_application(applied.values())
    if to != "0000" and not any(to in {id_, number_of(id_)} for id_ in applied):
        last = order[-1].id if order else "none"
        raise UsageError(
            f"no applied migration is named {to}; the last one is {last}",
            remedy="Give the id or the number of the one to keep as the last, or 0000 to roll back all of them.",
        )
    ids = [each.id for each in reversed(order)]
    return ids[: next((at for at, id_ in enumerate(ids) if to in {id_, number_of(id_)}), len(ids))]
