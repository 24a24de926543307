"""`backfill`: go on with what deploys have registered, until nothing is left or somebody says to stop.

It has a lock of its own: one works at a time, and a deploy goes on meanwhile. Where the connection is lost it makes another one
and goes on from the last batch that was committed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.backfill.pausing import Limits
from pipeline.backfill.working import Stand, Worker
from pipeline.deploy.batched import batched_of
from pipeline.deploy.locking import Deadlines, open_reading
from pipeline.deploy.signals import SignalReceived, as_exceptions
from pipeline.deploy.target import admit
from pipeline.environments import LOCAL
from pipeline.environments.stack_file import read_stack_file
from pipeline.errors import DatabaseFailed, Interrupted, MigrationFileError, Refused, UsageError
from pipeline.history.backfills import ABORTED, PAUSED, REGISTERED, read_backfills, set_state_sql
from pipeline.migrations.names import number_of
from pipeline.postgres.lock import APPLICATION, BACKFILL_KEY, find_holder
from pipeline.postgres.session import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.deploy.checkout import Checkout
    from pipeline.deploy.locking import Opened
    from pipeline.history.backfills import Backfill
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.postgres import Identity
    from pipeline.postgres.session import Session

_GIVEN_BACK, _LOST_FOR = (
    2.0,
    30.0,
)  # seconds in which the backend of a killed run, or of a lost connection, lets go of the lock
_POLL = 0.1
_LOSSES = 5  # of the connection, without a batch between them
_AGAIN = "Run it again: it goes on behind the last batch that was committed."

# What may be said of a backfill, with the states in which that means something.
SAYINGS = {
    "pause": (PAUSED, (REGISTERED,)),
    "resume": (REGISTERED, (PAUSED, ABORTED)),
    "abort": (ABORTED, (REGISTERED, PAUSED)),
}


@dataclass(frozen=True)
class Backfilled:
    """Every backfill of an environment as it stands now; `worked_on` are those of this run, in order."""

    server: str
    identity: Identity
    backfills: tuple[Backfill, ...]
    worked_on: tuple[Stand, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether none is left that is to be done."""
        return not any(each.is_open for each in self.backfills)


def limits_of(checkout: Checkout) -> Limits:
    """What a run may use, as the file of the environment's stack says."""
    name = checkout.environment.name
    if not name or name == LOCAL:
        return Limits()
    said = read_stack_file(name, checkout.root)
    return Limits(said.backfill_wal_rate, said.backfill_wal_total)


def backfill(
    checkout: Checkout, *, only: str = "", seconds: float | None = None, limits: Limits | None = None
) -> Backfilled:
    """Go on with the registered backfills, one after the other, or with the one named `only`, for so many seconds at most.

    Raises:
        Refused: another run works on them, or the server is not the one that was meant.
        MigrationFileError: the checkout has not the file of one, or has it in another text; its key is none.
        MigrationFailed: a batch failed; those before it stand.
        InvalidPlan: one does not come to an end, since rows are added that are not done.
        DatabaseFailed: the server was lost, again and again.
        Interrupted: a signal arrived; the message says how it stands.
    """
    run = _Run(checkout, only, limits or Limits(), None if seconds is None else time.monotonic() + seconds)
    with as_exceptions():
        try:
            while not run.went_through():
                pass
        except SignalReceived as received:
            raise Interrupted(f"interrupted; {run.in_words()}", signal_number=received.number, remedy=_AGAIN) from None
        if run.result is None:
            raise ValueError("a run that went through has a result")
        return replace(run.result, worked_on=tuple(run.stands.values()))


def say_of_backfills(checkout: Checkout, what: str, *, only: str = "") -> Backfilled:
    """Pause, resume or abort what is registered, or the one named `only`; how they stand now.

    Who works on one hears of it with the next batch.

    Raises:
        UsageError: `only` names none.
        Refused: the server is not the one that was meant.
    """
    state, among = SAYINGS[what]
    opened = _open(checkout)
    with as_exceptions(), opened.session as session:
        admit(checkout.target, opened)
        ids = [each.id for each in _chosen(read_backfills(session), only)]
        if ids:
            session.run(set_state_sql(ids, state, among=among))
        return Backfilled(session.shown_as, opened.identity, read_backfills(session))


