"""`baseline` by the name of an environment, with a shadow on the local server to build the files in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.adopt.baseline import baseline
from pipeline.deploy.entry import author_by_environment, target_of
from pipeline.deploy.signals import as_exceptions
from pipeline.environments import resolve
from pipeline.environments.local import LocalServers
from pipeline.migrations import read_folder
from pipeline.schema.shadows import open_shadows

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.adopt.baseline import Adoption
    from pipeline.deploy.observer import Observer


def adopt(root: Path, name: str | None, through: str, *, observer: Observer, uncommitted: bool = False) -> Adoption:
    """Adopt an environment's database through a migration. `uncommitted` files are refused otherwise.

    Raises what `baseline`, `author_of_committed` and `resolve` raise.
    """
    environment = resolve(name, root=root, tell=observer.note)
    folder = read_folder(root / "migrations")
    author = author_by_environment(folder, environment, uncommitted=uncommitted)()
    with (
        as_exceptions(),
        open_shadows(LocalServers(root, tell=observer.note).start().url) as shadows,
    ):
        return baseline(
            environment.url,
            folder,
            through=through,
            scratch=shadows.create("baseline"),
            target=target_of(environment),
            author=lambda: author,
            observer=observer,
        )
