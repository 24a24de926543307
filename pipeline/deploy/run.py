"""One run: look, plan, check, apply, report. After every fault it says truly what is applied, by asking the database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.deploy.claim import require_claim
from pipeline.deploy.doubts import doubts, passwords_unseen, remedy_without_history
from pipeline.deploy.locking import Deadlines, Opened, open_locked, open_reading
from pipeline.deploy.observer import Observer
from pipeline.deploy.signals import RERUN, SignalReceived, standing
from pipeline.deploy.target import Target, check_target, marker_sql
from pipeline.errors import DatabaseFailed, Interrupted, PipelineError
from pipeline.history import CREATE, READ, parse_history
from pipeline.history.record import FLUSH, Author
from pipeline.migrations import make_plan
from pipeline.migrations.files import raise_faults
from pipeline.migrations.plan import has_large, read_large
from pipeline.postgres.session import ConnectionLost, ServerError
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb.url import DatabaseURL
    from pipeline.history import History
    from pipeline.migrations import Folder, MigrationFile, Plan
    from pipeline.postgres.identity import Identity
    from pipeline.postgres.session import Session
    from pipeline.roles.deviations import Deviation
    from pipeline.roles.reading import Fact


@dataclass(frozen=True, slots=True)
class AppliedNow:
    """A migration that this run applied. `milliseconds` is what its transaction took, None where nobody could measure it."""

    id: str
    milliseconds: int | None


@dataclass(frozen=True)
class Report:
    """What a run did."""

    server: str
    identity: Identity
    already: int
    applied: tuple[AppliedNow, ...] = ()
    activated: tuple[str, ...] = ()  # roles that were given their password
    corrected: tuple[Deviation, ...] = ()  # what of the runtime roles was put right


@dataclass(frozen=True)
class Run:
    """What a run needs to know, apart from the files."""

    url: DatabaseURL
    target: Target = Target()
    author: Callable[[], Author] = Author
    deadlines: Deadlines = Deadlines()
    observer: Observer = Observer()
    verb: str = "deploy"

    @property
    def application(self) -> str:
        """How the session names itself to others that look for who has the lock."""
        return f"chat-database {self.verb}"


def apply(
    url: DatabaseURL,
    folder: Folder,
    *,
    target: Target | None = None,
    author: Callable[[], Author] = Author,
    deadlines: Deadlines | None = None,
    observer: Observer | None = None,
    verb: str = "deploy",
) -> Report:
    """Apply what is pending, in order, under the lock, each file in one transaction with its record.

    `author` is called only when something is pending, and before anything is written: it may refuse.

    Raises:
        Refused: the target is not the one that was meant; nothing was changed.
        InvalidPlan: a file is at fault, edited, missing or out of order; nothing was run.
        DatabaseFailed: a statement failed or the server was lost; the message says what is applied.
        TimedOut: the deploy lock, or a lock that a file needs, was not to be had in time.
        Interrupted: a signal arrived; the message says what is applied.
    """
    run = Run(url, target or Target(), author, deadlines or Deadlines(), observer or Observer(), verb)
    with standing("nothing of this run is applied."):
        ahead = (lambda history: read_large(folder, history.applied)) if has_large(folder) else None
        opened = _open(run, ahead)
    with opened.session:
        with standing("nothing of this run is applied."):
            check_target(run.target, opened.identity, opened.history, opened.session.shown_as)
            if run.target.claim is not None:
                require_claim(run.target.claim, opened.session, opened.identity, opened.history.marker)
            plan = make_plan(folder, opened.history.applied)
            raise_faults(plan.faults)
            for id_ in sorted(opened.history.unfinished.keys() - folder.by_id.keys()):
                run.observer.note(
                    f"{id_} was begun here and its end is not recorded; this checkout does not have it, so nobody looks at what "
                    "it may have left: an INVALID index (\\d in psql shows it), or a partition that is half detached"
                )
            unseen = passwords_unseen(run.target, opened.history, opened.identity)
            for doubt in filter(None, (*doubts(opened.history, plan), unseen)):
                run.observer.note(doubt)
            written_by = run.author() if plan.pending else Author()
            _prepare(run, opened)
        applied = _run_pending(run, opened, plan, written_by)
        report = Report(opened.session.shown_as, opened.identity, len(plan.applied), tuple(applied))
        if not run.target.passwords or not (plan.applied or plan.pending):
            return report
        with standing("every migration is applied; the runtime roles may not have their passwords yet."):
            from pipeline.deploy.activation import activate, read_again  # only these deploys pay for it

            facts = read_again(opened.session, run.target) if applied else opened.facts
            done = activate(opened.session, run.url, run.target, opened.history, facts, run.observer)
    return replace(report, activated=done.passwords, corrected=done.corrected)


@dataclass(frozen=True)
class View:
    """What a look at a server shows. `facts` are what it says of the runtime roles."""

    server: str
    identity: Identity
    history: History
    facts: tuple[Fact, ...] = ()


def look(
    url: DatabaseURL,
    *,
    target: Target | None = None,
    deadlines: Deadlines | None = None,
    observer: Observer | None = None,
) -> View:
    """Read a server's identity, history and roles without the lock, and check that it is the one that was meant.

    A standby answers too: with what it has received so far. Raises what `apply` raises.
    """
    opened = open_reading(
        url,
        application="chat-database look",
        deadlines=deadlines or Deadlines(),
        observer=observer or Observer(),
        roles=RUNTIME_ROLES,
    )
    with opened.session:
        target = target or Target()
        check_target(target, opened.identity, opened.history, opened.session.shown_as, writes=False)
        if target.claim is not None:
            require_claim(target.claim, opened.session, opened.identity, opened.history.marker)
    return View(opened.session.shown_as, opened.identity, opened.history, opened.facts)


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


def _run_pending(run: Run, opened: Opened, plan: Plan, author: Author) -> list[AppliedNow]:
    """Run the plan's files; whatever goes wrong, find out what is applied before saying so."""
    if not plan.pending:
        return []
    with standing("nothing of this run is applied."):
        # what only these need is not paid for by a run with nothing to do
        from pipeline.deploy.concurrent.running import apply_concurrent
        from pipeline.deploy.transactional import run_transactional, steps_forward

        run.observer.starting(len(plan.pending))
    done: list[AppliedNow] = []

    def count(migration: str, milliseconds: int | None) -> None:
        done.append(AppliedNow(migration, milliseconds))
        run.observer.applied(migration, milliseconds)

    try:
        for group in _groups(plan.pending):
            if group[0].forward.transactional:
                run_transactional(opened.session, steps_forward(group, author), run.observer, count, opened.notices)
            else:
                unfinished = opened.history.unfinished.get(group[0].id)
                count(group[0].id, apply_concurrent(opened.session, group[0], author, unfinished, run.observer))
    except ConnectionLost as lost:
        return _after_loss(run, plan, done, lost)
    except SignalReceived as signal:
        raise Interrupted(
            f"interrupted; {_standing(plan, ask(opened.session, done), left=signal.left)}",
            signal_number=signal.number,
            remedy=RERUN,
        ) from None
    except PipelineError as error:
        error.message = f"{error.message}\n{_standing(plan, {each.id for each in done})}"
        error.remedy = remedy_without_history(opened.history, error) or error.remedy
        raise
    return done


