"""A new database in the place of one that has rows: made and migrated first under another name, then put there.

So whatever keeps it from being made (no CREATEDB, a full disk, a migration that fails) is met while the old one still stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import identifier, literal
from pipeline.deploy.signals import SignalReceived
from pipeline.errors import DatabaseFailed, Interrupted, Refused
from pipeline.postgres.session import ConnectionLost, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.postgres.session import Session

SESSION = "db-pipeline reset "
"""How the session of a run names itself, with the run's id: what it has made is left alone as long as it is there."""

_PREFIX = "pipeline_reset_"
_NAME = re.compile(rf"{_PREFIX}[0-9a-f]{{12}}\Z")

# Columns of pg_database come and go with versions: what a version has not is NULL.
_SHAPE = """
SELECT pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
       pg_catalog.to_jsonb(d) ->> 'datlocprovider',
       coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
       pg_catalog.to_jsonb(d) ->> 'daticurules', t.spcname, d.datconnlimit,
       pg_catalog.shobj_description(d.oid, 'pg_database')
  FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
 WHERE d.datname = {name}
"""
_SETTINGS = """
SELECT CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) END, setting
  FROM pg_catalog.pg_db_role_setting s CROSS JOIN pg_catalog.unnest(s.setconfig) setting
 WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = {name})
"""
_LEFT = f"""
SELECT d.datname FROM pg_catalog.pg_database d
 WHERE d.datname LIKE {literal(_PREFIX + "%")} AND pg_catalog.pg_has_role(current_user, d.datdba, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
                    WHERE application_name = {literal(SESSION)} || pg_catalog.substr(d.datname, {len(_PREFIX) + 1}))
"""

# Their values are kept as lists of quoted names, so they are repeated and not quoted once more (GUC_LIST_QUOTE in
# PostgreSQL's guc_tables.c).
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)

