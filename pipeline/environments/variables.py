"""Environment variables: those of `.env` beside those of the process, which win."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dbclient.url import DatabaseURL, InvalidDatabaseURL
from pipeline.environments.completing import completed
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

DATABASE_URL = "DATABASE_URL"

_OVERRULING = ("PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE")


def load_env_file(root: Path) -> frozenset[str]:
    """Put the lines of `.env` into the process's environment where it has no such variable, and give their names.

    Raises:
        ConfigurationError: a line cannot be read, or this machine's locale cannot hold its value.
    """
    file = root / ".env"
    if not file.is_file():
        return frozenset()
    from pipeline.environments.env_file import read_env_file

    added = {name: value for name, value in read_env_file(file, os.environ).items() if name not in os.environ}
    for name, value in added.items():
        try:
            os.environ[name] = value
        except UnicodeEncodeError as error:
            raise ConfigurationError(
                f"the value of {name} has characters that this machine's locale has not",
                where=file.name,
                remedy="Run it with PYTHONUTF8=1, or set LC_ALL to a locale with UTF-8, as C.UTF-8.",
            ) from error
    return frozenset(added)


def read_database_url() -> DatabaseURL | None:
    """Give DATABASE_URL, or None when it is unset or empty; what it leaves out is filled in as libpq would.

    Raises:
        ConfigurationError: it cannot be read, or libpq would go somewhere else than it says.
    """
    text = os.environ.get(DATABASE_URL, "").strip()
    refuse_overruling()
    if not text:
        return None
    try:
        return completed(DatabaseURL.parse(text), os.environ)
    except InvalidDatabaseURL as error:
        raise ConfigurationError(
            f"{DATABASE_URL} cannot be used: {error}",
            remedy="It looks like postgresql://user:password@host:5432/database.",
        ) from None


def require_database_url(flag: str) -> DatabaseURL:
    """Give DATABASE_URL, which a flag needs. Raises ConfigurationError as `read_database_url` does, and where it is not set."""
    url = read_database_url()
    if url is None:
        raise ConfigurationError(
            f"--{flag} needs {DATABASE_URL}, which is not set", remedy=f"Set it, or leave --{flag} out."
        )
    return url


def refuse_overruling() -> None:
    """Refuse variables that make libpq connect elsewhere than the URL says: a guard would look at the URL only."""
    for name in _OVERRULING:
        if os.environ.get(name):
            raise ConfigurationError(
                f"{name} is set: connections would go where it says instead of where the URL says",
                remedy=f"Unset it: env -u {name} ./inv …",
            )
