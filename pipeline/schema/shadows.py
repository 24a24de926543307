"""Shadow databases: short-lived ones on the local server, named and marked so that a crash leaves nothing for good.

Each run keeps one session open whose application_name carries the run's id. A database that is named for a run with no
such session belongs to nobody any more, and the next run drops it; one of a run that still goes on is left alone.
"""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.errors import ConfigurationError, Refused
from pipeline.postgres.connect import open_session, where
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Session

_PREFIX = "pipeline_shadow_"
_SESSION = "db-pipeline shadow "
# The only setting of a shadow that no migration made: a crash may cost it everything.
SETTING = ("synchronous_commit", "off")
_MARK = "A shadow database of the migration pipeline: dropped at any time"
_NAME = re.compile(rf"{_PREFIX}(?P<run>[0-9a-f]{{12}})_[a-z0-9_]+\Z")

# Owned by us, named and marked as ours, and of a run that nobody's session speaks for. One without a comment was left
# behind between CREATE DATABASE and COMMENT.
_LEFTOVERS = f"""
SELECT d.datname FROM pg_database d
 WHERE d.datname LIKE {literal(_PREFIX + "%")} AND pg_get_userbyid(d.datdba) = current_user
   AND coalesce(shobj_description(d.oid, 'pg_database'), {literal(_MARK)}) = {literal(_MARK)}
   AND NOT EXISTS (SELECT FROM pg_stat_activity
                    WHERE application_name = {literal(_SESSION)} || substr(d.datname, {len(_PREFIX) + 1}, 12))
"""
_IS_EMPTY = """
SELECT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace NOT IN (SELECT oid FROM pg_namespace
                     WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast')))
   AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema'))
   AND NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
   coalesce(shobj_description((SELECT oid FROM pg_database WHERE datname = current_database()), 'pg_database'), '')
"""


class Shadows:
    """The shadow databases of one run."""

    def __init__(self, session: Session, server: DatabaseURL, run: str) -> None:
        self.session = session
        self._server = server
        self._run = run
        self._made: list[str] = []

    def create(self, purpose: str) -> DatabaseURL:
        """Create an empty database; `purpose` becomes a part of its name."""
        return self._create(purpose, "template0")

    def clone(self, original: DatabaseURL, purpose: str) -> DatabaseURL:
        """Create a copy of a shadow that nobody is connected to."""
        return self._create(purpose, str(original.database))

    def drop_all(self) -> None:
        """Drop what this run has made: all at once, for each drop waits for a checkpoint, and theirs become one."""
        if not self._made:
            return
        with ThreadPoolExecutor(max_workers=min(8, len(self._made))) as pool:
            list(pool.map(self._drop, self._made))
        self._made.clear()

    def _drop(self, name: str) -> None:
        with open_session(self._server, application_name="db-pipeline shadows") as session:
            session.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _create(self, purpose: str, template: str) -> DatabaseURL:
        name = f"{_PREFIX}{self._run}_{purpose}_{len(self._made)}"
        self._made.append(name)
        try:
            self.session.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        except ServerError as error:
            if error.sqlstate == "42501":
                raise ConfigurationError(
                    f"the role {self._server.user} may not create databases on {where(self._server)}",
                    remedy="A shadow database needs CREATEDB. Name another server in SHADOW_DATABASE_URL.",
                ) from error
            raise
        # what is in it need not outlive the machine
        self.session.run(
            f'COMMENT ON DATABASE "{name}" IS {literal(_MARK)}; ALTER DATABASE "{name}" SET {SETTING[0]} = {SETTING[1]}'
        )
        return self._server.copy_with(database=name)


@contextmanager
def open_shadows(local: DatabaseURL, shadow: DatabaseURL | None = None) -> Iterator[Shadows]:
    """Open a run: clean up after crashed ones, and drop this one's databases at its end, however it ends.

    They are made on `shadow`'s server (SHADOW_DATABASE_URL) when that is given, else on the local one.

    Raises:
        Refused: `shadow` holds tables, and does not carry our mark: it may be somebody's database.
        ConfigurationError: the role may not create databases.
        ConnectFailed: the server does not answer.
    """
    server = shadow or local
    run = secrets.token_hex(6)
    with open_session(server, application_name=f"{_SESSION}{run}") as session:
        if shadow is not None:
            _claim(session, shadow)
        _clean_up(session)
        shadows = Shadows(session, server, run)
        try:
            yield shadows
        finally:
            shadows.drop_all()


def _claim(session: Session, shadow: DatabaseURL) -> None:
    empty, mark = session.run(_IS_EMPTY)[0].rows[0]
    if mark != _MARK and empty != "t":
        raise Refused(
            f"SHADOW_DATABASE_URL leads to {where(shadow)}, which is not empty and is not marked as a shadow database",
            remedy="Nothing was changed. Create an empty database for it, and never name one that holds data.",
        )
    if mark != _MARK:
        session.run(f'COMMENT ON DATABASE "{shadow.database}" IS {literal(_MARK)}')


def _clean_up(session: Session) -> None:
    for (name,) in session.run(_LEFTOVERS)[0].rows:
        if name and _NAME.match(name):
            session.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
