"""The flow of a rehearsal: two copies of production at one position, the deploy on one, the measuring on the other.

Both runs go on at once, each on a server of its own, so that all of it takes little more than the deploy. Ctrl-C and SIGTERM
end the deploy on the server; the other run ends with its branch.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.deploy import inspect_server
from pipeline.deploy.authorship import author_on_local
from pipeline.deploy.signals import SignalReceived, as_exceptions
from pipeline.environments.place import find_parent
from pipeline.errors import Interrupted, PipelineError
from pipeline.leases import Purpose, clear, signals_held
from pipeline.migrations import raise_faults, read_folder
from pipeline.migrations.plan import make_plan
from pipeline.rehearsal import compatibility
from pipeline.rehearsal.budgets import judge
from pipeline.rehearsal.copies import Copies
from pipeline.rehearsal.crashing import kill_and_run_again
from pipeline.rehearsal.deploying import deploy_on_copy, shown
from pipeline.rehearsal.digests import digests_of
from pipeline.rehearsal.measured_run import measure_on_copy
from pipeline.rehearsal.result import Applied, Origin, PendingFile, Rehearsal
from pipeline.rehearsal.telling import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.deploy.observer import Observer
    from pipeline.environments.place import Parent, Place
    from pipeline.history import History
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.neon import NeonClient
    from pipeline.receipts.digests import Digests
    from pipeline.rehearsal.copies import Copy
    from pipeline.rehearsal.deploying import Deployed
    from pipeline.rehearsal.measured_run import MeasuredRun

_DELETED = "Its copies are deleted; where that could not be, a line above says so, and they expire within two hours."


@dataclass(frozen=True)
class Asked:
    """What is to be rehearsed: the migrations of the checkout at `root`, on copies of the branch at `place`.

    `crash`: also with the deploy killed behind each statement. `traffic`: also with the statements that the database there saw.
    `live`: the commit of the release that is live, where it is another than the history names.
    """

    root: Path
    place: Place
    crash: bool = False
    traffic: DatabaseURL | None = None
    live: str = ""


def rehearse(asked: Asked, client: NeonClient, observer: Observer) -> Rehearsal:
    """Rehearse what is pending.

    Where nothing is pending the result says so: it has no files.

    Raises:
        InvalidPlan: a file is at fault, edited, missing or out of order; nothing was run.
        Refused: the environment has another tool's history.
        ConfigurationError: the project has no such branch or database, or git no such commit.
        NeonFailed, DatabaseFailed, TimedOut: no copy came about, or it could not be read.
        Interrupted: a signal arrived.
    """
    folder = read_folder(asked.root / "migrations")
    with as_exceptions():
        try:
            return _rehearse(asked, folder, client, observer)
        except SignalReceived as received:
            number = received.number
        except Interrupted as interrupted:  # what the deploy says of it is about a copy
            number = interrupted.signal_number
        raise Interrupted(
            f"interrupted; {asked.place.environment} was not touched", signal_number=number, remedy=_DELETED
        )


def _rehearse(asked: Asked, folder: Folder, client: NeonClient, observer: Observer) -> Rehearsal:
    began, place = datetime.now(UTC), asked.place
    observer.beginning(f"looking for the branch of {place.environment}")
    branches = client.branches(place.project_id)
    parent = find_parent(client, place, branches)
    for name in clear(client, place.project_id, Purpose.REHEARSAL, branches):
        observer.note(f"deleted the branch {name}, which a killed rehearsal left")
    # The copies end before the thread is waited for: with its branch, its work ends too.
    with ThreadPoolExecutor(1) as executor, Copies(client, parent, observer.note) as copies:
        observer.beginning(f"copying the branch {parent.branch.name}")
        first = copies.make("deploy")
        view = inspect_server(first.url, observer=Told(observer, ""))
        history = view.history
        plan = make_plan(folder, history.applied, history.held)
        raise_faults(plan.faults)
        author = author_on_local(folder, os.environ)
        state = digests_of(first.url, has_history=history.exists)
        found = Rehearsal(
            origin=_origin(parent, first),
            began=began,
            ended=began,
            commit=author.commit,
            pending=tuple(PendingFile(file.id, file.path, file.checksum) for file in plan.pending),
            history=state.history,
            schema=state.schema,
            applied=Applied((), (), state.schema),
            postgres=view.identity.version_text,
        )
        if plan.pending:
            catalogues = _catalogues(asked, history, parent.branch.id)
            observer.beginning(
                f"deploying {len(plan.pending)} pending on one copy, and measuring each statement on another"
            )
            observer.starting(2 * len(plan.pending))
            with signals_held():  # nobody waits for a thread whose start a signal cuts
                second = executor.submit(
                    measure_on_copy, lambda: copies.make("measure", first.lsn).url, folder, author, catalogues, observer
                )
            deployed = deploy_on_copy(first.url, folder, author, observer)
            found = _with_runs(found, deployed, second.result())
            if asked.crash:
                found = _with_crashes(
                    found, deployed.after, lambda: copies.make("crash", first.lsn).url, folder, plan.pending, observer
                )
        observer.beginning("deleting the copies")
    return replace(found, ended=datetime.now(UTC))


def _catalogues(asked: Asked, history: History, branch_id: str) -> compatibility.Catalogues:
    """What the services send, and what production saw of them where it is asked for that."""
    recorded = compatibility.live_commit(history)
    live = compatibility.named_commit(asked.root, asked.live) if asked.live else recorded
    known = compatibility.catalogues(asked.root, live, anything_live=bool(asked.live or history.applied))
    if live is not None and live != recorded:
        said = f"{recorded[:12]} with the newest migration" if recorded else "none"
        known = known.with_more(
            (), (f"the live release was named: {live[:12]}; production's history names {said}",), ()
        )
    if asked.traffic is None:
        return known
    return compatibility.add_traffic(asked.traffic, known, branch_id=branch_id)


def _with_runs(found: Rehearsal, deployed: Deployed, second: MeasuredRun) -> Rehearsal:
    """Both runs' outcomes, and what they do not tell."""
    not_measured = []
    if deployed.why_not:
        not_measured.append(f"what the deploy does: {deployed.why_not}")
    if second.why_not:
        not_measured.append(f"what each statement does: {second.why_not}")
    elif not deployed.why_not and not _end_alike(deployed, second):
        not_measured.append(
            "what each statement does: run one by one, they end in another schema than the deploy, so what was measured is "
            "not what it does"
        )
    if second.not_compared:
        not_measured.append(f"compatibility with the services: {second.not_compared}")
    elif second.compatibility is not None:
        not_measured += second.compatibility.not_measured
    return replace(
        found,
        applied=deployed.applied,
        measured=second.measured,
        verdict=None if second.measured is None else judge(second.measured.files),
        compatibility=second.compatibility,
        not_measured=tuple(not_measured),
    )


