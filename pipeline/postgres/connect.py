"""Opening a session: direct, with its settings in the start-up packet, and a deadline within which a server may wake up."""

from __future__ import annotations

import os
import random
import re
import select
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbclient.quoting import start_up_option
from pipeline.errors import ConfigurationError, DatabaseFailed, PipelineError
from pipeline.postgres.libpq import OperationalError, conninfo_to_dict, make_conninfo, pq
from pipeline.postgres.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from dbclient.url import DatabaseURL

# They come in the start-up packet and not as SET: RESET ALL between two files returns to them, and a pooler, which could
# not keep them, refuses them. The second half is every setting that a role or a database may have and that changes
# what a file means or what it stores, in PostgreSQL 14 to 18; the values are those of a fresh server. A test goes through
# the server's own list.
SETTINGS: Mapping[str, str] = {
    "lock_timeout": "2s",
    "statement_timeout": "15min",
    "idle_session_timeout": "10min",
    "idle_in_transaction_session_timeout": "1min",
    # a killed client's statement stops within this time instead of running, and committing, to its end
    "client_connection_check_interval": "200ms",
    "client_encoding": "UTF8",
    "client_min_messages": "notice",
    "exit_on_error": "off",
    # how text is read
    "search_path": "public",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "timezone_abbreviations": "Default",
    "xmloption": "content",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "default_text_search_config": "pg_catalog.english",
    # how values become text
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    "xmlbinary": "base64",
    # what statements do
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "on",
    "gin_fuzzy_search_limit": "0",
    "check_function_bodies": "on",
    "plpgsql.check_asserts": "on",
    "plpgsql.extra_errors": "none",
    # what new objects are like
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "password_encryption": "scram-sha-256",
}

# libpq sends these as settings of their own, which the server takes after, and so instead of, those above.
_SENT_BY_LIBPQ = ("PGTZ", "PGDATESTYLE", "PGGEQO")
_ENVIRONMENT = threading.Lock()

# A statement may be silent for hours, and networks forget connections that are silent for minutes: without these, nobody
# would ever learn that the server, or the way to it, is gone.
_KEEPALIVES = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "90000",
}

_REFUSED_WAIT = 5.0  # seconds that a port where nothing listens is tried again: a server may be restarting
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between two tries

# The message is all that libpq gives of a failed start-up. These say that another try may do.
_REFUSED = re.compile(r"connection refused|no such file or directory", re.IGNORECASE)
_TRANSIENT = re.compile(
    r"starting up|shutting down|not yet accepting connections|server closed the connection unexpectedly|"
    r"timeout expired|connection reset|too many (clients|connections)|remaining connection slots|compute is not ready|"
    r"could not receive data|in recovery mode|broken pipe|ssl syscall error|terminating connection due to",
    re.IGNORECASE,
)
_ADDED = re.compile(r"\s|DETAIL:|HINT:")
_POOLER = re.compile(r"unsupported startup parameter", re.IGNORECASE)


class ConnectFailed(DatabaseFailed):
    """No session came about."""


class UnsupportedStartupParameter(ConnectFailed):
    """What answered does not take start-up settings, as a pooler does not."""


def open_session(url: DatabaseURL, *, application_name: str, wait: float = 30.0) -> Session:
    """Connect, trying again for up to `wait` seconds while the server starts or wakes up.

    Raises:
        ConfigurationError: the URL cannot be used.
        ConnectFailed: the server refused, or did not answer in time.
    """
    conninfo = conninfo_with_settings(url, application_name=application_name)
    started = time.monotonic()
    pause = _FIRST_PAUSE
    while True:
        try:
            with without_variables():
                return Session(_connect(conninfo, started + wait), shown_as=where(url))
        except OperationalError as error:
            waited = time.monotonic() - started
            message = _message(error)
            deadline = _REFUSED_WAIT if _REFUSED.search(message) else wait if _TRANSIENT.search(message) else 0.0
            if waited + pause > min(deadline, wait):
                raise _failed(url, message, waited) from error
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, _LONGEST_PAUSE)


