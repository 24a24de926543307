"""The local history after migrations were given other numbers: its rows follow, and nothing is run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.deploy.claim import require_claim
from pipeline.deploy.locking import Deadlines, open_locked
from pipeline.deploy.observer import Observer
from pipeline.deploy.target import Target, check_target
from pipeline.history.kept import keep_texts
from pipeline.history.record import renamed_sql
from pipeline.migrations.plan import out_of_order
from pipeline.migrations.renumbering import moved

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from pipeline.migrations import Folder


@dataclass(frozen=True, slots=True)
class Renamed:
    """What is recorded under another id now (old and new), and which pending files stand before an applied one."""

    rows: tuple[tuple[str, str], ...]
    too_early: tuple[str, ...]


def rename_in_history(
    url: DatabaseURL, folder: Folder, *, target: Target | None = None, observer: Observer | None = None
) -> Renamed:
    """Record what is applied under the id that its file has now, in one transaction, under the deploy lock.

    Raises:
        NotLocal: the database is not local.
        DatabaseFailed: no connection, or the server refused; nothing was changed.
    """
    opened = open_locked(
        url, application="db-pipeline renumber", deadlines=Deadlines(), observer=observer or Observer()
    )
    with opened.session:
        target = target or Target(local_only=True)
        check_target(target, opened.identity, opened.history, opened.session.shown_as)
        applied = dict(opened.history.applied)
        files = moved(folder, applied)
        if files:
            if target.claim is not None:
                require_claim(target.claim, opened.session, opened.identity, opened.history.marker)
            opened.session.run(renamed_sql({applied[id_]: file for id_, file in files.items()}))
            for old, file in files.items():
                applied[file.id] = replace(applied.pop(old), id=file.id, checksum=file.checksum)
            keep_texts(opened.session, folder, applied)
    early = tuple(out_of_order(folder, applied))
    return Renamed(tuple((old, file.id) for old, file in sorted(files.items())), early)
