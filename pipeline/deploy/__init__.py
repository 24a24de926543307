"""One run: read, plan, check, apply, report. After every fault it says truly what is applied, by asking the database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline.deploy.doubts import doubts, passwords_unseen
from pipeline.deploy.locking import Deadlines, Opened, open_locked, open_reading
from pipeline.deploy.observer import Observer
from pipeline.deploy.signals import stating_outcome
from pipeline.deploy.steps import Permit, Step
from pipeline.deploy.target import Target, admit, marker_sql
from pipeline.history.backfills import read_backfills
from pipeline.history.record import Author
from pipeline.history.rehearsals import read_admissions
from pipeline.history.tables import CREATE
from pipeline.migrations import raise_faults
from pipeline.migrations.plan import has_large, make_plan, read_large
from pipeline.postgres.session import ServerError
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.deploy.steps import AppliedNow
    from pipeline.history import History
    from pipeline.history.backfills import Backfill
    from pipeline.history.kept import Kept
    from pipeline.history.rehearsals import Admission
    from pipeline.kept_points import KeptPoint
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.migrations.plan import Plan
    from pipeline.postgres import Identity
    from pipeline.postgres.session import Session
    from pipeline.roles import Fact
    from pipeline.roles.deviations import Deviation

    Keep = Callable[[Opened, Folder, Sequence[MigrationFile]], KeptPoint | None]


@dataclass(frozen=True)
class Report:
    """What a run did."""

    server: str
    identity: Identity
    already: int
    applied: tuple[AppliedNow, ...] = ()
    activated: tuple[str, ...] = ()  # roles that were given their password
    corrected: tuple[Deviation, ...] = ()  # what of the runtime roles was put right
    backfills: tuple[Backfill, ...] = ()  # of the batched files of this run
    kept: str = ""  # the name of the branch that keeps the state before it, where it destroyed something


@dataclass(frozen=True)
class Run:
    """What a run needs to know, apart from the files."""

    url: DatabaseURL
    target: Target = Target()
    author: Callable[[], Author] = Author
    deadlines: Deadlines = Deadlines()
    observer: Observer = Observer()
    verb: str = "deploy"
    backfill_seconds: float | None = None
    keep: Keep | None = None

    @property
    def application(self) -> str:
        """How the session names itself to others that look for who has the lock."""
        return f"db-pipeline {self.verb}"


def apply(  # noqa: PLR0913 - the parts of a run
    url: DatabaseURL,
    folder: Folder,
    *,
    target: Target | None = None,
    author: Callable[[], Author] = Author,
    deadlines: Deadlines | None = None,
    observer: Observer | None = None,
    verb: str = "deploy",
    backfill_seconds: float | None = None,
    keep: Keep | None = None,
) -> Report:
    """Apply what is pending, in order, under the lock, each file in one transaction with its record.

    `author` is called only when something is pending, and before anything is written: it may refuse. `backfill_seconds` is how
    long each batched file is worked on, None until it is done; what is left then is `./inv backfill`'s. The
    target's permit is asked behind the author, and may refuse, too. `keep` is
    called under the lock, just before the first file of a run that has any: it may keep the state before it, or refuse.

    Raises:
        Refused: the target is not the one that was meant, or the permit says no; nothing was changed.
        InvalidPlan: a file is at fault, edited, missing or out of order; nothing was run.
        DatabaseFailed: a statement failed or the server was lost; the message says what is applied.
        TimedOut: the deploy lock, or a lock that a file needs, did not become free in time.
        Interrupted: a signal arrived; the message says what is applied.
    """
    target, deadlines, observer = target or Target(), deadlines or Deadlines(), observer or Observer()
    run = Run(url, target, author, deadlines, observer, verb, backfill_seconds, keep)
    with stating_outcome("nothing of this run is applied."):
        ahead = (lambda history: read_large(folder, history.applied)) if has_large(folder) else None
        opened = _open(run, ahead)
    with opened.session:
        with stating_outcome("nothing of this run is applied."):
            admit(run.target, opened)
            plan = make_plan(folder, opened.history.applied, opened.history.held)
            if run.target.local_only and (plan.missing or plan.edited):
                opened, plan = _followed(run, opened, plan, folder)
            raise_faults(plan.faults)
            for id_ in sorted(opened.history.unfinished.keys() - folder.by_id.keys()):
                run.observer.note(
                    f"{id_} was begun here and its end is not recorded; this checkout does not have it, so nobody looks at what "
                    "it may have left: an INVALID index (\\d in psql shows it), or a partition that is half detached"
                )
            # the roles of a copy get no passwords, and nobody uses them
            is_copy = run.verb == "rehearse"
            unseen = "" if is_copy else passwords_unseen(run.target, opened.history, opened.identity)
            for doubt in filter(None, (*doubts(opened.history, plan), unseen)):
                run.observer.note(doubt)
            permitted = _permitted(run, opened, plan)
            _prepare(run, opened)
            if run.target.local_only:
                _keep_texts(opened, folder)
                _finish_backfills(run, opened, folder)
            kept = run.keep(opened, folder, plan.pending) if run.keep and plan.pending else None
        applied = _run_pending(run, opened, plan, permitted, folder)
        batched = tuple(file.id for file in plan.pending if file.forward.batched is not None)
        backfills = _read_backfills(opened.session, batched) if batched else ()
        report = Report(
            opened.session.shown_as,
            opened.identity,
            len(plan.applied),
            tuple(applied),
            backfills=backfills,
            kept=kept.branch.name if kept else "",
        )
        if not run.target.passwords or not (plan.applied or plan.pending):
            return report
        with stating_outcome("every migration is applied; the runtime roles may not have their passwords yet."):
            from pipeline.deploy.activation import activate, read_again  # only these deploys pay for it

            facts = read_again(opened.session, run.target) if applied else opened.facts
            done = activate(opened.session, run.url, run.target, opened.history, facts, run.observer)
    return replace(report, activated=done.passwords, corrected=done.corrected)


@dataclass(frozen=True)
class View:
    """What a look at a server shows. `facts` are what it says of the runtime roles, `kept` what a local database keeps."""

    server: str
    identity: Identity
    history: History
    facts: tuple[Fact, ...] = ()
    kept: Mapping[str, Kept] = field(default_factory=dict)
    backfills: tuple[Backfill, ...] = ()
    admissions: tuple[Admission, ...] = ()  # what let pending files in, oldest first


def inspect_server(
    url: DatabaseURL,
    *,
    target: Target | None = None,
    deadlines: Deadlines | None = None,
    observer: Observer | None = None,
    writes: bool = False,
) -> View:
    """Read a server's identity, history and roles without the lock, and check that it is the one that was meant.

    A standby answers too, with what it has received so far; not where it is asked whether it takes what a deploy `writes`.
    Raises what `apply` raises.
    """
    target = target or Target()
    opened = open_reading(
        url,
        application="db-pipeline look",
        deadlines=deadlines or Deadlines(),
        observer=observer or Observer(),
        roles=RUNTIME_ROLES,
        fingerprints=bool(target.passwords),
    )
    with opened.session:
        admit(target, opened, writes=writes)
        kept = _kept(opened.session) if target.local_only and opened.history.exists else {}
        backfills = read_backfills(opened.session) if opened.history.exists else ()
        admissions = read_admissions(opened.session) if opened.history.exists else ()
    return View(opened.session.shown_as, opened.identity, opened.history, opened.facts, kept, backfills, admissions)


def _open(run: Run, before_lock: Callable[[History], None] | None = None) -> Opened:
    return open_locked(
        run.url,
        application=run.application,
        deadlines=run.deadlines,
        observer=run.observer,
        roles=run.target.passwords,
        before_lock=before_lock,
    )


def _prepare(run: Run, opened: Opened) -> None:
    """Create the history, and write the marker, where they are missing: one query, one transaction, or none at all."""
    needed = ("" if opened.history.exists else CREATE) + marker_sql(run.target, opened.history, opened.identity)
    if needed:
        try:
            opened.session.run(needed)
        except ServerError as error:
            from pipeline.deploy.failure import explain

            raise explain(error, "the history could not be created", "Nothing was changed.") from error


def _followed(run: Run, opened: Opened, plan: Plan, folder: Folder) -> tuple[Opened, Plan]:
    """A local database whose migrations are not the folder's: what differs by comments alone is recorded, the rest is told."""
    from pipeline.deploy.switching import edited_comments, with_one_sentence
    from pipeline.history.record import renamed_sql

    kept, applied = _kept(opened.session), dict(opened.history.applied)
    files = {applied[id_]: folder.by_id[id_] for id_ in edited_comments(plan, folder, kept)}
    if not files:
        return opened, with_one_sentence(plan, folder, kept)
    applied |= {file.id: replace(was, checksum=file.checksum) for was, file in files.items()}
    followed = with_one_sentence(make_plan(folder, applied), folder, kept)
    if followed.faults:
        return opened, followed  # a run that is refused records nothing
    opened.session.run(renamed_sql(files))
    for file in files.values():
        run.observer.note(f"{file.id}: only its comments were edited since it was applied here, which is recorded")
    return replace(opened, history=replace(opened.history, applied=applied)), followed


