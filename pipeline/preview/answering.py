"""Which branch answers at a preview's connection strings: an address that leads elsewhere is never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from pipeline.errors import DatabaseFailed, WrongTarget
from pipeline.postgres.connect import where, without_variables

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from pipeline.neon import Branch

_SECONDS = 30


def require_branch(url: DatabaseURL, branch: Branch) -> None:
    """Log in, also through a pooler, and compare the branch that the server says it is.

    Raises:
        WrongTarget: it is another one.
        DatabaseFailed: nobody answers, or the login is refused.
    """
    settings = url.for_psycopg()
    try:
        with (
            without_variables(),
            psycopg.connect(settings.dsn, autocommit=True, connect_timeout=_SECONDS, **settings.connect) as connection,
        ):
            row = connection.execute("SELECT pg_catalog.current_setting('neon.branch_id', true)").fetchone()
    except psycopg.Error as error:
        raise DatabaseFailed(
            f"{url.user} cannot connect to {where(url)}: {str(error).splitlines()[0] if str(error) else 'no answer'}",
            remedy="The preview is deployed. Run it again: its passwords are made anew.",
        ) from None
    found = row[0] if row else None
    if found != branch.id:
        raise WrongTarget(
            f"{where(url)} is {f'the Neon branch {found}' if found else 'no Neon branch'}, and not {branch.name} ({branch.id})",
            remedy="Its connection string is not shown. Run it again; if that stays, delete the preview with --down first.",
        )
