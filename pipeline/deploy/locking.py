"""The first round trip of every verb: who the server is, its lock, and its history, read after the lock was got."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from dbclient.quoting import identifier
from pipeline.deploy.notices import Notices
from pipeline.errors import BehindPooler, TimedOut
from pipeline.history import READ, READ_WITHOUT_FINGERPRINTS, History, parse_history
from pipeline.history.finding import FOUND, incomplete
from pipeline.postgres import COLUMNS, IS_DIRECT, Identity, parse_identity
from pipeline.postgres.connect import UnsupportedStartupParameter, open_session, where
from pipeline.postgres.lock import TRY, Holder, find_holder
from pipeline.postgres.session import ServerError
from pipeline.roles import Fact, parse_facts, read_facts_sql
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dbclient.url import DatabaseURL
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
    facts: tuple[Fact, ...] = ()  # of the runtime roles that were asked for

    @property
    def notices(self) -> Notices:
        """What the server says beside its answers."""
        return cast("Notices", self.session.on_notice)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long to wait, in seconds: for the server to accept a connection, and for another deploy to end."""

    connect: float = 30.0
    lock: float = 600.0


def open_locked(
    url: DatabaseURL,
    *,
    application: str,
    deadlines: Deadlines,
    observer: Observer,
    roles: Iterable[str] = (),
    before_lock: Callable[[History], None] | None = None,
) -> Opened:
    """Connect, get the lock, and read the history under it: one round trip when nobody else has the lock.

    `roles` are those that the server is asked about in the same query. `before_lock` is for work that takes long: with it
    the history is read once more, without the lock, and handed to it.

    Raises:
        BehindPooler: the connection goes through a pooler; no lock was tried.
        TimedOut: another deploy still had the lock at the deadline; the message names it.
        DatabaseFailed: no connection, or the server refused the query.
    """
    session = _open(url, application, deadlines, observer)
    try:
        if before_lock is not None:
            before_lock(_read_once(session, lock=False, roles=())[0].history)
        return _wait_for_lock(session, deadlines, observer, tuple(roles))
    except BaseException:
        session.close()
        raise


def open_reading(
    url: DatabaseURL,
    *,
    application: str,
    deadlines: Deadlines,
    observer: Observer,
    roles: Iterable[str] = (),
    fingerprints: bool = False,
) -> Opened:
    """Connect and read the history without the lock, for verbs that change nothing. Raises what `open_locked` raises.

    `fingerprints`: those of the runtime roles' passwords as well, which the role that only reads may not.
    """
    session = _open(url, application, deadlines, observer)
    try:
        opened, _ = _read_once(session, lock=False, roles=tuple(roles), fingerprints=fingerprints)
    except BaseException:
        session.close()
        raise
    return opened


def _open(url: DatabaseURL, application: str, deadlines: Deadlines, observer: Observer) -> Session:
    if url.is_pooled:
        url = url.direct()
        observer.note(f"a pooler cannot hold the lock: connecting to the direct host {url.host} instead")
    try:
        session = open_session(url, application_name=application, wait=deadlines.connect)
    except UnsupportedStartupParameter as error:
        raise _behind_pooler(where(url)) from error
    session.on_notice = Notices(observer)
    return session


def _wait_for_lock(session: Session, deadlines: Deadlines, observer: Observer, roles: Sequence[str]) -> Opened:
    started = time.monotonic()
    deadline = started + deadlines.lock
    pause = _FIRST_POLL
    told, pid = "", ""
    while True:
        opened, locked = _read_once(session, lock=True, roles=roles)
        if locked:
            return opened
        holder = find_holder(session)
        if holder:
            told = str(holder)
            if holder.pid != pid:  # how long it is connected changes with every look
                observer.waiting(told)
                pid = holder.pid
            else:
                observer.still_waiting(told, time.monotonic() - started)
        if time.monotonic() + pause > deadline:
            raise _timed_out(session.shown_as, holder, told, deadlines)
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 1.5, _LONGEST_POLL)


def _timed_out(shown: str, holder: Holder | None, told: str, deadlines: Deadlines) -> TimedOut:
    """Any role may take an advisory lock, a service's too: then no deploy is in the way, and waiting is no help."""
    if holder is None or holder.is_deploy or holder.user not in RUNTIME_ROLES:
        who = "another deploy" if holder is None or holder.is_deploy else f"a session of the role {holder.user}"
        return TimedOut(
            f"{who} has the lock of {shown} and did not end within {deadlines.lock:.0f} s: {told or 'unknown'}",
            remedy="Nothing was changed. Wait for it, or end its backend (SELECT pg_terminate_backend(…)) if it is dead.",
        )
    role = identifier(holder.user)
    return TimedOut(
        f"the role {holder.user}, which never deploys, has the deploy's lock of {shown} and did not give it back within "
        f"{deadlines.lock:.0f} s: {told}",
        remedy="Nothing was changed. The service took an advisory lock with the deploy's key: stop it, or as the owner: "
        f"GRANT {role} TO CURRENT_USER; SELECT pg_terminate_backend({holder.pid}); REVOKE {role} FROM CURRENT_USER",
    )


def _read_once(session: Session, *, lock: bool, roles: Sequence[str], fingerprints: bool = True) -> tuple[Opened, bool]:
    """One query. Its first statement tries the lock, so that the next ones read what the last holder committed."""
    direct = IS_DIRECT.format(pid=session.backend_pid)
    attempt = f"CASE WHEN {direct} THEN {TRY} END" if lock else direct
    try:
        read = READ if fingerprints else READ_WITHOUT_FINGERPRINTS
        about_roles = f"{read_facts_sql(roles)};" if roles else ""
        results = session.run(f"SELECT {attempt}, {FOUND}, {COLUMNS};{about_roles}{read}")
        history = parse_history([result.rows for result in results[2 if roles else 1 :]])
    except ServerError as error:
        if error.sqlstate != _UNDEFINED_TABLE or not error.results:
            from pipeline.deploy.failure import explain

            raise explain(error, "the history could not be read", "Nothing was changed.") from error
        # no history yet; the lock, if got, is the session's and outlives the failed query
        results, history = list(error.results), History()
    got, has_schema, tables, other_table, *identity = results[0].rows[0]
    if got is None or (not lock and got == "f"):
        raise _behind_pooler(session.shown_as)
    if has_schema == "t" and not history.exists:
        raise incomplete(tables or "", session.shown_as)
    history = replace(history, other_table=other_table or "")
    facts = parse_facts(results[1].rows) if roles and len(results) > 1 else ()
    return Opened(session, parse_identity(identity), history, facts), got == "t"


def _behind_pooler(shown: str) -> BehindPooler:
    return BehindPooler(
        f"{shown} is reached through a connection pooler, where a session's lock and settings mean nothing",
        remedy="Nothing was changed. Use the direct address of the server (on Neon: the host without -pooler).",
    )
