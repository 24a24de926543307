"""`reset`: drop the local database and build it again from the migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.environments import LOCAL, require_local, resolve
from pipeline.errors import ConfigurationError, DatabaseFailed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.deploy.observer import Observer
    from pipeline.deploy.run import Report
    from pipeline.environments import Environment

_MAINTENANCE = "postgres"  # where one connects to drop another


def reset(root: Path, *, confirm: Callable[[str], bool], observer: Observer) -> tuple[Environment, Report]:
    """Drop the local database, make it anew and apply every migration of the checkout.

    `confirm` is asked with a sentence that says what will be lost. Whoever is connected is disconnected.

    Raises:
        NotLocal: the database is not local, by its address or by what the server says.
        Refused: `confirm` said no; nothing was changed.
        DatabaseFailed: the server refused, as where the user may not make databases.
    """
    environment = resolve(LOCAL, root=root, tell=observer.note)
    require_local(environment, "reset")
    _rebuild(environment, confirm)

    from pipeline.deploy.entry import migrate

    return migrate(root, observer=observer)


def _rebuild(environment: Environment, confirm: Callable[[str], bool]) -> None:
    from pipeline.local.server_identity import open_local
    from pipeline.postgres.connect import where
    from pipeline.postgres.quoting import identifier
    from pipeline.postgres.session import ServerError

    name = environment.url.database or environment.url.user or ""
    if name in {"", _MAINTENANCE, "template0", "template1"}:
        raise ConfigurationError(
            f"the database {name or '(none)'} belongs to the server itself and is not dropped",
            remedy="Name another one in DATABASE_URL, such as chat.",
        )
    with open_local(environment, "reset", database=_MAINTENANCE) as session:
        if not confirm(f"Drop {where(environment.url)} ({environment.source}) with everything in it?"):
            raise Refused("nothing was changed", remedy="Say yes, or give --yes.")
        try:
            session.run(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")
            session.run(f"CREATE DATABASE {identifier(name)}")
        except ServerError as error:
            raise DatabaseFailed(
                f"{name} could not be made anew: {error.message}",
                remedy="Its user has to own it and to have CREATEDB, as chat_owner of the local servers does.",
            ) from error
