"""The state of a database as two digests: of its schema, and of what its history says is applied.

One SQL text takes both, for the rehearsal on its copy and for the guard inside the query of a deploy. It depends on nothing
of the session: not on its settings, and not on its search_path. A deploy that changes no schema changes neither, nor do rows,
statistics, passwords and the numbers that sequences have reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pipeline.history import MIGRATIONS
from pipeline.history.tables import HISTORY_SCHEMAS, HISTORY_TABLES
from pipeline.kinds import IN_ROLLBACKS, union

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.migrations.plan import Applied
    from pipeline.postgres.session import Session

SCHEMA_DIGEST: Final = "pipeline.schema_digest"
HISTORY_DIGEST: Final = "pipeline.history_digest"
"""The settings in which TAKE leaves what it found, until the transaction ends."""

# By what the server prints an expression, a constant in it, or a name. JIT and nested loops: see pipeline/kinds/details.py.
_SETTINGS: Final = {
    "search_path": "",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "jit": "off",
    "enable_nestloop": "off",
}
_UNDO: Final = "MG003"

# What parse_comment makes of a comment that we wrote.
_CHECKSUM: Final = "substring(comment FROM '(?:^| )sha256=([0-9a-f]{64})(?: |$)')"
_HISTORY: Final = rf"""
SELECT pg_catalog.string_agg(coalesce(id, '') || ' ' || coalesce({_CHECKSUM}, ''), E'\n' ORDER BY coalesce(id, '') COLLATE "C")
  FROM ({MIGRATIONS}) AS h (id, recorded, applied_at, comment, username, logged_at)
 WHERE recorded
"""


@dataclass(frozen=True, slots=True)
class Digests:
    """SHA-256 in hexadecimal of a database's schema, and of the migrations that are applied there."""

    schema: str
    history: str


def history_digest(applied: Iterable[Applied]) -> str:
    """The digest of a history of which these migrations are applied: of their ids and checksums, by id."""
    lines = (f"{each.id} {each.checksum}" for each in sorted(applied, key=lambda each: each.id))
    return sha256("\n".join(lines).encode()).hexdigest()


def read_digests(session: Session, *, has_history: bool = True) -> Digests:
    """Take both digests over a session, in one query; without a history, that of an empty one.

    Raises:
        ServerError: the server refused.
    """
    settings = f"pg_catalog.current_setting('{SCHEMA_DIGEST}'), pg_catalog.current_setting('{HISTORY_DIGEST}')"
    schema, history = session.run(f"{take(has_history=has_history)}SELECT {settings}")[-1].rows[0]
    return Digests(schema or "", history or "")


class SchemaDigests:
    """Takes the digest of the schema again and again, over a session of its own: planned once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        settings = ", ".join(f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in _SETTINGS.items())
        session.run(f"SELECT {settings}")
        session.run(f"PREPARE schema_digest AS SELECT {_hashed('all_of_it')} FROM ({_schema()}) AS s (all_of_it)")

    def take(self) -> str:
        """The digest of the schema as it is now. Raises what `read_digests` raises."""
        return self._session.run("EXECUTE schema_digest")[0].rows[0][0] or ""


@cache
def take(*, has_history: bool = True) -> str:
    """The SQL that leaves both digests in their settings, and nothing else: its own settings and locks are undone.

    A view, a rule and an expression are printed under a lock of their relation, which the first file of a deploy must not
    find held by its own transaction.
    """
    settings = ", ".join(f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items())
    history = f"EXECUTE $digest_of${_HISTORY}$digest_of$ INTO history; " if has_history else ""
    return (
        "DO $digests$ DECLARE schema text; history text; BEGIN BEGIN "
        f"PERFORM {settings}; "
        f"EXECUTE $digest_of${_schema()}$digest_of$ INTO schema; {history}"
        f"RAISE SQLSTATE '{_UNDO}'; EXCEPTION WHEN SQLSTATE '{_UNDO}' THEN NULL; END; "
        f"PERFORM {_keep(SCHEMA_DIGEST, 'schema')}, {_keep(HISTORY_DIGEST, 'history')}; END $digests$;"
    )


def _schema() -> str:
    everything = union(
        IN_ROLLBACKS, ignored_schemas=HISTORY_SCHEMAS, ignored_tables=HISTORY_TABLES, for_rollback=True
    ).as_string()
    return (
        f"{everything} SELECT pg_catalog.string_agg(ROW(kind, name, definition)::text, E'\\n' "
        'ORDER BY kind COLLATE "C", name COLLATE "C", definition COLLATE "C") FROM everything'
    )


def _keep(setting: str, variable: str) -> str:
    return f"pg_catalog.set_config('{setting}', {_hashed(variable)}, true)"


def _hashed(text: str) -> str:
    return f"pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce({text}, ''), 'UTF8')), 'hex')"
