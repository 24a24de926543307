"""The local server of a checkout: in Docker Compose, or embedded where that cannot be."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.postgres.compose import ComposeServer, NoCompose
from pipeline.postgres.embedded import EmbeddedServer
from pipeline.postgres.record import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatdb.url import DatabaseURL

CHOICE = "LOCAL_SERVER"
"""The variable that settles which one it is: compose, embedded, or auto."""

COMPOSE, EMBEDDED = "Docker Compose", "the embedded server"


@dataclass(frozen=True, slots=True)
class Found:
    """A local server that accepts connections."""

    url: DatabaseURL
    source: str


class LastUsed:
    """The name of the server that was used last, in a file of the checkout: where its rows are."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> str:
        """Give the name, or nothing where none was used yet."""
        try:
            return self._file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def write(self, name: str) -> None:
        """Keep the name. A checkout that cannot be written to does without."""
        from servers.installation import make_folder

        with suppress(OSError):
            make_folder(self._file.parent)  # as the embedded server does: its account has to pass
            self._file.write_text(f"{name}\n", encoding="utf-8")


def _elsewhere(before: str) -> str:
    remedy = (
        f"{CHOICE}=embedded"
        if before == EMBEDDED
        else "they are remedy when Docker runs, in the folder where it was started"
    )
    return (
        f"this is another database than the last time: that was {before}, and its rows are there, not here ({remedy})"
    )


class LocalServers:
    """The two servers that a checkout may have, and the rule which of them is used.

    The one that this checkout has already, Compose's first, so that nobody's data seems to vanish when Docker comes or
    goes; for a checkout that has neither, Compose's where Docker and its plugin are there.
    """

    def __init__(self, root: Path, *, tell: Callable[[str], None] = lambda _: None) -> None:
        self._last = LastUsed(root / ".local" / "last-server")
        self.compose = ComposeServer(root, tell=tell)
        self.embedded = EmbeddedServer(root / ".local" / "postgres", tell=tell)
        self._tell = tell

    def running(self) -> Found | None:
        """Give the one that would be used when it runs. Starts nothing."""
        if _wanted() != "embedded" and (url := self.compose.running()) is not None:
            return Found(url, COMPOSE)
        if _wanted() != "compose" and (record := self.embedded.running()) is not None:
            return Found(record.owner, EMBEDDED)
        return None

    def serve(self, address: str, port: int) -> bool:
        """Tell whether one of them is what answers there. Starts nothing.

        A port of 127.0.0.1 is one program's: that of the server whose own files, or whose container, say so.
        """
        if address != HOST:
            return False
        record = self.embedded.running()
        return (record is not None and record.port == port) or self.compose.port() == port

    def start(self) -> Found:
        """Give the one that is used, started when it is down.

        Raises:
            ConfigurationError: neither can be had, or the one that was asked for cannot.
            DatabaseFailed: it does not start.
        """
        found = self.running() or self._start()
        before, now = self._last.read(), self._name(found.source)
        if before and before != now:
            self._tell(_elsewhere(before))
        if before != now:
            self._last.write(now)
        return found

    def next(self) -> str:
        """Name the one that `start` would start. Starts nothing."""
        if not self._prefers_compose():
            return EMBEDDED
        try:
            self.compose.require()
        except NoCompose:
            if _wanted() == "compose" or self.compose.exists():
                raise
            return EMBEDDED
        return COMPOSE

    def stop(self) -> tuple[str, ...]:
        """Stop what runs, and name it. Data stays."""
        stopped = [(COMPOSE, self.compose.stop()), (EMBEDDED, self.embedded.stop())]
        return tuple(name for name, ran in stopped if ran)

    def _start(self) -> Found:
        if self._prefers_compose():
            try:
                return Found(self.compose.start(), COMPOSE)
            except NoCompose as error:
                if _wanted() == "compose" or self.compose.exists():
                    raise
                if error.worth_telling:
                    self._tell(f"{error.message}: using the embedded server instead")
        return Found(self.embedded.start().owner, EMBEDDED)

    def _name(self, source: str) -> str:
        """Name a server as no other checkout's: Compose's rows belong to its project."""
        return f"{COMPOSE} (project {self.compose.project()})" if source == COMPOSE else source

    def _prefers_compose(self) -> bool:
        wanted = _wanted()
        return wanted == "compose" or (wanted == "auto" and (self.compose.exists() or not self.embedded.exists()))


def _wanted() -> str:
    wanted = os.environ.get(CHOICE, "").strip() or "auto"
    if wanted not in {"auto", "compose", "embedded"}:
        raise ConfigurationError(f"{CHOICE}={wanted} is unknown", remedy="It is auto, compose or embedded.")
    return wanted
