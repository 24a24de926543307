"""Computes: the server of each branch, woken on demand and suspended when idle.

A branch has one data directory and so one server. An endpoint is the door to it (doors.py); the server also runs without
one while the control plane needs it, to read roles or as the parent of a new branch.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import TYPE_CHECKING

import psycopg

from emulator.front_door import Closed
from emulator.servers import Cluster, ServerFailed
from emulator.servers.catalog import count_busy_sessions, read_verifier
from emulator.servers.template import Template
from servers import installation
from servers.version import nearest_major, wanted_major

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from emulator.clock import Clock
    from emulator.state import Branch, Endpoint, Project
    from servers.account import Account

TEMPLATE = "template"
"""The folder of the empty cluster that projects start as."""

_DEFAULT_SUSPEND = 300
_LEFTOVER_SECONDS = 30.0
_FULL = "sorry, too many clients already"


class NoPrograms(Exception):
    """PostgreSQL's programs are not installed."""


class Computes:
    """All servers and doors of a data folder."""

    def __init__(self, folder: Path, account: Account, password: str, clock: Clock) -> None:
        self.root = folder.resolve()
        self.account = account
        self.major = _major(folder / TEMPLATE)
        self.programs = _programs(self.major, account, folder / "postgresql")
        self._branches = self.root / "branches"
        self._branches.mkdir(mode=0o755, exist_ok=True)
        self.password = password
        self._clock = clock
        self._template = Template(self.root / TEMPLATE, self.programs, account, password)
        self._clusters: dict[str, Cluster] = {}
        self._used: dict[str, float] = {}

    def cluster(self, branch: Branch) -> Cluster:
        """The server of a branch, running or not."""
        if branch.timeline not in self._clusters:
            self._clusters[branch.timeline] = self.spare(self.folder(branch.timeline))
        return self._clusters[branch.timeline]

    def folder(self, timeline: str) -> Path:
        """Where the data of a timeline is."""
        return self._branches / timeline

    def spare(self, folder: Path) -> Cluster:
        """The server of a folder that is no branch's (yet)."""
        return Cluster(folder, self.programs, self.account, self.password)

    def running(self, branch: Branch) -> bool:
        """Whether the server of a branch runs."""
        return self.cluster(branch).running

    async def create(self, branch: Branch) -> None:
        """Give a root branch an empty cluster."""
        cluster = self.cluster(branch)
        if cluster.running:
            return
        self.account.make_folder(cluster.folder)
        await self._template.copy_to(cluster.data)

    async def start(self, project: Project, branch: Branch) -> Cluster:
        """The running server of a branch."""
        cluster = self.cluster(branch)
        self.touch(branch.id)
        if cluster.available:
            return cluster  # without the lock, which a copy of this branch may hold for long
        async with cluster.lock:
            if not cluster.running:
                await cluster.start(_identity(project, branch))
        return cluster

    async def stop(self, project: Project, branch: Branch) -> None:
        """Suspend the server of a branch."""
        cluster = self.cluster(branch)
        async with cluster.lock:
            await cluster.suspend()
        for endpoint in project.endpoints_of(branch):
            if endpoint.current_state == "active":
                endpoint.current_state = "idle"
                endpoint.suspended_at = self._clock.stamp()

    async def restart(self, project: Project, branch: Branch) -> None:
        """Let a running server take new settings; a sleeping one takes them when it wakes."""
        cluster = self.cluster(branch)
        async with cluster.lock:
            if cluster.running:
                await cluster.suspend()
                await cluster.start(_identity(project, branch))

    async def adopt(self, branch: Branch) -> bool:
        """Find the server that a killed emulator left running."""
        return await self.cluster(branch).adopt()

    async def discard(self, timeline: str) -> None:
        """Stop the server of a timeline that is no branch's any more."""
        cluster = self._clusters.pop(timeline, None) or self.spare(self.folder(timeline))
        async with cluster.lock:
            await cluster.adopt()
            await cluster.stop(immediate=True)

    async def remove(self, timeline: str) -> None:
        """Delete the data of a timeline for good."""
        await self.discard(timeline)
        shutil.rmtree(self.folder(timeline), ignore_errors=True)

    async def wake(self, project: Project, endpoint: Endpoint) -> int:
        """The port of an endpoint's server, started if need be; Closed when it takes no connections."""
        branch = project.branches.get(endpoint.branch_id)
        if branch is None or branch.deleted_at is not None:
            raise Closed("the branch of this endpoint was deleted")
        if endpoint.disabled:
            raise Closed(f"the endpoint {endpoint.id} is disabled; enable it through Neon's API and try again")
        if branch.current_state != "ready":
            raise Closed("the branch of this endpoint is not ready yet")
        try:
            cluster = await self.start(project, branch)
        except ServerFailed as failure:
            raise Closed(f"the compute did not start: {failure}") from failure
        self.mark_active(endpoint)
        return cluster.port

    async def verifier(self, project: Project, endpoint: Endpoint, role: str) -> str | None:
        """What an endpoint's server checks a role's password against; Closed when it cannot be asked."""
        branch = project.branches.get(endpoint.branch_id)
        if branch is None:
            raise Closed("the branch of this endpoint was deleted")
        try:
            async with await self.cluster(branch).connect() as connection:
                return await read_verifier(connection, role)
        except psycopg.Error as error:
            if _FULL in str(error):  # the client would have heard it of the server itself
                raise Closed(_FULL, "53300") from error
            raise Closed(f"the compute went away: {error}") from error

    def mark_active(self, endpoint: Endpoint) -> None:
        """Note that an endpoint is awake."""
        if endpoint.current_state != "active":
            endpoint.current_state, endpoint.started_at = "active", self._clock.stamp()
        endpoint.last_active = self._clock.stamp()

    def touch(self, branch_id: str) -> None:
        """Note that the server of a branch is being used."""
        self._used[branch_id] = self._clock.now().timestamp()

    async def is_idle(self, project: Project, branch: Branch) -> bool:
        """Whether the server of a branch has been unused for its suspend time-out. Idle connections do not count."""
        endpoints = [endpoint for endpoint in project.endpoints_of(branch) if endpoint.current_state == "active"]
        limit = max((_suspend_after(project, endpoint) for endpoint in endpoints), default=_LEFTOVER_SECONDS)
        now = self._clock.now().timestamp()
        if now - self._used.setdefault(branch.id, now) < limit or self.cluster(branch).lock.locked():
            return False
        async with await self.cluster(branch).connect() as connection:
            busy = await count_busy_sessions(connection)
        if busy:
            self.touch(branch.id)
        return busy == 0

    async def sweep(self, known: Collection[str]) -> None:
        """Remove what a killed emulator left of branches that are not in the state any more."""
        for folder in self._branches.iterdir():
            if folder.name not in known:
                cluster = self.spare(folder)
                await cluster.adopt()
                await cluster.stop(immediate=True)
                shutil.rmtree(folder, ignore_errors=True)

    async def stop_all(self) -> None:
        """Stop every server."""
        await asyncio.gather(*(cluster.stop() for cluster in self._clusters.values()))


