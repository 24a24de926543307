"""`baseline --through ID`: record files as applied without running them, after proving that their effect is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg

from pipeline.adopt.takeover import NO_OTHER, OtherHistory, read_other, takeover_sql
from pipeline.deploy import apply
from pipeline.deploy.failure import explain
from pipeline.deploy.locking import Deadlines, open_locked
from pipeline.deploy.observer import Observer
from pipeline.deploy.signals import stating_outcome
from pipeline.deploy.target import Target, check_target, marker_sql
from pipeline.errors import DatabaseFailed, PipelineError, SchemaDiffers, UsageError
from pipeline.history.record import Author, baseline_sql
from pipeline.history.tables import CREATE
from pipeline.migrations import Folder, raise_faults, text_faults
from pipeline.migrations.names import number_of
from pipeline.migrations.plan import make_plan
from pipeline.postgres.connect import open_psycopg
from pipeline.postgres.lock import APPLICATION
from pipeline.postgres.session import ServerError
from pipeline.schema.catalog import read_catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Session
    from pipeline.schema.catalog import Catalog

_SHOWN_DIFFERENCES = 20
_NOTHING = "nothing was recorded."
_UNKNOWN = "whether anything was recorded is not known: `./inv status` tells."


@dataclass(frozen=True)
class Adoption:
    """What was adopted, or would be: the ids that are recorded, and the tool whose history was found.

    That is "yoyo", "Prisma" or empty.
    """

    server: str
    recorded: tuple[str, ...]
    tool: str


def baseline(
    url: DatabaseURL,
    folder: Folder,
    *,
    through: str,
    scratch: DatabaseURL,
    target: Target | None = None,
    author: Callable[[], Author] = Author,
    observer: Observer | None = None,
    dry_run: bool = False,
) -> Adoption:
    """Record every file up to `through` (its id or number) as applied on the server of `url`; nothing with `dry_run`.

    `scratch` is an empty local database in which those files are run, to compare its catalog with the live one.

    Raises:
        UsageError: there is no such file.
        SchemaDiffers: the live catalog is not what the files build; nothing was changed.
        Refused: the target is not the one that was meant, or the other tool is at work.
        InvalidPlan: a file is at fault, or the database has one applied that is not among them.
        DatabaseFailed: a server refused or was lost; the message says whether anything is recorded.
        Interrupted: a signal arrived; likewise.
    """
    chosen = _chosen(folder, through)
    raise_faults(text_faults(chosen.files))
    target, observer = target or Target(), observer or Observer()
    with stating_outcome(_NOTHING):
        expected = _expected(scratch, chosen)
        opened = open_locked(url, application="db-pipeline baseline", deadlines=Deadlines(), observer=observer)
    with opened.session as session:
        with stating_outcome(_NOTHING):
            other = read_other(session, opened.identity.other_history) if not opened.history.exists else NO_OTHER
            identity = replace(opened.identity, other_history="")
            check_target(target, identity, opened.history, session.shown_as)
            applied = opened.history.applied or other.applied
            raise_faults(make_plan(chosen, applied).faults)
            _refuse_differences(expected, _live(url, session.shown_as), chosen.files[-1].id)
        missing = [file for file in chosen.files if file.id not in applied]
        unverified = [file for file in chosen.files if file.id in applied and not applied[file.id].checksum]
        if (missing or unverified) and not dry_run:
            created = _created(opened.history.exists, other)
            recorded = baseline_sql(missing, unverified, author())
            _write(session, created + recorded + marker_sql(target, opened.history, opened.identity))
    return Adoption(opened.session.shown_as, tuple(file.id for file in missing), other.tool)


def _chosen(folder: Folder, through: str) -> Folder:
    raise_faults(folder.faults)
    last = next((file for file in folder.files if through in {file.id, number_of(file.id)}), None)
    if last is None:
        raise UsageError(
            f"there is no migration {through} in {folder.path}",
            remedy="Give the id or the number of the last file whose effect the database has already.",
        )
    return Folder(folder.path, tuple(file for file in folder.files if file.id <= last.id))


def _expected(scratch: DatabaseURL, chosen: Folder) -> Catalog:
    try:
        apply(scratch, chosen, target=Target(local_only=True), verb="baseline")
        with _connected(scratch) as connection:
            return read_catalog(connection)
    except psycopg.Error as error:
        raise DatabaseFailed(f"the catalog of the scratch database could not be read: {error}") from error
    except PipelineError as error:
        # of the scratch database alone: nobody has been at the live one
        error.what = (
            f"in a scratch database, where the files are built to compare: {error.message}\nIn the live one {_NOTHING}"
        )
        error.outcome = None
        raise


def _live(url: DatabaseURL, shown: str) -> Catalog:
    try:
        with _connected(url.direct()) as connection:
            return read_catalog(connection)
    except psycopg.Error as error:
        raise DatabaseFailed(
            f"the catalog of {shown} could not be read: {error}", remedy="Nothing was changed."
        ) from error


def _connected(url: DatabaseURL) -> psycopg.Connection[tuple[object, ...]]:
    return open_psycopg(url, application_name=f"{APPLICATION} baseline", autocommit=True)


def _refuse_differences(expected: Catalog, live: Catalog, last: str) -> None:
    differences = expected.differences(live)
    if not differences:
        return
    shown = "\n".join(f"  {difference}" for difference in differences[:_SHOWN_DIFFERENCES])
    more = f"\n  … and {len(differences) - _SHOWN_DIFFERENCES} more" if len(differences) > _SHOWN_DIFFERENCES else ""
    raise SchemaDiffers(
        f"the database is not what the files through {last} build; {len(differences)} differences:\n{shown}{more}",
        remedy="Nothing was changed. Name the file that the database really is at, or bring it there first (docs/adopting.md).",
    )


def _created(exists: bool, other: OtherHistory) -> str:
    if exists:
        return ""
    return takeover_sql(other) if other.tool == "yoyo" else CREATE


def _write(session: Session, sql: str) -> None:
    try:
        with stating_outcome(_UNKNOWN):
            session.run(f"BEGIN;{sql}COMMIT")
    except ServerError as error:
        session.run("ROLLBACK")
        raise explain(error, "the history could not be written", "Nothing was changed.") from error
