"""`renumber`: after a merge, the migrations of this branch get numbers behind those that were merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.check.base import is_release, read_base
from pipeline.deploy.checkout import local_checkout
from pipeline.deploy.claim import nobody
from pipeline.deploy.renaming import Renamed, rename_in_history
from pipeline.deploy.signals import as_exceptions
from pipeline.errors import PipelineError
from pipeline.generate import generation_lock
from pipeline.git import default_base
from pipeline.migrations import read_folder
from pipeline.migrations.renumbering import new_ids, rename_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.deploy.checkout import Ask
    from pipeline.deploy.observer import Observer


@dataclass(frozen=True)
class Renumbered:
    """The ids that changed (old and new), the base that they were compared with, and what became of the local history.

    `history` is None where the local database could not be asked; `why` says so.
    """

    ids: tuple[tuple[str, str], ...]
    base: str
    history: Renamed | None = None
    why: str = ""


def renumber_files(root: Path, *, base: str | None = None, chosen: Sequence[str] = ()) -> Renumbered:
    """Give the clashing migrations of this branch, or the chosen ones and what depends on them, the next free numbers.

    `base` is the branch that they will be merged into; left out, origin's main branch or main. On a release's they get the
    numbers of hotfixes. In a folder that is no git
    checkout, `chosen` says which.

    Raises:
        UsageError: git knows no such base, or an id names nothing or a merged migration.
    """
    migrations = root / "migrations"
    name = base or default_base(migrations)
    tip = read_base(migrations, name).tip if name else {}
    merged = {file.removesuffix(".sql") for file in tip if not file.endswith(".rollback.sql")}
    with generation_lock(root / ".local"):
        ids = new_ids(read_folder(migrations), merged, chosen, hotfix=is_release(name))
        rename_files(migrations, ids)
    return Renumbered(tuple(sorted(ids.items())), name)


def renumber_here(
    root: Path, *, base: str | None, chosen: Sequence[str], observer: Observer, ask: Ask = nobody
) -> Renumbered:
    """Do so, and let the local history follow. Raises what `renumber_files` raises.

    A local database that cannot be asked keeps nobody from renaming files: the next run makes up for it.
    """
    done = renumber_files(root, base=base, chosen=chosen)
    try:
        checkout = local_checkout(root, "renumber", observer=observer, ask=ask)
        with as_exceptions():
            history = rename_in_history(checkout.url, checkout.folder(), target=checkout.target, observer=observer)
    except PipelineError as error:
        return Renumbered(done.ids, done.base, None, error.message)
    return Renumbered(done.ids, done.base, history)
