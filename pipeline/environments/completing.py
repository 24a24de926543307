"""What a connection string leaves out, said as libpq would fill it in.

Whoever connects, asks or shows then speaks of the same database: libpq follows PGDATABASE and the like, other clients
follow other rules, and a sentence that is put together from the URL alone would name none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.url import InvalidDatabaseURL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbclient.url import DatabaseURL


_PROTECTION = (("PGSSLMODE", "sslmode"), ("PGSSLROOTCERT", "sslrootcert"))


def completed(url: DatabaseURL, environ: Mapping[str, str]) -> DatabaseURL:
    """Give the URL with the host, port, user and database that libpq would take for what is missing.

    They come from PGHOST, PGPORT, PGUSER and PGDATABASE; without those the user is the machine's and the database is named
    as the user (PostgreSQL manual, "Parameter Key Words"). A missing host without PGHOST stays missing: which socket
    that means is compiled into each client. So does a port without PGPORT: every client takes 5432. Where the URL says
    nothing of TLS, PGSSLMODE and PGSSLROOTCERT do: the differ, which is no client of libpq, would go without.

    Raises:
        InvalidDatabaseURL: a variable holds what no URL may.
    """
    host = url.host or ("" if url.get("hostaddr") else environ.get("PGHOST", ""))
    if not any(name.startswith(("ssl", "tls")) for name, _ in url.params):
        url = url.copy_merge_params(
            {name: environ[variable] for variable, name in _PROTECTION if environ.get(variable)}
        )
    user = url.user or environ.get("PGUSER") or _account()
    database = url.database or environ.get("PGDATABASE") or user
    return url.copy_with(host=host, port=url.port or _port(environ.get("PGPORT", "")), user=user, database=database)


def with_its_own_port(url: DatabaseURL, environ: Mapping[str, str]) -> DatabaseURL:
    """Give a stack's URL with the port that it means, where PGPORT would lead libpq to another."""
    return url if url.port or not environ.get("PGPORT") else url.copy_with(port=5432)


def _port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise InvalidDatabaseURL("PGPORT, which says the port that it leaves out, is not one number")
    return int(text)


def _account() -> str | None:
    import os
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None
