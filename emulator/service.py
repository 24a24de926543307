"""Puts the emulator together in a data folder, runs it, and takes it down."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import signal
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from emulator import names
from emulator.app import build
from emulator.certificates import API_HOST, Certificates
from emulator.clock import Clock
from emulator.computes import Computes
from emulator.control import Control
from emulator.doors import Doors
from emulator.faults import Switchboard
from emulator.history import History
from emulator.housekeeping import keep_house
from emulator.keeping import Keeping
from emulator.mirror import Mirror
from emulator.operations import Queue
from emulator.proxy import Proxy
from emulator.settings import DOMAIN
from emulator.snapshots import Snapshots
from emulator.state import Store
from emulator.work import Work
from servers import write_private
from servers.account import Account, NoAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from emulator.settings import Settings

_LOOKS = 40
_BETWEEN_LOOKS = 0.05
log = logging.getLogger(__name__)


class FolderInUse(Exception):
    """Another emulator runs in the data folder."""


@dataclass(frozen=True)
class Access:
    """How to reach a running emulator."""

    url: str
    api_key: str
    admin_token: str
    ca_file: Path


class _Server(uvicorn.Server):
    """A web server that leaves the signals to us: its own handling kills the process before our servers are stopped."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop serving at the first signal to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """Let `serve` return."""
        self.should_exit = True


async def run(settings: Settings, announce: Callable[[Access], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is called once, when requests are answered."""
    account = _prepare(settings.data)
    with _only_one_in(settings.data):
        await _run(settings, account, announce)


async def _run(settings: Settings, account: Account, announce: Callable[[Access], None]) -> None:
    for name in ("address", "environment"):
        (settings.data / name).unlink(missing_ok=True)  # of one that was killed: nobody answers there
    secrets = {name: _secret(settings.data / name) for name in ("api-key", "admin-token", "superuser-password")}
    certificates = Certificates(settings.data)
    clock, store, faults = Clock(), Store(settings.data / "state.json"), Switchboard()
    door_tls = certificates.issue("127.0.0.1", "localhost", f"*.{DOMAIN}")
    password = secrets["superuser-password"]
    computes = Computes(settings.data, account, password, clock)
    doors = Doors(settings.data, account, password, door_tls, computes, DOMAIN if settings.names else "")
    mirror, history = Mirror(computes, clock), History(computes, clock)
    keeping = Keeping(computes, history, store)
    snapshots = Snapshots(computes, history, doors, mirror, clock, settings)
    work = Work(computes, history, keeping, doors, mirror, clock, snapshots)
    queue = Queue(store, clock, settings, faults, work)
    control = Control(settings, clock, store, computes, history, keeping, doors, mirror, queue, faults)
    with socket.create_server(("127.0.0.1", 0)) as web_socket:
        proxy = Proxy(web_socket.getsockname()[1], certificates.issue(API_HOST).context)

        def end() -> None:
            server.stop()

        app = build(control, secrets["api-key"], secrets["admin-token"], faults, proxy.abort, end)
        config = uvicorn.Config(
            app,
            http="h11",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            # longer than clients keep an idle connection, or one that sends at that moment gets no answer
            timeout_keep_alive=75,
        )
        server = _Server(config)
        port = await proxy.open(settings.port)  # first, since it fails when another program has the port
        await _resume(control)
        (settings.data / "address").write_text(f"http://127.0.0.1:{port}\n")
        announce(Access(f"http://127.0.0.1:{port}", secrets["api-key"], secrets["admin-token"], certificates.ca_file))
        house = asyncio.create_task(keep_house(control))
        try:
            await server.serve(sockets=[web_socket])
        finally:
            for name in ("address", "environment"):
                (settings.data / name).unlink(missing_ok=True)
            house.cancel()
            await proxy.close()
            await queue.close()
            await keeping.close()
            await doors.close_all()
            await computes.stop_all()
            for project in store.projects.values():
                for endpoint in project.endpoints.values():
                    endpoint.current_state = "idle" if endpoint.current_state == "active" else endpoint.current_state
            store.save()


async def _resume(control: Control) -> None:
    """Go on where the last run ended, however it ended."""
    control.doors.sweep()
    await control.computes.sweep(control.store.timelines())
    for project in control.store.projects.values():
        for branch in project.branches.values():
            adopted = await control.computes.adopt(branch)
            branch.synced = branch.synced and not adopted
            if adopted:
                log.info("found the server of %s running", branch.id)
            if branch.deleted_at is not None:
                continue
            for endpoint in project.endpoints_of(branch):
                await control.doors.open(project, endpoint)
                if endpoint.current_state != "init":
                    endpoint.current_state = "active" if adopted else "idle"
        control.queue.resume(project)


@contextmanager
def _only_one_in(data: Path) -> Iterator[None]:
    """Hold the data folder: two emulators on the same servers would destroy them."""
    with (data / "lock").open("w") as file:
        for attempt in range(_LOOKS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == _LOOKS - 1:
                    raise FolderInUse(
                        f"another emulator runs in {data}: stop it, or give another folder with --data"
                    ) from None
            # `up` and `down` hold it for an instant, to see who has it; and what a killed one had just forked holds it
            # until it has become a server's program, which takes as long as the machine is busy
            time.sleep(_BETWEEN_LOOKS)
        yield


def _prepare(data: Path) -> Account:
    """Make the data folder, and see that servers can live in it."""
    data.mkdir(parents=True, exist_ok=True)
    account = Account.choose("postgres", "nobody")
    if not account.passes(data):
        raise NoAccount(
            f"servers do not run as root, and their user cannot enter {data}: give another folder with --data,"
            " one whose parents everybody may pass (mode 0711 or 0755)"
        )
    return account


def _secret(path: Path) -> str:
    """A secret of the data folder, made at the first start."""
    if not path.exists():
        write_private(path, names.api_key())
    return path.read_text().strip()
