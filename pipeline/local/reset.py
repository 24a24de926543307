"""`reset`: drop the local database and build it again from the migrations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.deploy.checkout import deploy
from pipeline.errors import ConfigurationError, PipelineError, Refused
from services import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.deploy import Report
    from pipeline.deploy.checkout import Checkout
    from pipeline.migrations import Folder

_MAINTENANCE = "postgres"  # where one connects to drop another


@dataclass(frozen=True)
class Reset:
    """What a reset would do: the database that it would drop, on which server, and the migrations that it would apply."""

    database: str
    server: str
    migrations: tuple[str, ...]


def dry_run(checkout: Checkout) -> Reset:
    """Say what `reset` would do. It refuses what `reset` would refuse, and raises what it raises."""
    folder = _sound_folder(checkout)
    _rebuild(checkout, None, lambda _: None)
    return Reset(checkout.url.database or "", _server(checkout), tuple(file.id for file in folder.files))


def reset(checkout: Checkout, *, confirm: Callable[[str], bool]) -> Report:
    """Make the local database anew with every migration of the checkout, and drop the old one once that is done.

    `confirm` is asked with a sentence that says what will be lost. Whoever is connected is disconnected. The new
    database has the old one's owner, encoding, locale and settings.

    Raises:
        InvalidPlan: a migration file is at fault; nothing was changed.
        MigrationFailed: a file fails; the old database stands.
        NotLocal: the database is not local, by its address, by what it says of itself, or because no mark says that it is.
        Refused: `confirm` said no; nothing was changed.
        DatabaseFailed: the server refused, as where the user may not make databases; the message says what stands.
    """
    _sound_folder(checkout)
    reports: list[Report] = []

    def fill(new: str) -> None:
        """Migrate the new database while the old one still stands."""
        url = checkout.url.copy_with(database=new)
        inside = replace(checkout, environment=replace(checkout.environment, url=url), verb="migrate")
        try:
            report = deploy(inside)
        except PipelineError as error:
            error.remedy = f"The database {checkout.url.database} stands as it was. {error.remedy}".rstrip()
            raise
        shown = report.server.removesuffix(new) + (checkout.url.database or "")
        reports.append(replace(report, server=shown))

    _rebuild(checkout, confirm, fill)
    return reports[0]


def _sound_folder(checkout: Checkout) -> Folder:
    """Read it, and raise for what would keep an empty database from being migrated: with the rows gone it would be too late."""
    from pipeline.migrations import raise_faults
    from pipeline.migrations.plan import make_plan

    folder = checkout.folder()
    raise_faults(make_plan(folder, {}).faults)
    return folder


def _server(checkout: Checkout) -> str:
    return f"{checkout.url.host}:{checkout.url.port or 5432} ({checkout.environment.source})"


def _rebuild(checkout: Checkout, confirm: Callable[[str], bool] | None, fill: Callable[[str], None]) -> None:
    """Look whether it may be dropped, ask, and put one in its place that `fill` has migrated. Without `confirm` it only looks."""
    from secrets import token_hex

    from pipeline.deploy.signals import as_exceptions
    from pipeline.local.rebuilding import SESSION, rebuild, shape_of
    from pipeline.local.server_identity import open_local
    from pipeline.postgres.connect import open_session

    environment, name = checkout.environment, checkout.url.database or ""
    if name in {"", _MAINTENANCE, "template0", "template1"}:
        raise ConfigurationError(
            f"the database {name or '(none)'} belongs to the server itself and is not dropped",
            remedy=f"Name another one in DATABASE_URL, such as {DATABASE}.",
        )
    maintenance = environment.url.copy_with(database=_MAINTENANCE)
    run = token_hex(6)
    with open_session(maintenance, application_name=f"{SESSION}{run}") as session:
        shape = shape_of(session, name)
        # where it is gone already, the server is asked in the other database, in which nothing will be changed
        looked_at = environment if shape is not None else replace(environment, url=maintenance)
        open_local(looked_at, "reset", claim=checkout.target.claim if shape is not None else None).close()
        if confirm is None:
            return
        if not confirm(f"Drop the database {name} on {_server(checkout)} with everything in it?"):
            raise Refused("nothing was changed", remedy="Say yes, or give --yes.")
        with as_exceptions():
            rebuild(session, name, shape, run, fill)
