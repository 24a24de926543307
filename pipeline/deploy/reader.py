"""The role that looks and does nothing else: what a job that plans connects as, where nobody has approved anything yet.

It reads the history, without the fingerprints of passwords, and the catalogs, which every role may read. It owns nothing,
has no right on any table of the services, and its transactions are read-only, whatever somebody grants to PUBLIC.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dbclient.quoting import identifier, literal
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import check_target
from pipeline.errors import DatabaseFailed, Refused
from pipeline.history.beside import READER
from pipeline.history.tables import SCHEMA
from pipeline.postgres.session import ServerError
from pipeline.roles.deviations import set_sql

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from pipeline.deploy.checkout import Checkout

_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "1min",
    "idle_in_transaction_session_timeout": "1min",
}
_CONNECTIONS = 10  # a plan and a look at drift for each of some runs at once

# Of another database of the server it may be there already; what somebody made more of is not taken over.
_MAKE = f"""
DO $make$
BEGIN
    BEGIN
        CREATE ROLE {READER} NOLOGIN;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{READER}'
                  AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls))
       OR EXISTS (SELECT FROM pg_catalog.pg_auth_members WHERE member = '{READER}'::pg_catalog.regrole) THEN
        RAISE EXCEPTION 'the role {READER} is there and may do more than look'
            USING HINT = 'Take its attributes and memberships away, or drop it; then run this again.';
    END IF;
END
$make$;
GRANT USAGE ON SCHEMA {SCHEMA} TO {READER};
GRANT SELECT ON {SCHEMA}._yoyo_version, {SCHEMA}._yoyo_migration, {SCHEMA}._yoyo_log, {SCHEMA}.environment_marker TO {READER};
GRANT SELECT (role_name, branch_id) ON {SCHEMA}.role_password TO {READER};
DO $grant$
DECLARE
    made_later text;
BEGIN
    FOREACH made_later IN ARRAY ARRAY['{SCHEMA}.rehearsals', '{SCHEMA}.backfills'] LOOP
        IF pg_catalog.to_regclass(made_later) IS NOT NULL THEN
            EXECUTE pg_catalog.format('GRANT SELECT ON %s TO {READER}', made_later);
        END IF;
    END LOOP;
END
$grant$;
"""


def make_reader(checkout: Checkout) -> DatabaseURL:
    """Make the role in a checkout's environment, or give it another password; its connection string, which holds that.

    Raises:
        Refused: no deploy has made a history there, or the target is not the one that was meant.
        DatabaseFailed: the server refused.
    """
    password = secrets.token_hex(24)
    with as_exceptions():
        opened = checkout.open_locked()
        with opened.session as session:
            check_target(checkout.target, opened.identity, opened.history, session.shown_as)
            if not opened.history.exists:
                raise Refused(
                    f"{session.shown_as} has no history yet, which {READER} is to read",
                    remedy="Nothing was changed. Deploy to it first.",
                )
            settings = "".join(f"{set_sql(READER, name, value)};" for name, value in _SETTINGS.items())
            try:
                session.run(f"BEGIN;{_MAKE}{settings}")
                # In plain text, since Neon refuses a hash; a query of its own, whose text no error of ours repeats.
                session.run(
                    f"ALTER ROLE {identifier(READER)} LOGIN CONNECTION LIMIT {_CONNECTIONS} PASSWORD {literal(password)}"
                )
                session.run("COMMIT")
            except ServerError as error:
                session.run("ROLLBACK")
                hint = error.fields.get("hint", "")
                raise DatabaseFailed(
                    f"the role {READER} could not be made: {error.fields.get('message', '')} (SQLSTATE {error.sqlstate})",
                    remedy=hint or "Nothing was changed. The role of the URL has to own the database and the history.",
                ) from None
    return checkout.url.direct().copy_with(user=READER, password=password)
