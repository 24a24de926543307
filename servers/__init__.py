"""PostgreSQL servers of this machine: their ports, their programs, the account that runs them, their processes and pid files.

What keeps a server is built on it: the local database of a checkout (pipeline/postgres), Neon's computes (emulator), tests.
"""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