_REMEDIES = {
    "42501": "Its user has to own it and to have CREATEDB, as the owner of the local servers does; to disconnect others it "
    "has to be a member of pg_signal_backend, and to disconnect a superuser, one itself.",
    "55006": "See who uses it: SELECT datname, pid, usename, application_name FROM pg_stat_activity; prepared transactions, "
    "replication slots and subscriptions hold a database too.",
    "53100": "The server's disk is full: make room.",
    "53300": "The server has no connection left: end some.",
    "55P03": "Another session works on it. Run it again.",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a database is apart from its contents: its owner, encoding, locale, place and settings."""

    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str  # c, i or b, as in pg_database; empty before PostgreSQL 15
    locale: str
    icu_rules: str
    tablespace: str
    connection_limit: str
    comment: str | None
    settings: tuple[tuple[str | None, str, str], ...]  # the role that it is for (None: all), its name, its value

    def create_sql(self, name: str) -> str:
        """The statement that makes an empty database of this shape."""
        options = [
            f"OWNER {identifier(self.owner)}",
            f"ENCODING {literal(self.encoding)}",
            f"LC_COLLATE {literal(self.collate)}",
            f"LC_CTYPE {literal(self.ctype)}",
            f"CONNECTION LIMIT {self.connection_limit}",
        ]
        if self.tablespace != _DEFAULT_TABLESPACE:  # naming it would take a right on it
            options.append(f"TABLESPACE {identifier(self.tablespace)}")
        if self.provider:
            options.append(f"LOCALE_PROVIDER {_PROVIDERS[self.provider]}")
        if self.locale and self.provider == "i":
            options.append(f"ICU_LOCALE {literal(self.locale)}")
        if self.locale and self.provider == "b":
            options.append(f"BUILTIN_LOCALE {literal(self.locale)}")
        if self.icu_rules:
            options.append(f"ICU_RULES {literal(self.icu_rules)}")
        return f"CREATE DATABASE {identifier(name)} TEMPLATE template0 {' '.join(options)}"


_DEFAULT_TABLESPACE = "pg_default"
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def shape_of(session: Session, name: str) -> Shape | None:
    """The shape of a database of this server, or None where there is no such database."""
    found, settings = session.run(f"{_SHAPE.format(name=literal(name))};{_SETTINGS.format(name=literal(name))}")
    if not found.rows:
        return None
    owner, encoding, collate, ctype, provider, locale, rules, tablespace, limit, comment = found.rows[0]
    return Shape(
        owner=owner or "",
        encoding=encoding or "",
        collate=collate or "",
        ctype=ctype or "",
        provider=provider or "",
        locale=locale or "",
        icu_rules=rules or "",
        tablespace=tablespace or "",
        connection_limit=limit or "-1",
        comment=comment,
        settings=tuple((role, *_split(setting or "")) for role, setting in settings.rows),
    )


def _split(setting: str) -> tuple[str, str]:
    key, _, value = setting.partition("=")
    return key, value


def rebuild(session: Session, name: str, shape: Shape | None, run: str, fill: Callable[[str], None]) -> None:
    """Put a new database in the place of `name`, whose shape was read before; None makes one where none was.

    `fill` is given the name that the new one has until the old one is gone: what it raises leaves the old one as it
    was. The session is in another database of the server and named SESSION and `run`, twelve hexadecimal digits.
    Whoever is connected to the old one is disconnected.

    Raises:
        DatabaseFailed: the server refused, and the old one stands; or it was lost.
        Refused: a setting of the old one cannot be given to the new one by this user; the old one stands.
        Interrupted: a signal arrived; the message says which of the two stands.
    """
    new = f"{_PREFIX}{run}"
    _drop_leftovers(session)
    before = _present(session, name, new).get(name)
    try:
        try:
            _make(session, new, shape)
            fill(new)
            if shape is not None:
                session.run(f"DROP DATABASE {identifier(name)} WITH (FORCE)")
        except ServerError as error:
            raise DatabaseFailed(
                f"{name} could not be made anew, and stands as it was: {error.message}",
                remedy=_REMEDIES.get(error.sqlstate, "Nothing was changed."),
            ) from error
        finally:
            _settle(session, name, new, before)
    except SignalReceived as received:
        # whichever statement it cancelled, the last one above included
        raise Interrupted(
            f"interrupted; {_settle(session, name, new, before)}", signal_number=received.number, remedy="Run it again."
        ) from None
    except ConnectionLost as lost:
        lost.remedy = "Run it again when the server answers: it makes what is missing."
        raise


def _make(session: Session, new: str, shape: Shape | None) -> None:
    if shape is None:
        session.run(f"CREATE DATABASE {identifier(new)} TEMPLATE template0")
        return
    session.run(shape.create_sql(new))
    if shape.comment is not None:
        session.run(f"COMMENT ON DATABASE {identifier(new)} IS {literal(shape.comment)}")
    for role, key, value in shape.settings:
        whose = f"ROLE {identifier(role)} IN DATABASE" if role else "DATABASE"
        try:
            session.run(f"ALTER {whose} {identifier(new)} SET {_setting(key, value)}")
        except ServerError as error:
            old = f"ALTER {whose} … RESET {key}"
            raise Refused(
                f"the database has a setting that its user may not give to a new one, {key}: {error.message}",
                remedy=f"Nothing was changed. Take it away, or run this as who gave it: {old}",
            ) from error


def _setting(key: str, value: str) -> str:
    name = ".".join(identifier(part) for part in key.split("."))
    if key.lower() in _LISTS:
        return f"{name} TO {value.replace(chr(34) * 2, chr(39) * 2) or chr(39) * 2}"
    return f"{name} TO {literal(value)}"


def _settle(session: Session, name: str, new: str, before: str | None) -> str:
    """Leave one database of that name, the new one where the old one (of the oid `before`) is gone, and say which it is."""
    present = _present(session, name, new)
    if name not in present and new in present:
        session.run(f"ALTER DATABASE {identifier(new)} RENAME TO {identifier(name)}")
        return f"{name} is new."
    if new in present:
        session.run(f"DROP DATABASE {identifier(new)} WITH (FORCE)")
    if name not in present:
        return f"there is no database {name}."
    return f"{name} stands as it was." if present[name] == before else f"{name} is new."


def _present(session: Session, *names: str) -> dict[str, str]:
    """Those of the names that are databases, with their oids."""
    listed = ", ".join(literal(each) for each in names)
    rows = session.run(f"SELECT datname, oid FROM pg_catalog.pg_database WHERE datname IN ({listed})")[0].rows
    return {name or "": oid or "" for name, oid in rows}


def _drop_leftovers(session: Session) -> None:
    """Drop what a reset that was killed has left, nobody of whose name is connected."""
    for (name,) in session.run(_LEFT)[0].rows:
        if name and _NAME.match(name):
            session.run(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")