def _identity(project: Project, branch: Branch) -> dict[str, str]:
    """The settings by which a server says who it is, and those that its endpoint asks for."""
    identity = {"neon.project_id": project.id, "neon.branch_id": branch.id}
    asked: dict[str, str] = {}
    for endpoint in project.endpoints_of(branch):
        identity["neon.endpoint_id"] = endpoint.id
        asked |= {str(name): str(value) for name, value in endpoint.settings.get("pg_settings", {}).items()}
    return asked | identity


def _suspend_after(project: Project, endpoint: Endpoint) -> float:
    seconds = endpoint.suspend_timeout_seconds
    if seconds == 0:
        seconds = int(project.default_endpoint_settings.get("suspend_timeout_seconds", 0)) or _DEFAULT_SUSPEND
    return float("inf") if seconds < 0 else float(seconds)


def _major(template: Path) -> int:
    """The version of the data that is there, else that of local servers. Raises NoPrograms for a setting that is none."""
    try:
        return int((template / "data" / "PG_VERSION").read_text())
    except OSError:
        pass
    try:
        return nearest_major(wanted_major())
    except ValueError as error:
        raise NoPrograms(str(error)) from None


def _programs(major: int, account: Account, copies: Path) -> Path:
    """The folder of PostgreSQL's programs, where the account can run them. Raises NoPrograms, with what to install."""
    wheel = installation.find_installation(major)
    if wheel is None:
        raise NoPrograms(
            f"{installation.WHEEL} is not installed for {sys.executable}, and the emulator runs the PostgreSQL {major} in"
            " it: run ./inv emulator --up, or install locks/emulator.lock into this Python (docs/emulator.md)"
        )
    return installation.programs(wheel, installation.find_complete(major), account, copies)
