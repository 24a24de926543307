"""The second half of the guard: a server that answers on loopback may still be Neon's, or anybody's, at the end of a tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.deploy.claim import read_marker, refuse_other_marker, require_claim
from pipeline.environments import require_not_neon
from pipeline.postgres.connect import open_session
from pipeline.postgres.identity import COLUMNS, parse_identity

if TYPE_CHECKING:
    from pipeline.deploy.claim import Claim
    from pipeline.environments import Environment
    from pipeline.postgres.session import Session


def open_local(environment: Environment, verb: str, *, claim: Claim | None = None) -> Session:
    """Open a session on a local environment's database after asking it who it is.

    With `claim`, for a verb that writes, it also needs a mark that says that it is local. The caller closes the session.

    Raises:
        NotLocal: the server is a Neon compute, the database says that it is another environment, or it has no mark.
        DatabaseFailed: no connection.
    """
    session = open_session(environment.url, application_name=f"chat-database {verb}")
    try:
        (who,) = session.run(f"SELECT {COLUMNS}")
        identity = parse_identity(who.rows[0])
        require_not_neon(environment, identity, verb)
        marker = read_marker(session)
        refuse_other_marker(marker, identity, session.shown_as)
        if claim is not None:
            require_claim(claim, session, identity, marker)
    except BaseException:
        session.close()
        raise
    return session
