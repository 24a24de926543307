"""What `plan` and `status` look at: an environment's history against the files, without the lock and without a write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.deploy import inspect_server
from pipeline.deploy.activation import due_passwords, refused_passwords
from pipeline.deploy.doubts import doubts, passwords_unseen
from pipeline.deploy.expanded import expanded
from pipeline.deploy.rehearsed import Evidence
from pipeline.errors import Refused
from pipeline.migrations import raise_faults
from pipeline.migrations.plan import batched_dependencies, make_plan
from pipeline.roles.deviations import deviations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.deploy import View
    from pipeline.deploy.checkout import Checkout
    from pipeline.deploy.expanded import Expanded
    from pipeline.deploy.observer import Observer
    from pipeline.deploy.target import Target
    from pipeline.history import History
    from pipeline.history.backfills import Backfill
    from pipeline.history.rehearsals import Admission
    from pipeline.migrations import Folder
    from pipeline.migrations.plan import Plan
    from pipeline.postgres import Identity
    from pipeline.roles.deviations import Deviation


@dataclass(frozen=True)
class DeployStatus:
    """A server, its history, and what a deploy would do there. The plan's faults are listed, not raised."""

    server: str
    identity: Identity
    history: History
    plan: Plan
    roles: tuple[Deviation, ...] = ()  # what takes limits of the runtime roles away
    uncommitted: str = ""  # why a deploy would not take the files for those of a commit, or empty
    due_passwords: tuple[str, ...] = ()  # roles to which the next deploy gives the stack's password
    passwords_unseen: str = ""  # why nobody looked at their passwords, or empty
    backfills: tuple[Backfill, ...] = ()
    expanded: tuple[Expanded, ...] = ()  # what stands double there
    admissions: tuple[Admission, ...] = ()  # receipts, and reasons to go without one, oldest first
    waiting: tuple[str, ...] = ()  # which pending files a deploy would not run, since they depend on one of these

    @property
    def begun_elsewhere(self) -> tuple[str, ...]:
        """Non-transactional files that were begun, whose end nobody recorded, and which the checkout does not have."""
        return tuple(sorted(self.history.unfinished.keys() - {file.id for file in self.plan.pending}))

    def let_in_by(self, admission: Admission) -> tuple[str, ...]:
        """The ids of the migrations that are applied, and that it let in."""
        return tuple(each.id for each in self.plan.applied if each.rehearsal == admission.digest)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What nobody can tell from this history, and what a deploy would not run as it is."""
        refused = f"a deploy would refuse this: {self.uncommitted}" if self.uncommitted else ""
        return (*doubts(self.history, self.plan), *filter(None, [refused, self.passwords_unseen]), *self.waiting)

    def raise_faults(self) -> None:
        """Raise InvalidPlan when a deploy would refuse to run."""
        raise_faults(self.plan.faults)


def status(checkout: Checkout, *, log_in: bool = False) -> DeployStatus:
    """Look at a checkout's environment, and say why a deploy would refuse its files. Raises what `read_status` raises."""
    folder = checkout.folder()
    seen = read_status(checkout.url, folder, target=checkout.target, observer=checkout.observer, log_in=log_in)
    if seen.plan.pending:
        try:
            checkout.author(folder)
        except Refused as refused:
            return replace(seen, uncommitted=refused.message)
    return seen


def dry_run(checkout: Checkout, *, receipt: Path | None = None, without_rehearsal: str = "") -> DeployStatus:
    """What a deploy would run, or `migrate` on the local environment. Nothing is written.

    What of a receipt only the server can compare is not compared. Apart from that it refuses what they would refuse before they
    run anything, and raises what they raise.
    """
    folder = checkout.folder()
    seen = read_status(checkout.url, folder, target=checkout.target, observer=checkout.observer, writes=True)
    seen.raise_faults()
    if seen.plan.pending:
        evidence = Evidence(checkout.root, receipt, without_rehearsal)
        evidence.permit(checkout.target, seen, seen.plan, checkout.author(folder))
    return seen


def read_status(
    url: DatabaseURL, folder: Folder, *, target: Target, observer: Observer, log_in: bool = False, writes: bool = False
) -> DeployStatus:
    """Look at an environment.

    `log_in`: also whether the runtime roles take the target's passwords; `writes`: whether a deploy might write there.

    Raises:
        Refused: the target is not the one that was meant.
        DatabaseFailed: no connection, or the server refused the query.
    """
    view = inspect_server(url, target=target, observer=observer, writes=writes)
    plan = make_plan(folder, view.history.applied, view.history.held)
    if target.local_only and (plan.missing or plan.edited):
        from pipeline.deploy.switching import with_one_sentence

        plan = with_one_sentence(plan, folder, view.kept)
    refused = refused_passwords(url, target, observer) if log_in else ()
    return DeployStatus(
        view.server,
        view.identity,
        view.history,
        plan,
        (*role_deviations(view), *refused),
        due_passwords=tuple(due_passwords(target, view.history)),
        passwords_unseen=passwords_unseen(target, view.history, view.identity),
        backfills=view.backfills,
        admissions=view.admissions,
        expanded=() if plan.faults else expanded(folder.files, view.history.applied, view.backfills),
        waiting=tuple(_waiting(folder, plan, view.backfills)),
    )


def _waiting(folder: Folder, plan: Plan, backfills: Sequence[Backfill]) -> Iterator[str]:
    """What a deploy would say of files that depend on a backfill which is not complete, as far as that is known."""
    if plan.faults or not backfills:
        return
    known = {each.id: each for each in backfills}
    for id_, awaited in batched_dependencies(folder, plan.pending).items():
        for each in awaited:
            if each.id in known and not known[each.id].is_complete:
                yield f"a deploy would stop at {id_}: it depends on {each.id}, which is {known[each.id].percent} % done"


def role_deviations(view: View) -> tuple[Deviation, ...]:
    """What of the runtime roles is not as it is to be."""
    return deviations(view.facts, activated={each.role for each in view.history.passwords})
