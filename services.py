"""The services that use the database: everything that has to know them reads this list.

From an entry follow the role's password and connection string in `infra/` (outputs such as `server_database_url`), LOGIN
and limits of the role at a deploy, `./inv env --for NAME`, and what lint and the generator ask for a new table's grants.
The role itself is made by a migration, as in migrations/0004_runtime_roles.sql. docs/services.md has the steps.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Service(NamedTuple):
    """A service: how people call it, the role that it connects as, and how it takes a connection string."""

    name: str
    role: str
    client: Literal["asyncpg", "prisma", "psycopg"]

    @property
    def url_output(self) -> str:
        """The stack's output with its connection string, pooled, as its role."""
        return f"{self.role}_database_url"

    @property
    def password_version(self) -> str:
        """The setting in Pulumi.STACK.yaml whose change makes a new password."""
        first, *rest = self.role.split("_")
        return f"{first}{''.join(word.title() for word in rest)}PasswordVersion"


SERVICES = (
    Service("server", role="server", client="prisma"),
    Service("ai-service", role="ai_service", client="asyncpg"),
)

RUNTIME_ROLES = tuple(service.role for service in SERVICES)
