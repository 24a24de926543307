"""Keeps the state's list of roles and databases equal to what the branch's server says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.servers import catalog
from emulator.servers.verifier import Verifier
from emulator.state import Database, Role

if TYPE_CHECKING:
    from emulator.clock import Clock
    from emulator.computes import Computes
    from emulator.state import Branch, Project


class Mirror:
    """Reads catalogs into the state; roles and databases made in SQL show up, as they do on Neon."""

    def __init__(self, computes: Computes, clock: Clock) -> None:
        self._computes = computes
        self._clock = clock

    async def refresh(self, project: Project, branch: Branch) -> None:
        """Read if something may have changed: the server runs, or ran unwatched. Never during an operation."""
        if project.busy or branch.current_state != "ready":
            return
        if self._computes.running(branch) or not branch.synced:
            await self.read(project, branch)

    async def read(self, project: Project, branch: Branch) -> None:
        """Read, starting the server if it sleeps."""
        cluster = self._computes.cluster(branch)
        if not cluster.running:
            cluster = await self._computes.start(project, branch)
        async with await cluster.connect() as connection:
            roles = await catalog.read_roles(connection)
            databases, branch.logical_size = await catalog.read_databases(connection)
        now = self._clock.stamp()
        known_roles = {role.name: role for role in branch.roles}
        branch.roles = [known_roles.get(found.name) or Role(found.name, now, now) for found in roles]
        for role, found in zip(branch.roles, roles, strict=True):
            role.login = found.login
        known = {database.name: database for database in branch.databases}
        branch.databases = []
        for item in databases:
            database = known.get(item.name)
            if database is None:
                project.last_database_id += 1
                database = Database(project.last_database_id, item.name, item.owner, now, now)
            database.owner_name = item.owner
            branch.databases.append(database)
        branch.synced = True

    async def knows_password(self, project: Project, branch: Branch, role: Role) -> bool:
        """Whether the password that the API gave still opens the role: SQL may have set another."""
        cluster = await self._computes.start(project, branch)
        async with await cluster.connect() as connection:
            verifier = Verifier.parse(await catalog.read_verifier(connection, role.name))
        return verifier is not None and role.password is not None and verifier.fits(role.password)
