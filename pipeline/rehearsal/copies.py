"""The branches of one rehearsal: all at one log position, and all given back however it ends, whichever thread made them.

A branch that cannot be deleted is told of, with the moment at which Neon deletes it by itself. That changes nothing about what
the rehearsal found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final, Self

from pipeline.errors import PipelineError
from pipeline.leases import Purpose, give_back, give_back_named, own_name, take, undisturbed
from pipeline.neon import ApiError, Moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dbclient.url import DatabaseURL
    from pipeline.environments.place import Parent
    from pipeline.leases import Lease
    from pipeline.neon import NeonClient

LASTS: Final = timedelta(hours=2)


@dataclass(frozen=True)
class Copy:
    """A branch of ours: the owner's connection to it, and the position and instant of production that it is a copy of."""

    url: DatabaseURL
    lsn: str
    at: datetime


class Over(PipelineError):
    """The rehearsal ended while a copy was being made."""


class Copies:
    """Makes them, and deletes them at the end of the context."""

    def __init__(self, client: NeonClient, production: Parent, tell: Callable[[str], None]) -> None:
        self._client = client
        self._production = production
        self._tell = tell
        self._lock = Lock()
        self._leases: list[Lease] = []
        self._is_over = False

    def make(self, word: str, lsn: str = "") -> Copy:
        """Make a copy of production at a log position, or as it is now; `word` says in the branch's name what it is for.

        Raises what `take` raises, and Over; then there is no such branch any more.
        """
        name, made_of = own_name(word), self._production
        source = replace(made_of.source, moment=Moment(lsn=lsn))
        try:
            lease = take(self._client, source, Purpose.REHEARSAL, name, lasts=LASTS, compute=made_of.compute)
            self._keep(lease)
        except BaseException:
            undisturbed(lambda: self._delete_named(f"{Purpose.REHEARSAL.value}/{name}"))
            raise
        branch = lease.branch
        if lease.url is None or not branch.parent_lsn or branch.parent_timestamp is None:
            raise ApiError(f"Neon does not say at which position it made {branch.name}")
        return Copy(lease.url, branch.parent_lsn, branch.parent_timestamp)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Delete what is there; what is still being made is deleted by who makes it."""
        undisturbed(self._end)

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            left, self._leases = self._leases, []
        for lease in left:
            self._delete(lease)

    def _keep(self, lease: Lease) -> None:
        with self._lock:
            if self._is_over:
                raise Over("the rehearsal is over")
            self._leases.append(lease)

    def _delete(self, lease: Lease) -> None:
        try:
            give_back(self._client, lease)
        except PipelineError as error:
            self._tell_left(lease.branch.name, error)

    def _delete_named(self, name: str) -> None:
        """Delete the branch of a name that is our own, where a call that failed has made one."""
        try:
            give_back_named(self._client, self._production.source.project_id, name)
        except PipelineError as error:
            self._tell_left(name, error)

    def _tell_left(self, name: str, error: PipelineError) -> None:
        self._tell(
            f"the branch {name} may be left ({error.what}): the next rehearsal deletes it, or Neon by itself in two hours"
        )
