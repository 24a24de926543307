"""What a statement outside a transaction locks, seen from another session: it commits several times while it runs."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import APPLICATION
from pipeline.rehearsal.looking import (
    TABLES,
    count_now,
    lock_hold,
    look_at,
    look_from_aside,
    read_relations,
    rewrites,
    sizes,
    wal_position,
    wal_since,
)
from pipeline.rehearsal.values import StatementMeasurement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Session
    from pipeline.rehearsal.looking import Relation

_PERIOD = 0.02  # seconds between two looks


@contextmanager
def observed(
    url: DatabaseURL, pid: int, before: Mapping[str, Relation], known: Collection[str]
) -> Iterator[Observation]:
    """While inside, another session looks at what the backend `pid` has locked.

    `before` is what there is by oid, and what is not `known` is new. The observation is whole once this is left without an error.

    Raises:
        DatabaseFailed: the observing session could not be had, or was lost.
    """
    with open_session(url.direct(), application_name=f"{APPLICATION} observer") as session:
        look_from_aside(session)
        observation = Observation(session, pid, before, known)
        looking = threading.Thread(target=observation.look_until_stopped, daemon=True)
        looking.start()
        try:
            yield observation
        finally:
            observation.stop.set()
            looking.join()
        observation.finish()


class Observation:
    """What the looks have seen. A lock's time goes from the look before the first that saw it to the one after the last."""

    def __init__(self, session: Session, pid: int, before: Mapping[str, Relation], known: Collection[str]) -> None:
        self.stop = threading.Event()
        self._session = session
        self._pid = pid
        self._before = before
        self._known = known
        self._relations = dict(before)
        self._position = wal_position(session)
        self._wal_bytes = 0
        self._held: dict[tuple[str, str], float] = {}  # seconds, by oid and mode
        self._since: dict[tuple[str, str], float] = {}
        self._last_look = time.monotonic()
        self._failure: Exception | None = None
        self._rewritten: dict[str, Relation] = {}
        self._counted: dict[str, int] = {}

    def look_until_stopped(self) -> None:
        """Look again and again, and once more behind the end."""
        try:
            stopped = False
            while not stopped:
                stopped = self.stop.wait(_PERIOD)
                self._look()
        except Exception as failure:  # noqa: BLE001 - another thread raises it
            self._failure = failure

    def finish(self) -> None:
        """Compare what there is now with what there was."""
        if self._failure is not None:
            raise self._failure
        self._wal_bytes = wal_since(self._session, self._position)
        now = time.monotonic()
        for lock in list(self._since):
            self._end(lock, now)
        after = read_relations(self._session)
        files = {each.name: each.file for each in self._before.values()}
        # by name: REINDEX CONCURRENTLY puts another index in the place of the old one
        self._rewritten = {oid: each for oid, each in after.items() if files.get(each.name, each.file) != each.file}
        tables = [each.name for each in self._rewritten.values() if each.kind in TABLES]
        self._counted = {name: count_now(self._session, name) for name in tables}

    def measurement(self) -> StatementMeasurement:
        """What was seen; line and milliseconds are the caller's."""
        held = [(oid, mode, seconds) for (oid, mode), seconds in self._held.items() if oid in self._relations]
        touched = {*(oid for oid, _, _ in held), *self._rewritten}
        holds = (
            lock_hold(self._relations[oid], mode, seconds * 1000, is_new=oid not in self._known)
            for oid, mode, seconds in held
        )
        names = {each.name for each in self._before.values()}
        new_in_place = {oid for oid, each in self._rewritten.items() if each.name in names}
        return StatementMeasurement(
            line=0,
            milliseconds=0.0,
            wal_bytes=self._wal_bytes,
            locks=tuple(sorted(holds, key=lambda lock: (lock.relation, lock.mode))),
            rewrote=rewrites(self._rewritten, self._counted, {*self._known, *new_in_place}),
            tables=sizes(self._before[oid] for oid in touched if oid in self._before),
            observed=True,
        )

    def _look(self) -> None:
        started = time.monotonic()
        look = look_at(self._session, self._pid)
        self._relations |= look.relations
        for lock in look.locks:
            self._since.setdefault(lock, self._last_look)
        for lock in [lock for lock in self._since if lock not in look.locks]:
            self._end(lock, time.monotonic())
        self._last_look = started

    def _end(self, lock: tuple[str, str], now: float) -> None:
        self._held[lock] = self._held.get(lock, 0.0) + now - self._since.pop(lock)
