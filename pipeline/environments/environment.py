"""The value that resolving gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatdb.url import DatabaseURL
    from pipeline.environments.stack import StackOutputs


@dataclass(frozen=True, slots=True)
class Environment:
    """A database and how it was found.

    `name` is None for a bare DATABASE_URL. `source` says for people where the URL comes from. `expected` holds the
    stack's outputs when they were read, which say which server it has to be. `own`: it is the server of this checkout,
    which was asked for its address.
    """

    name: str | None
    url: DatabaseURL
    source: str
    expected: StackOutputs | None = None
    own: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the address is this machine's, or the Compose service's name as seen from a container beside it."""
        if self.url.is_local:
            return True
        from pipeline.postgres.compose import SERVICE

        return self.url.host == SERVICE and self.url.get("hostaddr") is None