class _Run:
    """A run over connections that may be lost."""

    def __init__(self, checkout: Checkout, only: str, limits: Limits, until: float | None) -> None:
        self._checkout = checkout
        self._only = only
        self._limits = limits
        self._until = until
        self._losses = 0
        self.stands: dict[str, Stand] = {}
        self.result: Backfilled | None = None

    def went_through(self) -> bool:
        """Work over one connection; False where that was lost, and another one is worth a try."""
        try:
            opened = _open(self._checkout)
            with opened.session as session:
                admit(self._checkout.target, opened)
                _take_lock(session, patient=self._losses > 0)
                while self._go_on(session):
                    pass
                self.result = Backfilled(session.shown_as, opened.identity, read_backfills(session))
        except ConnectionLost as lost:
            self._losses += 1
            if self._losses > _LOSSES:
                raise DatabaseFailed(f"{lost.message}; {self.in_words()}", remedy=_AGAIN) from lost
            self._checkout.observer.note(f"{lost.message}; going on over a new one")
            return False
        return True

    def in_words(self) -> str:
        """How what was worked on stands, as far as was heard."""
        kept = "every batch that was committed is kept with its position."
        if not self.stands:
            return f"{kept} `./inv status` shows how far it is."
        stand = next(reversed(self.stands.values()))
        return f"{stand.backfill.id} was {stand.backfill.percent} % done when it was last heard of; {kept}"

    def _go_on(self, session: Session) -> bool:
        """Work on the first one that is registered; False where there is none, or the time is over.

        One that a deploy registers meanwhile may be of a later commit than this checkout.
        """
        if self._until is not None and time.monotonic() >= self._until:
            return False
        chosen = [each for each in _chosen(read_backfills(session), self._only) if each.state == REGISTERED]
        if not chosen:
            return False
        folder = self._checkout.folder()
        if self.stands and chosen[0].id not in self.stands and chosen[0].id not in folder.by_id:
            self._checkout.observer.note(f"{chosen[0].id} was registered meanwhile, and this checkout does not have it")
            return False
        file = _file_of(chosen[0], folder)
        stand = Worker(
            session, file, batched_of(file), self._limits, until=self._until, told=lambda each: self._hear(file, each)
        ).work()
        self._hear(file, stand)
        return stand.backfill.state != REGISTERED

    def _hear(self, file: MigrationFile, stand: Stand) -> None:
        self._losses = 0
        self.stands[file.id] = stand
        self._checkout.observer.backfilling(stand)


def _open(checkout: Checkout) -> Opened:
    return open_reading(
        checkout.url,
        application=f"{APPLICATION} {checkout.verb}",
        deadlines=Deadlines(),
        observer=checkout.observer,
    )


def _take_lock(session: Session, *, patient: bool) -> None:
    """The lock of those who work on backfills; `patient` where this run's own backend may still have it.

    Raises:
        Refused: somebody else works on them.
    """
    deadline = time.monotonic() + (_LOST_FOR if patient else _GIVEN_BACK)
    while session.run(f"SELECT pg_catalog.pg_try_advisory_lock({BACKFILL_KEY})")[0].rows[0][0] != "t":
        if time.monotonic() > deadline:
            holder = find_holder(session, BACKFILL_KEY) or "another session"
            raise Refused(
                f"{holder} is at work on the backfills of {session.shown_as}",
                remedy="Nothing was changed. `./inv status` shows how far it is, and `./inv backfill --pause` stops it.",
            )
        time.sleep(_POLL)


def _chosen(backfills: Iterable[Backfill], only: str) -> list[Backfill]:
    found = [each for each in backfills if not only or only in {each.id, number_of(each.id)}]
    if only and not found:
        raise UsageError(
            f"no backfill is registered under {only}",
            remedy="`./inv status` lists them; a deploy registers what is pending.",
        )
    return found


def _file_of(known: Backfill, folder: Folder) -> MigrationFile:
    file = folder.by_id.get(known.id)
    path = f"{folder.path}/{known.id}.sql"
    if file is None:
        raise MigrationFileError(
            "its backfill is not complete, and the file is missing",
            where=path,
            remedy="Check out a commit that has it; or give the backfill up: `./inv backfill --abort`.",
        )
    if file.checksum != known.checksum or file.forward.batched is None:
        raise MigrationFileError(
            "it was edited after its backfill was registered",
            where=path,
            remedy=f"Restore it (git log -p -- {path}). What has to change is a new migration.",
        )
    return file
