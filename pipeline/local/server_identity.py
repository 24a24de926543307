"""The second half of the guard: a server that answers on loopback may still be Neon's, at the end of a tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.environments import require_not_neon
from pipeline.postgres.connect import open_session
from pipeline.postgres.identity import COLUMNS, parse_identity

if TYPE_CHECKING:
    from pipeline.environments import Environment
    from pipeline.postgres.session import Session


def open_local(environment: Environment, verb: str, *, database: str | None = None) -> Session:
    """Open a session on a local environment's server after asking it who it is.

    `database` is another one than the environment's. The caller closes the session.

    Raises:
        NotLocal: the server is a Neon compute.
        DatabaseFailed: no connection.
    """
    url = environment.url if database is None else environment.url.copy_with(database=database)
    session = open_session(url, application_name=f"chat-database {verb}")
    try:
        (who,) = session.run(f"SELECT {COLUMNS}")
        require_not_neon(environment, parse_identity(who.rows[0]), verb)
    except BaseException:
        session.close()
        raise
    return session
