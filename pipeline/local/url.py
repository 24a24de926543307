"""`url`: an environment's connection string, as each client takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.environments import resolve
from pipeline.environments.clients import render
from pipeline.errors import UsageError
from pipeline.history.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbclient.url import ClientSettings, DatabaseURL

CLIENTS = ("asyncpg", "prisma", "psycopg", "yoyo")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A connection string as text, and what its client has to be told beside it. Only `text` may hold the password."""

    text: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Rendered(…, notes={self.notes!r})"


def url(
    root: Path, name: str | None, *, client: str | None = None, show: bool = False, tell: Callable[[str], None]
) -> Rendered:
    """Give the URL of an environment, masked unless `show`; for a client, in the spelling that it accepts.

    A local server is started when it is down: its port is known only then.

    Raises:
        UsageError: there is no such client.
        ConfigurationError, NotLocal, DatabaseFailed: as `resolve`, and as `render`.
    """
    if client is not None and client not in CLIENTS:
        raise UsageError(f"there is no rendering for {client}", remedy=f"--for takes {', '.join(CLIENTS)}.")
    found = resolve(name, root=root, tell=tell).url
    if client is None:
        return Rendered(found.reveal() if show else found.masked())
    settings = settings_for(client, found)
    return Rendered(settings.dsn if show else settings.masked(), _notes(settings))


def settings_for(client: str, database: DatabaseURL) -> ClientSettings:
    """Give what a client's connect() and pool take."""
    if client == "yoyo":
        # Without it, `yoyo list` would make tables of its own in public instead of reading ours.
        return database.copy_merge_params({"schema": SCHEMA}).for_yoyo()
    return render(database, client)


def _notes(settings: ClientSettings) -> tuple[str, ...]:
    told = [
        f"{what} takes {', '.join(f'{key}={value!r}' for key, value in values.items())}"
        for what, values in (
            ("connect()", settings.connect),
            ("the pool", settings.pool),
            ("acquire()", settings.acquire),
        )
        if values
    ]
    if settings.left_out:
        told.append(f"left out, since this client has nothing like it: {', '.join(settings.left_out)}")
    return tuple(told)