def open_psycopg(
    url: DatabaseURL,
    *,
    application_name: str,
    autocommit: bool = False,
    prepare_threshold: int | None = 5,
    settings: Mapping[str, str] | None = None,
) -> psycopg.Connection[Any]:
    """Connect once, with psycopg and the settings of a deploy: those of a role change how a server writes definitions.

    Raises:
        ConfigurationError: the URL cannot be used.
        psycopg.Error: the server refused, or is not there.
    """
    import psycopg

    conninfo = conninfo_with_settings(url, application_name=application_name, **(settings or {}))
    with without_variables():
        return psycopg.connect(conninfo, autocommit=autocommit, prepare_threshold=prepare_threshold)


def where(url: DatabaseURL) -> str:
    """The server and the database, as people name them."""
    port = f":{url.port}" if url.port else ""
    return f"{url.host}{port}/{url.database or ''}"


def conninfo_with_settings(url: DatabaseURL, *, application_name: str, **more: str) -> str:
    """What libpq is given for a session of ours: with SETTINGS, and `more` settings.

    Raises:
        ConfigurationError: the URL cannot be used.
    """
    rendered = url.for_psycopg()
    given = conninfo_to_dict(rendered.dsn, **{key: str(value) for key, value in rendered.connect.items() if value})
    schema = dict(url.params).get("schema", "public")
    if schema not in {"", "public"}:
        raise ConfigurationError(
            f"the URL names the schema {schema!r}, and the tables of this repository are in public",
            remedy="Remove `schema` from the URL, or write schema=public.",
        )
    if "neon." in str(given.get("options") or "").replace("\\", "").lower():
        raise ConfigurationError(
            "the URL's options set a neon.… setting: who the server is, it says itself",
            remedy="Remove that setting from the URL's options.",
        )
    options = " ".join(start_up_option(name, value) for name, value in {**SETTINGS, **more}.items())
    given["options"] = f"{given.get('options') or ''} {options}".strip()
    given["application_name"] = application_name
    given["client_encoding"] = SETTINGS["client_encoding"]  # else PGCLIENTENCODING, or the URL's, would come after ours
    return make_conninfo("", **_KEEPALIVES | given)


@contextmanager
def without_variables() -> Iterator[None]:
    """While inside, libpq does not see the environment's variables that would replace a setting of ours.

    One thread at a time: the environment is the process's.
    """
    with _ENVIRONMENT:
        hidden = {name: os.environ.pop(name) for name in _SENT_BY_LIBPQ if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(hidden)


def _connect(conninfo: str, deadline: float) -> pq.abc.PGconn:
    connection = pq.PGconn.connect_start(conninfo.encode())
    while True:
        if connection.status == pq.ConnStatus.BAD:
            raise OperationalError(connection.get_error_message())
        state = connection.connect_poll()
        if state == pq.PollingStatus.OK:
            return connection
        if state == pq.PollingStatus.FAILED:
            raise OperationalError(connection.get_error_message())
        poll = select.poll()
        poll.register(connection.socket, select.POLLIN if state == pq.PollingStatus.READING else select.POLLOUT)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise OperationalError("timeout expired")


def _message(error: OperationalError) -> str:
    """What went wrong at the last address that libpq tried.

    Its advice stands in lines that begin with a tab, and what the server adds to its message in lines of their own.
    """
    lines = [line.strip() for line in str(error).splitlines() if line and not _ADDED.match(line)]
    return lines[-1] if lines else "no answer"


def _failed(url: DatabaseURL, message: str, waited: float) -> PipelineError:
    if _POOLER.search(message):
        return UnsupportedStartupParameter(message)
    text = f"no connection to {where(url)}: {message}"
    if waited >= 1:
        text += f" (tried for {waited:.0f} s)"
    if _REFUSED.search(message):
        remedy = (
            "Nothing listens there. Is the server running, and is the port right? `./inv doctor` shows the local ones."
        )
    elif "authentication" in message or "password" in message:
        remedy = "The user or the password is wrong. A rotated password is in the stack after `pulumi up --refresh`."
    elif "does not exist" in message:
        remedy = "Create it first, or correct the URL."
    else:
        remedy = "Nothing was changed. Run it again when the server answers."
    return ConnectFailed(text, remedy=remedy)