def _with_crashes(
    found: Rehearsal,
    end: Digests | None,
    make_copy: Callable[[], DatabaseURL],
    folder: Folder,
    pending: Sequence[MigrationFile],
    observer: Observer,
) -> Rehearsal:
    """With what comes of a deploy that is killed and run again, where one that is not killed comes to its end."""
    crash, why_not = None, "the deploy itself does not come to its end"
    if end is not None:
        try:
            crash, why_not = kill_and_run_again(make_copy(), folder, pending, end, observer), ""
        except PipelineError as error:
            why_not = shown(error)
    more = (f"what a killed deploy leaves: {why_not}",) if why_not else ()
    return replace(found, crash=crash, not_measured=(*found.not_measured, *more))


def _end_alike(deployed: Deployed, second: MeasuredRun) -> bool:
    """Whether both runs came to the same state, or stopped at the same file."""
    stopped = None if second.measured is None else second.measured.failure
    if deployed.applied.failure is not None or stopped is not None:
        ids = {None if each is None else each.id for each in (deployed.applied.failure, stopped)}
        return len(ids) == 1
    return deployed.after == second.after


def _origin(parent: Parent, copy: Copy) -> Origin:
    branch = parent.branch
    return Origin(parent.environment, branch.project_id, branch.id, branch.name, copy.lsn, copy.at)
