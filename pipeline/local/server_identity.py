"""The second half of the guard: a server that answers on loopback may still be Neon's, or anybody's, at the end of a tunnel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.deploy.claim import has_mark, read_marker, refuse_other_marker, require_claim
from pipeline.environments.guard import require_not_neon
from pipeline.postgres import COLUMNS, parse_identity
from pipeline.postgres.connect import open_session

if TYPE_CHECKING:
    from pipeline.deploy.claim import Claim
    from pipeline.environments import Environment
    from pipeline.history import Marker
    from pipeline.postgres import Identity
    from pipeline.postgres.session import Session


@dataclass(frozen=True, slots=True)
class Met:
    """An open session on a local environment's database, and what the other end said of itself."""

    session: Session
    identity: Identity
    marker: Marker | None


def open_local(environment: Environment, verb: str, *, claim: Claim | None = None) -> Session:
    """Open a session on a local environment's database after asking it who it is.

    With `claim`, for a verb that writes, it also needs a mark that says that it is local. The caller closes the session.

    Raises:
        NotLocal: the server is a Neon compute, the database says that it is another environment, or it has no mark.
        DatabaseFailed: no connection.
    """
    met = _meet(environment, verb)
    try:
        if claim is not None:
            require_claim(claim, met.session, met.identity, met.marker)
    except BaseException:
        met.session.close()
        raise
    return met.session


def is_claimed(environment: Environment, claim: Claim) -> bool:
    """Tell whether a local environment's database has a mark that says that it is local. Raises what `open_local` raises."""
    met = _meet(environment, claim.verb)
    with met.session as session:
        return has_mark(claim, session, met.identity, met.marker)


def _meet(environment: Environment, verb: str) -> Met:
    session = open_session(environment.url, application_name=f"db-pipeline {verb}")
    try:
        (who,) = session.run(f"SELECT {COLUMNS}")
        met = Met(session, parse_identity(who.rows[0]), read_marker(session))
        require_not_neon(environment, met.identity, verb)
        refuse_other_marker(met.marker, met.identity, session.shown_as)
    except BaseException:
        session.close()
        raise
    return met
