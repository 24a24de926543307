"""Who the server says it is. A host name can be a tunnel's; these come from the server itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Settings that Neon writes into a compute's configuration. They belong to the compute, so a branch does not inherit its
# parent's (neondatabase/neon, compute_tools/src/config.rs).
_NEON = ("neon.project_id", "neon.branch_id", "neon.endpoint_id")

# Histories of other tools, which have to be adopted before this pipeline writes one of its own.
_OTHER_HISTORIES = ("public._yoyo_migration", "public._prisma_migrations")

COLUMNS = ", ".join(
    [
        "pg_catalog.pg_backend_pid()",
        *(f"pg_catalog.current_setting('{name}', true)" for name in _NEON),
        "pg_catalog.pg_is_in_recovery()",
        "pg_catalog.current_setting('transaction_read_only')",
        "pg_catalog.current_setting('server_version_num')",
        "current_user",
        "pg_catalog.current_database()",
        "pg_catalog.current_setting('session_replication_role')",
        *(f"pg_catalog.to_regclass('{name}')" for name in _OTHER_HISTORIES),
    ]
)

# True on a connection without a transaction-mode pooler in between. Through a pooler the pid of the start-up packet is not
# the backend's; but Neon's own proxy makes one up on direct connections too, and a Neon pooler is told by its host name.
IS_DIRECT = "(pg_catalog.pg_backend_pid() = {pid} OR pg_catalog.current_setting('neon.branch_id', true) <> '')"


@dataclass(frozen=True, slots=True)
class Identity:
    """What one look at a server tells. The Neon ids are empty on any other server."""

    project_id: str
    branch_id: str
    endpoint_id: str
    in_recovery: bool
    read_only: bool
    version: int  # as 160014
    user: str
    database: str
    replication_role: str  # "replica" where somebody switched triggers and foreign keys off
    other_history: str  # a table of another migration tool, as "_prisma_migrations", or empty

    @property
    def is_neon(self) -> bool:
        """Whether any of Neon's settings is there: then the server is never local, whatever its address."""
        return bool(self.project_id or self.branch_id or self.endpoint_id)

    @property
    def version_text(self) -> str:
        """The version as people write it, as 16.14."""
        return f"{self.version // 10000}.{self.version % 10000}"


def parse_identity(row: Sequence[str | None]) -> Identity:
    """The Identity of a row of COLUMNS."""
    _, project, branch, endpoint, recovery, read_only, version, user, database, replication_role, *others = row
    return Identity(
        project_id=project or "",
        branch_id=branch or "",
        endpoint_id=endpoint or "",
        in_recovery=recovery == "t",
        read_only=read_only == "on",
        version=int(version or 0),
        user=user or "",
        database=database or "",
        replication_role=replication_role or "",
        other_history=next((name for name in others if name), ""),
    )
