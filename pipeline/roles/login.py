"""Whether the runtime roles still take the stack's passwords: the one thing of a role that only trying tells.

A role may change its own password, and who is not a superuser may not read what it is now. So each role logs in once,
all at the same time, and leaves at once.
"""

from __future__ import annotations

import re
import select
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.postgres.connect import without_variables
from pipeline.postgres.libpq import OperationalError, conninfo_to_dict, make_conninfo, pq

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbclient.url import DatabaseURL

SECONDS = 10.0  # for all of them; the server has just answered, so it is awake

# The message is all that libpq gives of a failed start-up; this is 28P01's.
_REFUSED = re.compile(r"password authentication failed", re.IGNORECASE)
# The server says these behind the password: it was right.
_BEHIND_THE_PASSWORD = re.compile(
    r"too many (?:connections|clients)|remaining connection slots|permission denied for database", re.IGNORECASE
)


@dataclass
class Tried:
    """What became of the logins: `refused` roles have another password; for `unknown` nobody could tell, and why."""

    refused: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)


def try_passwords(url: DatabaseURL, passwords: Mapping[str, str]) -> Tried:
    """Log in as each role at the server and database of `url`, which is direct."""
    tried = Tried()
    deadline = time.monotonic() + SECONDS
    with without_variables():
        waiting = [
            _Login(role, pq.PGconn.connect_start(_conninfo(url, role, password)))
            for role, password in sorted(passwords.items())
        ]
        try:
            while waiting:
                ready = _ready(waiting, deadline)
                if not ready:
                    tried.unknown |= {login.role: f"no answer within {SECONDS:.0f} s" for login in waiting}
                    break
                for login in ready:
                    if login.is_over():
                        _judge(tried, login.role, login.message)
                        login.connection.finish()
                        waiting.remove(login)
        finally:
            for login in waiting:
                login.connection.finish()
    return tried


@dataclass(eq=False)
class _Login:
    """A connection on its way, and what libpq waits for."""

    role: str
    connection: pq.abc.PGconn
    state: pq.PollingStatus = pq.PollingStatus.WRITING  # what libpq says to begin with
    message: str = ""  # empty where it logged in

    def is_over(self) -> bool:
        """Go one step on; whether that was the last."""
        try:
            self.state = pq.PollingStatus(self.connection.connect_poll())
        except OperationalError as error:
            self.state, self.message = pq.PollingStatus.FAILED, str(error)
        if self.state == pq.PollingStatus.FAILED:
            self.message = self.connection.get_error_message() or self.message
        return self.state in {pq.PollingStatus.OK, pq.PollingStatus.FAILED}


def _ready(logins: Sequence[_Login], deadline: float) -> list[_Login]:
    """Those that can go on; none when the time is up."""
    failed = [login for login in logins if login.connection.status == pq.ConnStatus.BAD]
    if failed:  # it has no socket to wait for
        return failed
    poll = select.poll()
    for login in logins:
        events = select.POLLIN if login.state == pq.PollingStatus.READING else select.POLLOUT
        poll.register(login.connection.socket, events)
    sockets = {number for number, _ in poll.poll(max(0.0, deadline - time.monotonic()) * 1000)}
    return [login for login in logins if login.connection.socket in sockets]


def _judge(tried: Tried, role: str, message: str) -> None:
    if _REFUSED.search(message):
        tried.refused.append(role)
    elif message and not _BEHIND_THE_PASSWORD.search(message):
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        tried.unknown[role] = lines[-1] if lines else "no answer"


def _conninfo(url: DatabaseURL, role: str, password: str) -> bytes:
    rendered = url.copy_with(user=role, password=password).for_psycopg()
    given = conninfo_to_dict(rendered.dsn, **{key: str(value) for key, value in rendered.connect.items() if value})
    given["application_name"] = "db-pipeline login"
    return make_conninfo("", **given).encode()
