"""The first round trip of every verb: who the server is, its lock, and its history, read after the lock was got."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import BehindPooler, TimedOut
from pipeline.history import READ, History, parse_history
from pipeline.history.record import RUNNING
from pipeline.postgres.connect import UnsupportedStartupParameter, open_session, where
from pipeline.postgres.identity import COLUMNS, IS_DIRECT, Identity, parse_identity
from pipeline.postgres.lock import TRY, find_holder
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb.url import DatabaseURL
    from pipeline.deploy.observer import Observer
    from pipeline.postgres.session import Session

_FIRST_POLL, _LONGEST_POLL = 0.05, 1.0  # seconds
_UNDEFINED_TABLE = "42P01"


@dataclass(frozen=True)
class Opened:
    """A session, who is at its other end, and the history that it found there."""

    session: Session
    identity: Identity
    history: History


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for the server to accept a connection, and for another deploy to end."""

    connect: float = 30.0
    lock: float = 600.0


def open_locked(url: DatabaseURL, *, application: str, patience: Patience, observer: Observer) -> Opened:
    """Connect, get the lock, and read the history under it: one round trip when nobody else has the lock.

    Raises:
        BehindPooler: the connection goes through a pooler; no lock was tried.
        TimedOut: another deploy still had the lock when patience ended; the message names it.
        DatabaseFailed: no connection, or the server refused the query.
    """
    session = _open(url, application, patience, observer)
    try:
        return _wait_for_lock(session, patience, observer)
    except BaseException:
        session.close()
        raise


def open_reading(url: DatabaseURL, *, application: str, patience: Patience, observer: Observer) -> Opened:
    """Connect and read the history without the lock, for verbs that change nothing. Raises as open_locked."""
    session = _open(url, application, patience, observer)
    try:
        identity, history, _ = _look(session, lock=False)
    except BaseException:
        session.close()
        raise
    return Opened(session, identity, history)


def _open(url: DatabaseURL, application: str, patience: Patience, observer: Observer) -> Session:
    if url.is_pooled:
        url = url.direct()
        observer.note(f"a pooler cannot hold the lock: connecting to the direct host {url.host} instead")
    try:
        session = open_session(url, application_name=application, wait=patience.connect)
    except UnsupportedStartupParameter as error:
        raise _behind_pooler(where(url)) from error
    session.on_notice = _tell(observer)
    return session


def _tell(observer: Observer) -> Callable[[str, str], None]:
    def tell(sqlstate: str, text: str) -> None:
        if sqlstate == RUNNING:
            observer.running(text)
        else:
            observer.notice(text)

    return tell


def _wait_for_lock(session: Session, patience: Patience, observer: Observer) -> Opened:
    deadline = time.monotonic() + patience.lock
    pause = _FIRST_POLL
    told = ""
    while True:
        identity, history, locked = _look(session, lock=True)
        if locked:
            return Opened(session, identity, history)
        holder = str(find_holder(session) or "")
        if holder and holder != told:
            observer.waiting(holder)
            told = holder
        if time.monotonic() + pause > deadline:
            raise TimedOut(
                f"another deploy has the lock of {session.shown_as} and did not end within {patience.lock:.0f} s: "
                f"{told or 'unknown'}",
                remedy="Nothing was changed. Wait for it, or end its backend (SELECT pg_terminate_backend(…)) if it is dead.",
            )
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 1.5, _LONGEST_POLL)


def _look(session: Session, *, lock: bool) -> tuple[Identity, History, bool]:
    """One query. Its first statement tries the lock, so that the next ones read what the last holder committed."""
    direct = IS_DIRECT.format(pid=session.backend_pid)
    attempt = f"CASE WHEN {direct} THEN {TRY} END" if lock else direct
    try:
        results = session.run(f"SELECT {attempt}, {COLUMNS};{READ}")
        history = parse_history([result.rows for result in results[1:]])
    except ServerError as error:
        if error.sqlstate != _UNDEFINED_TABLE or not error.results:
            from pipeline.deploy.failure import explain

            raise explain(error, "the history could not be read", "Nothing was changed.") from error
        # no history yet; the lock, if got, is the session's and outlives the failed query
        results, history = list(error.results), History()
    got, *identity = results[0].rows[0]
    if got is None or (not lock and got == "f"):
        raise _behind_pooler(session.shown_as)
    return parse_identity(identity), history, got == "t"


def _behind_pooler(shown: str) -> BehindPooler:
    return BehindPooler(
        f"{shown} is reached through a connection pooler, where a session's lock and settings mean nothing",
        remedy="Nothing was changed. Use the direct address of the server (on Neon: the host without -pooler).",
    )
