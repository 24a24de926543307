"""Whether a verb that writes to a local database may have this one.

An address proves nothing: the end of a tunnel is on loopback too. So there has to be a positive mark: the server is this
checkout's own, or the database says in its history that it is local, or it is empty. What has none is asked for by name,
once, and is marked then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.environments import LOCAL
from pipeline.errors import NotLocal
from pipeline.history import Marker
from pipeline.history.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.postgres import Identity
    from pipeline.postgres.session import Session

_HAS_MARKER = f"SELECT pg_catalog.to_regclass('{SCHEMA}.environment_marker')"
_READ_MARKER = f"SELECT environment, branch_id FROM {SCHEMA}.environment_marker"

# Nothing of anybody's: no relation, function or large object, apart from those that an extension brought.
_NOT_AN_EXTENSIONS = (
    "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = '{catalog}'::pg_catalog.regclass "
    "AND d.objid = o.oid AND d.deptype = 'e')"
)
_NOT_THE_SYSTEMS = (
    "IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')"
)
_IS_EMPTY = f"""
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_class o WHERE o.relnamespace {_NOT_THE_SYSTEMS}
                      AND o.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
                      AND {_NOT_AN_EXTENSIONS.format(catalog="pg_catalog.pg_class")})
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc o WHERE o.pronamespace {_NOT_THE_SYSTEMS}
                      AND {_NOT_AN_EXTENSIONS.format(catalog="pg_catalog.pg_proc")})
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
"""


def nobody(_: str) -> str | None:
    """Answer for a program that runs without a terminal."""
    return None


@dataclass(frozen=True)
class Claim:
    """What a verb needs to prove that a database is its own to change.

    `is_own` tells whether a session leads to the server of this checkout. `ask` puts a sentence to the person at the
    terminal and gives what was typed, or None where there is no terminal.
    """

    verb: str
    is_own: Callable[[Session], bool]
    ask: Callable[[str], str | None] = nobody


def require_claim(claim: Claim, session: Session, identity: Identity, marker: Marker | None) -> None:
    """Return where there is a positive mark, or where the person types the database's name.

    A name that was typed is kept as the mark, where the database has a history to keep it in.

    Raises:
        NotLocal: there is none, and nobody is there to ask, or another name was typed. Nothing was changed.
    """
    if has_mark(claim, session, identity, marker):
        return
    name = identity.database
    what = f"{session.shown_as} holds data, and nothing says that it is a local database"
    typed = claim.ask(
        f"{what}: it may be anybody's, at the end of a tunnel. `{claim.verb}` may drop what is in it.\n"
        f"Type the database's name to go on: "
    )
    if typed is None:
        raise NotLocal(
            what,
            remedy="Nothing was changed. If it is yours to lose, run `./inv migrate` at a terminal: it asks for the "
            "database's name once and marks it as local. An empty database, and the checkout's own server (unset "
            "DATABASE_URL), need no mark. For any other database: `./inv deploy --env NAME`.",
        )
    if typed.strip() != name:
        raise NotLocal(f"that is not the name of {session.shown_as}", remedy="Nothing was changed.")
    if session.run(_HAS_MARKER)[0].rows[0][0] is not None:
        session.run(set_marker_sql(Marker(LOCAL, "")))


def has_mark(claim: Claim, session: Session, identity: Identity, marker: Marker | None) -> bool:
    """Tell whether there is a positive mark: the database's own, the checkout's server, or nothing in it to lose."""
    is_marked = marker is not None and marker.environment == LOCAL and holds(marker, identity)
    return is_marked or claim.is_own(session) or is_empty(session)


def read_marker(session: Session) -> Marker | None:
    """Give the marker alone, whatever state the rest of the history is in."""
    if session.run(_HAS_MARKER)[0].rows[0][0] is None:
        return None
    rows = session.run(_READ_MARKER)[0].rows
    return Marker(rows[0][0] or "", rows[0][1] or "") if rows else None


def refuse_other_marker(marker: Marker | None, identity: Identity, shown: str) -> None:
    """Refuse a database that says of itself that it is another environment than the local one.

    Raises:
        NotLocal: the last deploy there gave another name.
    """
    if marker is None or not holds(marker, identity) or marker.environment == LOCAL:
        return
    raise NotLocal(
        f"{shown} says of itself that it is {marker.environment}, which is not local",
        remedy=f"Nothing was changed. `./inv deploy --env {marker.environment}` applies committed migrations there. If it is "
        f"a copy, to be used locally from now on: DELETE FROM {SCHEMA}.environment_marker, as its owner.",
    )


def holds(marker: Marker | None, identity: Identity) -> bool:
    """Tell whether a marker speaks of this server: one of another Neon branch came along with a copy of its rows."""
    return marker is not None and marker.branch_id == identity.branch_id


def is_empty(session: Session) -> bool:
    """Tell whether the database has nothing in it: no table or other relation, no function, no large object."""
    return session.run(_IS_EMPTY)[0].rows[0][0] == "t"


def set_marker_sql(marker: Marker) -> str:
    """What writes the marker."""
    return (
        f"INSERT INTO {SCHEMA}.environment_marker (environment, branch_id) "
        f"VALUES ({literal(marker.environment)}, {literal(marker.branch_id)}) "
        "ON CONFLICT (only_row) DO UPDATE SET environment = excluded.environment, branch_id = excluded.branch_id, "
        "marked_at = pg_catalog.clock_timestamp();"
    )
