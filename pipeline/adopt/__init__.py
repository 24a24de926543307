"""Taking over a database that another tool migrated: its catalog must be what our files would build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.adopt.baseline import baseline
from pipeline.deploy.signals import as_exceptions
from pipeline.environments.local import LocalServers
from pipeline.schema.shadows import open_shadows

if TYPE_CHECKING:
    from pipeline.adopt.baseline import Adoption
    from pipeline.deploy.checkout import Checkout


def adopt(checkout: Checkout, through: str, *, dry_run: bool = False) -> Adoption:
    """Adopt an environment's database through a migration, with a shadow on the local server to build the files in.

    A `dry_run` gives what would be recorded, and records nothing.

    Raises what `baseline`, `Checkout.author` and `LocalServers.start` raise.
    """
    folder = checkout.folder()
    author = checkout.author(folder)
    with (
        as_exceptions(),
        open_shadows(LocalServers(checkout.root, tell=checkout.observer.note).start().url) as shadows,
    ):
        return baseline(
            checkout.url,
            folder,
            through=through,
            scratch=shadows.create("baseline"),
            target=checkout.target,
            author=lambda: author,
            observer=checkout.observer,
            dry_run=dry_run,
        )