def _groups(pending: Sequence[MigrationFile]) -> list[list[MigrationFile]]:
    """Neighbours that can run together; a non-transactional file stands alone."""
    groups: list[list[MigrationFile]] = []
    for file in pending:
        if groups and file.forward.transactional and groups[-1][0].forward.transactional:
            groups[-1].append(file)
        else:
            groups.append([file])
    return groups


def _after_loss(run: Run, plan: Plan, done: list[AppliedNow], lost: ConnectionLost) -> list[AppliedNow]:
    """The answer was lost, not necessarily the work: ask on a new connection, once the old one's backend let go of the lock."""
    confirmed = {each.id for each in done}
    try:
        run.observer.note(f"{lost.message}; asking on a new connection what is applied")
        again = _open(run)
        with again.session:
            applied = again.history.applied
            if applied:
                again.session.run(FLUSH)
            left = _look_after_loss(plan, again)
    except SignalReceived as signal:
        raise Interrupted(
            f"interrupted after {lost.message}; {_standing(plan, confirmed, at_least=True)}",
            signal_number=signal.number,
            remedy=RERUN,
        ) from lost
    except PipelineError as error:
        raise DatabaseFailed(
            f"{lost.message}, and no new one could be had to ask what is applied ({error.message})\n"
            f"{_standing(plan, confirmed, at_least=True)}",
            remedy="Run it again when the server answers: it asks first, and goes on from there.",
        ) from lost
    if all(file.id in applied for file in plan.pending):
        times = {each.id: each.milliseconds for each in done}
        for file in plan.pending[len(done) :]:
            run.observer.applied(file.id, applied[file.id].duration_ms)
        return [AppliedNow(file.id, times.get(file.id, applied[file.id].duration_ms)) for file in plan.pending]
    raise DatabaseFailed(f"{lost.message}\n{_standing(plan, set(applied), left=left)}", remedy=RERUN) from lost


def _look_after_loss(plan: Plan, again: Opened) -> str | None:
    """What the file left that was at work, when it runs outside a transaction; None for one in a transaction."""
    file = next((file for file in plan.pending if file.id not in again.history.applied), None)
    if file is None or file.forward.transactional:
        return None
    from pipeline.deploy.concurrent.running import look_after_loss

    return look_after_loss(again.session, file, again.history.unfinished.get(file.id))


def ask(session: Session, done: Sequence[AppliedNow]) -> set[str] | None:
    """The ids that are applied now, or None when the session can no longer tell, or a second signal ends the wait.

    When the last query did not go out whole, they are those that were heard of (`done`) and those of before the run, which
    are left out.
    """
    if session.unsent:
        return {each.id for each in done}
    try:
        if session.in_transaction:  # of the file that was cancelled
            session.run("ROLLBACK")
        return set(parse_history([result.rows for result in session.run(FLUSH + READ)[1:]]).applied)
    except (PipelineError, SignalReceived):
        return None


def _standing(plan: Plan, applied: set[str] | None, *, at_least: bool = False, left: str | None = None) -> str:
    """One sentence about what of a plan is applied, and one about what a file outside a transaction has `left`."""
    about_left = f"\n{left}" if left else ""
    if applied is None:
        return f"what of this run is applied is not known: `./inv status` tells.{about_left}"
    done = [file.id for file in plan.pending if file.id in applied]
    missing = [file for file in plan.pending if file.id not in applied]
    head = f"{len(done)} of {len(plan.pending)} applied in this run"
    if at_least:
        head = f"at least {head}"
    if done:
        head += f" (through {done[-1]})"
    if not missing:
        return f"{head}."
    concurrent = missing[0].forward.concurrent
    if at_least:
        from pipeline.deploy.concurrent.deciding import may_have_left

        worst = may_have_left(concurrent) if concurrent is not None else ""
        return f"{head}.\n{worst}".rstrip()
    if concurrent is None:
        return f"{head}; nothing of {missing[0].id} is."
    if left == "":
        return f"{head}; {missing[0].id} is not, and it left nothing behind."
    return f"{head}; {missing[0].id} is not, and the next run looks at what it may have left.{about_left}"
