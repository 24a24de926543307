"""One connection to PostgreSQL, driven without blocking, so that signals and deadlines are honoured between packets.

Everything goes out through the simple query protocol: several statements in one message, one wait for all of them, and the
server stops at the first that fails.
"""

from __future__ import annotations

import select
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from pipeline.errors import DatabaseFailed
from pipeline.postgres.callbacks import held
from pipeline.postgres.libpq import OperationalError, pq

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Row = tuple[str | None, ...]

# SQLSTATEs after which the server ends the session: shutdown, crash of another backend, idle time-outs.
_SESSION_ENDED = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"})
_CANCEL_WAIT = 5.0  # seconds for the server to report a cancelled statement

_FIELDS = {
    "sqlstate": pq.DiagnosticField.SQLSTATE,
    "message": pq.DiagnosticField.MESSAGE_PRIMARY,
    "detail": pq.DiagnosticField.MESSAGE_DETAIL,
    "hint": pq.DiagnosticField.MESSAGE_HINT,
    "context": pq.DiagnosticField.CONTEXT,
    "position": pq.DiagnosticField.STATEMENT_POSITION,
    "internal_position": pq.DiagnosticField.INTERNAL_POSITION,
    "internal_query": pq.DiagnosticField.INTERNAL_QUERY,
    "schema": pq.DiagnosticField.SCHEMA_NAME,
    "table": pq.DiagnosticField.TABLE_NAME,
    "column": pq.DiagnosticField.COLUMN_NAME,
    "constraint": pq.DiagnosticField.CONSTRAINT_NAME,
}

_NOTICE_FIELDS = (pq.DiagnosticField.SQLSTATE, pq.DiagnosticField.MESSAGE_PRIMARY)


@dataclass(frozen=True, slots=True)
class Result:
    """One statement's answer: its command tag, as "CREATE TABLE", and its rows as text."""

    command: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """What a statement takes and returns, as oids of types; the results with their names."""

    parameters: tuple[int, ...]
    results: tuple[tuple[str, int], ...]


class ServerError(DatabaseFailed):
    """A statement failed, and the session goes on. `fields` are those of PostgreSQL's error message."""

    def __init__(self, fields: Mapping[str, str], results: Sequence[Result] = ()) -> None:
        detail = f": {fields['detail']}" if fields.get("detail") else ""
        super().__init__(f"{fields.get('message', '')}{detail} (SQLSTATE {fields.get('sqlstate', '')})")
        self.fields = dict(fields)
        self.results = tuple(results)  # of the statements before it, in the same query

    @property
    def sqlstate(self) -> str:
        """The five characters of the error's code."""
        return self.fields.get("sqlstate", "")


class ConnectionLost(DatabaseFailed):
    """The connection ended in the middle of a query: what it had sent may be done or not."""


@dataclass
class Silence:
    """Whom to tell that a query gets no answer: `told`, of the seconds since the last sign of life, at `first` and `again`.

    It is called while the query runs, and must not use its session.
    """

    told: Callable[[float], None]
    first: float
    again: float
    _since: float = field(default=0.0, init=False)
    _due: float = field(default=0.0, init=False)

    def ends(self) -> None:
        """The server said something, or is asked something new."""
        self._since = time.monotonic()
        self._due = self._since + self.first

    def left(self) -> float:
        """How many seconds are left until it is told."""
        return max(0.0, self._due - time.monotonic())

    def tell(self) -> None:
        """Tell of it, where it is time."""
        now = time.monotonic()
        if now >= self._due:
            self.told(now - self._since)
            self._due = time.monotonic() + self.again


