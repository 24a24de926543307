"""Decide, on values alone: what a concurrent statement's earlier run leaves to do, and what to say of what one left.

An INVALID unique index refuses rows although no query uses it, so what is left is told by its name in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.errors import DatabaseFailed
from pipeline.postgres.connect import SETTINGS

if TYPE_CHECKING:
    from pipeline.deploy.concurrent.observing import Found, IndexState
    from pipeline.migrations.concurrent import Concurrent
    from pipeline.migrations.script import Script

# A limit on waiting for locks would make CREATE INDEX CONCURRENTLY fail on any old transaction and leave an INVALID index,
# so there is none, but for what keeps readers waiting behind itself; the whole statement has a long limit instead.
LOCK_TIMEOUT = "0"
STATEMENT_TIMEOUT = "6h"

_THEN = "The next run drops it and builds it again"
_NOT_OURS = "It was there before the file began, so no run takes it away"


@dataclass(frozen=True, slots=True)
class Begun:
    """An earlier run of the file: what its log row says that `existed` before, and whether the file was `edited` since."""

    existed: str
    edited: bool = False

    @classmethod
    def by_a_rollback(cls, concurrent: Concurrent) -> Begun:
        """What a rollback takes for granted: an earlier try found all as the rollback file wants it."""
        return cls({"detach partition": "attached", "drop index": "the index"}.get(concurrent.kind, ""))


@dataclass(frozen=True, slots=True)
class Decision:
    """What goes before the statement (`first`, in order), and whether its effect is there (`done`) after that."""

    first: tuple[str, ...] = ()
    done: bool = False


def resume(concurrent: Concurrent, begun: Begun, found: Found, path: str) -> Decision:
    """What to do with what a run left that was cut off: only what is proven to be its own is finished or taken away.

    Raises:
        DatabaseFailed: an index of that name is not proven to be the file's.
    """
    if concurrent.kind == "drop index":
        return Decision(done=bool(begun.existed) and found.index is None)
    if not is_ours(concurrent, begun.existed):  # the statement itself finds out
        return Decision()
    if concurrent.kind == "create index" and found.index is not None:
        if begun.edited or not found.as_written:
            raise not_ours(path, concurrent, found.index)
        return Decision(done=found.index.valid, first=tuple(map(drop_sql, to_drop(concurrent, found))))
    if begun.edited:
        return Decision()
    if concurrent.kind == "detach partition":
        finish = (finalize_sql(concurrent),) if found.partition == "pending" else ()
        return Decision(finish, done=found.partition != "attached")
    return Decision(tuple(map(drop_sql, to_drop(concurrent, found))))


def is_ours(concurrent: Concurrent, existed: str) -> bool:
    """Whether what the statement leaves is its own, when the log row of its start says that this `existed` before."""
    return existed == "attached" if concurrent.kind == "detach partition" else not existed


def to_drop(concurrent: Concurrent, found: Found) -> tuple[IndexState, ...]:
    """The INVALID indexes that the statement left, to be dropped if they are its own."""
    if concurrent.kind == "create index" and found.index is not None and not found.index.valid:
        return (found.index,)
    return found.leftovers


def require_built(concurrent: Concurrent, found: Found, path: str, *, is_new: bool) -> None:
    """Nothing is recorded before the index is there, valid, and what the file says, as one is that was made just now."""
    if found.index is None or not found.index.valid or not (is_new or found.as_written):
        raise not_ours(path, concurrent, found.index)


def not_ours(path: str, concurrent: Concurrent, index: IndexState | None) -> DatabaseFailed:
    """What has the index's name is not proven to be the file's, or nothing has it."""
    if index is None:
        return DatabaseFailed(
            f"the index {concurrent.name} is not there after its statement ran",
            where=path,
            remedy="Somebody dropped it meanwhile. Run it again.",
        )
    state = "valid" if index.valid else "INVALID"
    return DatabaseFailed(
        f"an index {index.name} is there ({state}) that this file cannot be proven to have built:\n  {index.definition}",
        where=path,
        remedy=f"Look at it. If it may go: DROP INDEX CONCURRENTLY {index.name}; then run it again.",
    )


def limits_sql(script: Script, *, unlimited: bool = False) -> str:
    """What sets the limits of a concurrent statement, for the session; `unlimited`: without one on locks."""
    exclusive = script.concurrent is not None and script.concurrent.exclusive
    usual = SETTINGS["lock_timeout"] if exclusive else LOCK_TIMEOUT
    lock_timeout = LOCK_TIMEOUT if unlimited else script.settings.get("lock-timeout", usual)
    statement_timeout = STATEMENT_TIMEOUT if unlimited else script.settings.get("statement-timeout", STATEMENT_TIMEOUT)
    return f"SET lock_timeout = {literal(lock_timeout)};SET statement_timeout = {literal(statement_timeout)};"


def finalize_sql(concurrent: Concurrent) -> str:
    """What ends a DETACH PARTITION … CONCURRENTLY that was cut off."""
    return f"ALTER TABLE {concurrent.table} DETACH PARTITION {concurrent.name} FINALIZE"


def what_is_left(concurrent: Concurrent, found: Found, *, ours: bool) -> str:
    """What the statement left, for the person who deploys; "" for nothing. What is not `ours` was there before."""
    index = found.index
    if index is not None and not index.valid:
        if concurrent.kind == "create index":
            return _about(index, _THEN if ours else _NOT_OURS)
        return f"{_about(index, 'The next run drops the rest')} To have it back instead: REINDEX INDEX {index.name};"
    if found.partition == "pending":
        return (
            f"The partition {concurrent.name} is half detached: queries of {concurrent.table} no longer see its rows, and no "
            f"other partition can be detached. {_finalize_hint(concurrent, ours=ours)}"
        )
    return "\n".join(
        [_about(leftover, "The next run drops it") for leftover in found.leftovers]
        + [
            f"The index {name} is left INVALID. It costs space and nothing else, and only a superuser can drop it."
            for name in found.toast
        ]
    )


def may_have_left(concurrent: Concurrent) -> str:
    """What the statement leaves in the worst case, for when nobody can look any more; "" where it leaves nothing."""
    name = concurrent.name
    if concurrent.kind == "create index":
        enforced = ", and is enforced: it refuses rows" if concurrent.unique else ""
        return (
            f"It may have left the index {name}, which is INVALID then{enforced}. {_THEN}; "
            f"by hand: DROP INDEX CONCURRENTLY {name};"
        )
    if concurrent.kind == "drop index":
        return f"The index {name} may be INVALID now. The next run drops what is left; by hand: DROP INDEX CONCURRENTLY {name};"
    if concurrent.kind.startswith("reindex"):
        return (
            f"It may have left INVALID copies of indexes of {name}, named …_ccnew or …_ccold. The next run drops them; by hand: "
            "DROP INDEX CONCURRENTLY name;"
        )
    if concurrent.kind == "detach partition":
        return f"The partition {concurrent.name} may be half detached. {_finalize_hint(concurrent)}"
    return ""


def drop_sql(index: IndexState) -> str:
    """What drops an INVALID index without blocking anybody."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}"


def _about(index: IndexState, then: str) -> str:
    if not index.written:
        cost = "no query uses it, and it is not enforced"
    elif index.unique:
        cost = "no query uses it, and it is enforced all the same: it refuses rows"
    else:
        cost = "no query uses it, and every write pays for it"
    return f"The index {index.name} is left INVALID: {cost}. {then}; by hand: DROP INDEX CONCURRENTLY {index.name};"


def _finalize_hint(concurrent: Concurrent, *, ours: bool = True) -> str:
    then = "The next run finishes it" if ours else "It was so before the file began"
    return f"{then}; by hand: {finalize_sql(concurrent)};"
