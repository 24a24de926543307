"""The two front doors of each endpoint: the direct one and the pooled one, on ports that stay the same for its life."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.front_door import FrontDoor
from emulator.front_door.pooler import Pooler, find_pooler, refuse_options, remove_leftover

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.certificates import ServerTls
    from emulator.computes import Computes
    from emulator.state import Endpoint, Project
    from servers.account import Account

_PORTS = range(20_000, 30_000)  # below the range from which systems lend ports, so a door finds its own again


@dataclass(frozen=True)
class _Doors:
    direct: FrontDoor
    pooled: FrontDoor
    pooler: Pooler | None

    async def open(self) -> None:
        await self.direct.open()
        try:
            await self.pooled.open()
        except OSError:
            await self.direct.close()
            raise

    async def close(self) -> None:
        await self.direct.close()
        await self.pooled.close()
        if self.pooler is not None:
            await self.pooler.close()

    async def drop_connections(self) -> None:
        await self.direct.drop_connections()
        await self.pooled.drop_connections()


class Doors:
    """All doors of a data folder."""

    def __init__(
        self, folder: Path, account: Account, password: str, tls: ServerTls, computes: Computes, domain: str
    ) -> None:
        self._poolers = folder / "poolers"
        self._poolers.mkdir(mode=0o755, exist_ok=True)
        self._pooler_program = find_pooler()
        self._account = account
        self._password = password
        self._tls = tls
        self._domain = domain
        self._computes = computes
        self._open: dict[str, _Doors] = {}

    def sweep(self) -> None:
        """Remove the poolers of a killed emulator, also those of endpoints that nobody knows any more."""
        for folder in self._poolers.iterdir():
            remove_leftover(folder, self._account)

    async def open(self, project: Project, endpoint: Endpoint) -> None:
        """Listen for an endpoint: on its own ports, or on new ones the first time. OSError when they are taken."""
        if endpoint.id in self._open:
            return
        endpoint.domain = self._domain
        for port in [endpoint.port] if endpoint.port else random.sample(_PORTS, 50):
            doors = self._make(project, endpoint, port)
            try:
                await doors.open()
            except OSError as taken:
                if endpoint.port:
                    raise OSError(
                        f"port {port} or {port + 1} of the endpoint {endpoint.id} is taken: {taken}"
                    ) from taken
            else:
                endpoint.port, endpoint.pooler_port = port, port + 1
                self._open[endpoint.id] = doors
                return
        raise OSError("no free port for a front door")

    def _make(self, project: Project, endpoint: Endpoint, port: int) -> _Doors:
        pooler = None
        if self._pooler_program is not None:
            pooler = Pooler(self._pooler_program, self._poolers / endpoint.id, self._account, self._password)

        async def wake() -> int:
            return await self._computes.wake(project, endpoint)

        async def wake_pooler() -> int:
            server_port = await wake()
            return server_port if pooler is None else await pooler.start(port)

        async def verifier(role: str) -> str | None:
            return await self._computes.verifier(project, endpoint, role)

        def touch() -> None:
            self._computes.touch(endpoint.branch_id)

        pooled = FrontDoor(port + 1, self._tls, wake_pooler, touch, verifier, refuse=refuse_options)
        direct = FrontDoor(port, self._tls, wake, touch, verifier, pooled=pooled)
        return _Doors(direct, pooled, pooler)

    async def close(self, endpoint: Endpoint) -> None:
        """Stop listening for an endpoint and drop its clients."""
        doors = self._open.pop(endpoint.id, None)
        if doors is not None:
            await doors.close()

    async def drop_connections(self, endpoint: Endpoint) -> None:
        """End the sessions of an endpoint's clients, as applying a configuration does."""
        doors = self._open.get(endpoint.id)
        if doors is not None:
            await doors.drop_connections()

    async def close_all(self) -> None:
        """Stop listening altogether."""
        for doors in list(self._open.values()):
            await doors.close()
        self._open.clear()