@dataclass
class Session:
    """An open connection. Close it, or use it as a context manager."""

    connection: pq.abc.PGconn = field(repr=False)
    shown_as: str  # where it leads, without a password
    on_notice: Callable[[str, str], None] | None = (
        None  # is told the SQLSTATE and the text of a NOTICE, INFO or WARNING
    )
    silence: Silence | None = None
    unsent: bool = False  # the last query never went out whole: the server ran nothing of it, and the session is over
    _notices: deque[tuple[str, str]] = field(default_factory=deque, init=False, repr=False)  # not told yet

    def __post_init__(self) -> None:
        """Non-blocking, so that a large query is sent while its first answers are read."""
        self.connection.nonblocking = 1
        self.connection.notice_handler = self._notice

    @property
    def backend_pid(self) -> int:
        """The pid that the server gave at the start: through a pooler it is not that of the backend."""
        return self.connection.backend_pid

    @property
    def peer(self) -> tuple[str, int]:
        """The address and port that were connected to; the address is empty for a socket in the file system."""
        return (self.connection.hostaddr or b"").decode(), int(self.connection.port or b"0")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or failed and not yet rolled back."""
        return self.connection.transaction_status != pq.TransactionStatus.IDLE

    def run(self, sql: str, on_result: Callable[[Result], None] | None = None) -> list[Result]:
        """Send one query (of any number of statements) and return the results of all its statements.

        `on_result` sees each result as it arrives. An exception that a signal handler raises meanwhile cancels the query
        on the server, and goes on when that has reported its end, or after five seconds. Where the query was not sent to
        its end (`unsent`), the session is closed instead.

        Raises:
            ServerError: a statement failed; what the ones before it had committed stands.
            ConnectionLost: the connection ended before the last answer.
        """
        try:
            self.connection.send_query(sql.encode())
            return self._results(on_result)
        except OperationalError as error:
            raise self._lost(str(error)) from error
        except (ServerError, ConnectionLost):
            raise
        except BaseException:
            self._cancel()
            raise

    def describe(self, statements: Sequence[str]) -> tuple[list[Description], ServerError | None]:
        """Ask what statements take and return, without running them: those up to the first that the server refuses.

        It takes no text of several statements here.

        Raises:
            ConnectionLost: the connection ended before the last answer.
        """
        try:
            self.connection.enter_pipeline_mode()
            for sql in statements:
                self.connection.send_prepare(b"", sql.encode())
                self.connection.send_describe_prepared(b"")
            self.connection.pipeline_sync()
            found, failure = self._descriptions()
            self.connection.exit_pipeline_mode()
        except OperationalError as error:
            raise self._lost(str(error)) from error
        except BaseException:
            self.close()  # what is under way cannot be told from what would come next
            raise
        return found, failure

    def close(self) -> None:
        """End the session; the server releases its locks."""
        self.connection.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _results(self, on_result: Callable[[Result], None] | None) -> list[Result]:
        """Read until the server is ready for another query."""
        results: list[Result] = []
        failure: dict[str, str] | None = None
        while (answer := self._next()) is not None:
            if answer.status in {pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE}:
                failure = _fields(answer)
                continue
            result = Result((answer.command_status or b"").decode(), _rows(answer))
            results.append(result)
            if on_result is not None:
                on_result(result)
        if failure is None:
            return results
        raise self._failure(failure, results)

    def _descriptions(self) -> tuple[list[Description], ServerError | None]:
        """Read until what `describe` sent is answered."""
        found: list[Description] = []
        failure: ServerError | None = None
        parsed = False  # each statement has two answers, to Parse and to Describe
        while True:
            answer = self._next()
            if answer is None:  # the end of one answer
                continue
            if answer.status == pq.ExecStatus.PIPELINE_SYNC:
                return found, failure
            if answer.status in {pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE}:
                failure = self._failure(_fields(answer))
            elif failure is None:
                if parsed:
                    found.append(_description(answer))
                parsed = not parsed

    def _failure(self, fields: Mapping[str, str], results: Sequence[Result] = ()) -> ServerError:
        if self.connection.status != pq.ConnStatus.OK or fields.get("sqlstate", "") in _SESSION_ENDED | {""}:
            raise self._lost(fields.get("message", ""))
        return ServerError(fields, results)

    def _next(self) -> pq.abc.PGresult | None:
        """The next statement's result, or None when the server has answered everything."""
        sent = held(self.connection.flush) == 0
        if self.silence is not None:
            self.silence.ends()
        while held(self.connection.is_busy) or not sent:
            self._tell_notices()
            readable = self._wait_telling(select.POLLIN if sent else select.POLLIN | select.POLLOUT)
            if readable:
                self.connection.consume_input()
            if not sent:
                sent = held(self.connection.flush) == 0
        answer = held(self.connection.get_result)
        self._tell_notices()
        return answer

    def _wait_telling(self, events: int) -> bool:
        """As `_wait`, for as long as it takes."""
        silence = self.silence
        if silence is None:
            return self._wait(events)
        readable = self._wait(events, silence.left())
        if readable:
            silence.ends()
        else:
            silence.tell()
        return readable

    def _wait(self, events: int, timeout: float | None = None) -> bool:
        """Whether there is something to read (or nothing came within `timeout` seconds: False)."""
        poll = select.poll()
        poll.register(self.connection.socket, events)
        ready = poll.poll(None if timeout is None else timeout * 1000)
        return any(event & ~select.POLLOUT for _, event in ready)

    def _cancel(self) -> None:
        """Stop on the server what runs, and read to its end, so that it is over when this returns.

        The server begins with a query when it has all of it: one that is still on its way out is cut short.
        """
        deadline = time.monotonic() + _CANCEL_WAIT
        try:
            if held(self.connection.flush) != 0:
                self.unsent = True
                self.close()
                return
            self.connection.get_cancel().cancel()
            while time.monotonic() < deadline:
                if held(self.connection.is_busy):
                    if self._wait(select.POLLIN, deadline - time.monotonic()):
                        self.connection.consume_input()
                elif held(self.connection.get_result) is None:
                    return
        except OperationalError:
            return  # the connection is gone, and client_connection_check_interval ends the statement

    def _lost(self, why: str) -> ConnectionLost:
        first = next((line.strip() for line in why.splitlines() if line.strip()), "it closed")
        return ConnectionLost(f"the connection to {self.shown_as} was lost: {first}")

    def _notice(self, result: pq.abc.PGresult) -> None:
        """What libpq calls while it reads: kept until it has returned, since an exception of who listens would be lost."""
        fields = (result.error_field(code) or b"" for code in _NOTICE_FIELDS)  # not its context, which is never shown
        sqlstate, message = (field.decode("utf-8", "replace") for field in fields)
        self._notices.append((sqlstate, message or result.get_error_message()))

    def _tell_notices(self) -> None:
        while self._notices:
            notice = self._notices.popleft()
            if self.on_notice is not None:
                self.on_notice(*notice)


def _fields(answer: pq.abc.PGresult) -> dict[str, str]:
    found = {name: answer.error_field(code) for name, code in _FIELDS.items()}
    fields = {name: value.decode("utf-8", "replace") for name, value in found.items() if value}
    if not fields:  # libpq itself made this one: it has a message and no fields
        fields["message"] = answer.get_error_message()
    return fields


def _description(answer: pq.abc.PGresult) -> Description:
    names = [(answer.fname(at) or b"").decode("utf-8", "replace") for at in range(answer.nfields)]
    return Description(
        tuple(answer.param_type(at) for at in range(answer.nparams)),
        tuple((name, answer.ftype(at)) for at, name in enumerate(names)),
    )


def _rows(answer: pq.abc.PGresult) -> tuple[Row, ...]:
    columns = range(answer.nfields)
    return tuple(tuple(_text(answer.get_value(row, column)) for column in columns) for row in range(answer.ntuples))


def _text(value: bytes | memoryview | None) -> str | None:
    return None if value is None else bytes(value).decode("utf-8", "replace")
