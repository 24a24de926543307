"""Keeps the state's list of roles and databases equal to what the branch's server says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from emulator.servers import catalog
from emulator.servers.verifier import Verifier
from emulator.state import Database, Role

if TYPE_CHECKING:
    from emulator.clock import Clock
    from emulator.computes import Computes
    from emulator.state import Branch, Project

    Catalogs = tuple[list[catalog.FoundRole], list[catalog.FoundDatabase], int]


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
            try:
                found = await self._catalogs(project, branch)
            except psycopg.Error:  # it was stopped meanwhile: what is known is told, and read anew the next time
                branch.synced = False
                return
            if not project.busy:  # else an operation has begun meanwhile, which reads anew when it is done
                self._take(project, branch, found)

    async def read(self, project: Project, branch: Branch) -> None:
        """Read, starting the server if it sleeps."""
        self._take(project, branch, await self._catalogs(project, branch))

    async def _catalogs(self, project: Project, branch: Branch) -> Catalogs:
        cluster = self._computes.cluster(branch)
        if not cluster.available:  # asleep, or still starting
            cluster = await self._computes.start(project, branch)
        async with await cluster.connect() as connection:
            return await catalog.read_roles(connection), *await catalog.read_databases(connection)

    def _take(self, project: Project, branch: Branch, found: Catalogs) -> None:
        roles, databases, branch.logical_size = found
        now = self._clock.stamp()
        known_roles = {role.name: role for role in branch.roles}
        branch.roles = [known_roles.get(seen.name) or Role(seen.name, now, now) for seen in roles]
        for role, seen in zip(branch.roles, roles, strict=True):
            role.login = seen.login
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
        """Whether the password that the API gave still opens the role: SQL may have set another.

        It is believed where the server cannot be asked, since it is being stopped.
        """
        cluster = await self._computes.start(project, branch)
        try:
            async with await cluster.connect() as connection:
                verifier = Verifier.parse(await catalog.read_verifier(connection, role.name))
        except psycopg.Error:
            return True
        return verifier is not None and role.password is not None and verifier.fits(role.password)