def _kept(session: Session) -> dict[str, Kept]:
    from pipeline.history.kept import read_kept

    return read_kept(session) or {}


def _keep_texts(opened: Opened, folder: Folder) -> None:
    """Keep what takes each migration back, for the day on which git has switched to a branch that has not its files."""
    from pipeline.history.kept import keep_texts

    keep_texts(opened.session, folder, opened.history.applied)


def _read_backfills(session: Session, ids: Sequence[str]) -> tuple[Backfill, ...]:
    with stating_outcome("every migration is applied."):
        return tuple(each for each in read_backfills(session) if each.id in ids)


def _permitted(run: Run, opened: Opened, plan: Plan) -> Permit:
    """Who the pending files are recorded by, and the guard before them: asked only where there are some."""
    if not plan.pending:
        return Permit(Author())
    author = run.author()
    return Permit(author) if run.target.permit is None else run.target.permit(run.target, opened, plan, author)


def _finish_backfills(run: Run, opened: Opened, folder: Folder) -> None:
    """Do what an interrupted run has left of a backfill: a local database stays half changed for nobody."""
    there = [file for file in folder.files if file.id in opened.history.applied and b"batched=" in file.data]
    files = [file for file in there if file.forward.batched is not None]
    if files:
        from pipeline.deploy.batched import finish
        from pipeline.deploy.steps import Work

        finish(Work(opened.session, Author(), run.observer, opened.notices, {}, lambda *_: None), files)


def _run_pending(run: Run, opened: Opened, plan: Plan, permitted: Permit, folder: Folder) -> list[AppliedNow]:
    """Run the plan's files, and say truly what is applied, whatever goes wrong."""
    if not plan.pending:
        return []
    with stating_outcome("nothing of this run is applied."):
        # what only these need is not paid for by a run with nothing to do
        from pipeline.deploy.execution import carry_out
        from pipeline.deploy.heartbeat import heartbeat
        from pipeline.migrations.plan import batched_dependencies

        run.observer.starting(len(plan.pending))
    steps = [Step(file, file.forward) for file in plan.pending]
    with heartbeat(opened.session, run.url, run.observer):
        return carry_out(
            steps,
            opened,
            permitted.author,
            run.observer,
            guard=permitted.guard,
            reopen=lambda: _open(run),
            backfill_seconds=run.backfill_seconds,
            waits_for=batched_dependencies(folder, plan.pending),
        )
