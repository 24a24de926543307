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
from pipeline.leases import Purpose, clear
from pipeline.migrations import raise_faults, read_folder
from pipeline.migrations.plan import make_plan
from pipeline.rehearsal.budgets import judge
from pipeline.rehearsal.copies import Copies
from pipeline.rehearsal.deploying import deploy_on_copy, shown
from pipeline.rehearsal.digests import history_digest, schema_digest
from pipeline.rehearsal.measuring import measure
from pipeline.rehearsal.result import Applied, Origin, PendingFile, Rehearsal
from pipeline.rehearsal.telling import Told

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.deploy.observer import Observer
    from pipeline.environments.place import Parent, Place
    from pipeline.history.record import Author
    from pipeline.migrations import Folder
    from pipeline.neon import NeonClient
    from pipeline.rehearsal.copies import Copy
    from pipeline.rehearsal.deploying import Deployed
    from pipeline.rehearsal.values import Measured

_UNTOUCHED = "production was not touched, and the branches of the rehearsal are deleted"


@dataclass(frozen=True)
class Asked:
    """What is to be rehearsed: the migrations of the checkout at `root`, on copies of the branch at `place`.

    `crash`: also with the deploy killed behind each statement.
    """

    root: Path
    place: Place
    crash: bool = False


def rehearse(asked: Asked, client: NeonClient, observer: Observer) -> Rehearsal:
    """Rehearse what is pending.

    Where nothing is pending the result says so: it has no files.

    Raises:
        InvalidPlan: a file is at fault, edited, missing or out of order; nothing was run.
        Refused: the environment has another tool's history.
        ConfigurationError: the project has no such branch or database.
        NeonFailed, DatabaseFailed, TimedOut: no copy came about, or it could not be read.
        Interrupted: a signal arrived.
    """
    folder = read_folder(asked.root / "migrations")
    try:
        with as_exceptions():
            return _rehearse(asked, folder, client, observer)
    except SignalReceived as received:
        raise Interrupted(f"interrupted; {_UNTOUCHED}", signal_number=received.number) from None


@dataclass(frozen=True)
class _Run:
    """What all runs are made with."""

    folder: Folder
    author: Author
    observer: Observer
    copies: Copies


@dataclass(frozen=True)
class _Measuring:
    """What came of run B: what was measured and the schema that it ended in, or why nothing was."""

    measured: Measured | None = None
    schema: str | None = None
    why_not: str = ""


def _rehearse(asked: Asked, folder: Folder, client: NeonClient, observer: Observer) -> Rehearsal:
    began, place = datetime.now(UTC), asked.place
    observer.working("looking for the branch")
    branches = client.branches(place.project_id)
    production = find_parent(client, place, branches)
    for name in clear(client, place.project_id, Purpose.REHEARSAL, branches):
        observer.note(f"deleted the branch {name}, which a killed rehearsal left")
    # The copies end before the thread is waited for: with its branch, its work ends too.
    with ThreadPoolExecutor(1) as executor, Copies(client, production, observer.note) as copies:
        observer.working(f"copying {production.branch.name}")
        first = copies.make("deploy")
        history = inspect_server(first.url, observer=Told(observer, "")).history
        plan = make_plan(folder, history.applied)
        raise_faults(plan.faults)
        author = author_on_local(folder, os.environ)
        schema = schema_digest(first.url)
        found = Rehearsal(
            origin=_origin(production, first),
            began=began,
            ended=began,
            commit=author.commit,
            pending=tuple(PendingFile(file.id, file.path, file.checksum) for file in plan.pending),
            history=history_digest(history.applied),
            schema=schema,
            applied=Applied((), (), schema),
        )
        if plan.pending:
            observer.starting(2 * len(plan.pending))
            run = _Run(folder, author, observer, copies)
            measuring = executor.submit(_measure_on_copy, run, first.lsn)
            deployed = deploy_on_copy(first.url, folder, author, observer)
            observer.working("measuring each statement on the other copy")
            found = _with_runs(found, deployed, measuring.result())
        observer.working("deleting the copies")
    return replace(found, ended=datetime.now(UTC))


def _measure_on_copy(run: _Run, lsn: str) -> _Measuring:
    """Run B, on a branch of its own. What goes wrong here leaves the deploy's own outcome as it is."""
    try:
        copy = run.copies.make("measure", lsn)
        measured = measure(copy.url, run.folder, author=run.author, listener=Told(run.observer, "measured"))
        return _Measuring(measured, schema_digest(copy.url))
    except PipelineError as error:
        return _Measuring(why_not=shown(error))


def _with_runs(found: Rehearsal, deployed: Deployed, measuring: _Measuring) -> Rehearsal:
    """Both runs' outcomes, and what they do not tell."""
    measured = measuring.measured
    not_measured = []
    if deployed.why_not:
        not_measured.append(f"what the deploy does: {deployed.why_not}")
    if measured is None:
        not_measured.append(f"what each statement does: {measuring.why_not}")
    elif not deployed.why_not and not _end_alike(deployed.applied, measuring):
        not_measured.append(
            "what each statement does: run one by one, they end in another schema than the deploy, so what was measured is "
            "not what it does"
        )
    return replace(
        found,
        applied=deployed.applied,
        measured=measured,
        verdict=None if measured is None else judge(measured.files),
        not_measured=tuple(not_measured),
    )


def _end_alike(applied: Applied, measuring: _Measuring) -> bool:
    """Whether both runs came to the same schema, or stopped at the same statement's file."""
    stopped = None if measuring.measured is None else measuring.measured.failure
    if applied.failure is not None or stopped is not None:
        return applied.failure is not None and stopped is not None and applied.failure.id == stopped.id
    return applied.schema == measuring.schema


def _origin(production: Parent, copy: Copy) -> Origin:
    branch = production.branch
    return Origin(production.environment, branch.project_id, branch.id, branch.name, copy.lsn, copy.at)
