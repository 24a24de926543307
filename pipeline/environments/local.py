"""The local server of a checkout: in Docker Compose, or embedded where that cannot be."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.postgres.binaries import embedded_major, local_major
from pipeline.postgres.compose import ComposeServer, NoCompose
from pipeline.postgres.embedded import EmbeddedServer
from pipeline.postgres.record import HOST
from servers.extensions import POSTGRESQL, neon_extensions
from servers.version import MAJORS, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.postgres.record import Record

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


_EXTENSION = re.compile(rb"\bCREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?([\w-]+)", re.IGNORECASE)
_ICU = re.compile(rb"\b(?:locale_)?provider\s*=?\s*'?icu\b", re.IGNORECASE)


def _needs_extensions(root: Path) -> str:
    """Name what schema.sql or a migration uses that the embedded server does not begin with, or give nothing.

    A guess at the text: what it finds in a comment does no harm, and what it misses is told of by the server's refusal.
    """
    for file in (root / "schema.sql", *sorted((root / "migrations").glob("*.sql"))):
        try:
            text = file.read_bytes()
        except OSError:
            continue
        for found in _EXTENSION.findall(text):
            name = found.decode().lower()
            if neon_extensions().get(name) == POSTGRESQL and name != _BUILT_IN:
                return f"{name} of {file.name}"
        if _ICU.search(text):
            return f"a collation of {file.name}"
    return ""


_BUILT_IN = "plpgsql"


def _folder(root: Path, major: int) -> Path:
    """Where the embedded server of a version is: each has its own, since none reads another's data."""
    return root / ".local" / ("postgres" if major == MAJORS[0] else f"postgres-{major}")


def _elsewhere(before: str, now: str) -> str:
    if not before.startswith(EMBEDDED):
        back = "they are back when Docker runs, in the folder where it was started"
    elif now.startswith(EMBEDDED):
        back = f"they are back with the earlier PostgreSQL: {VARIABLE}"
    else:
        back = f"{CHOICE}=embedded"
    return f"this is another database than the last time: that was {before}, and its rows are there, not here ({back})"


class LocalServers:
    """The two servers that a checkout may have, and the rule which of them is used.

    The one that this checkout has already, Compose's first, so that nobody's data seems to vanish when Docker comes or
    goes; for a checkout that has neither, Compose's where Docker and its plugin are there.
    """

    def __init__(self, root: Path, *, tell: Callable[[str], None] = lambda _: None) -> None:
        self._last = LastUsed(root / ".local" / "last-server")
        self.compose = ComposeServer(root, tell=tell)
        self._major = embedded_major(root)
        self.embedded = EmbeddedServer(_folder(root, self._major), major=self._major, tell=tell)
        self._root = root
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
        found = self.running()
        if found is None or found.source == EMBEDDED:
            found = self._start(found)
        before, now = self._last.read(), self._name(found.source)
        if before and before != now:
            self._tell(_elsewhere(before, now))
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
        embedded = [EmbeddedServer(_folder(self._root, each)).stop() for each in MAJORS]
        stopped = [(COMPOSE, self.compose.stop()), (EMBEDDED, any(embedded))]
        return tuple(name for name, ran in stopped if ran)

    def start_with_extensions(self) -> Found:
        """Give the embedded server, started with PostgreSQL's own extensions, TLS and ICU; it has them from then on.

        Raises:
            ConfigurationError: what that takes cannot be had, or another server is used here.
            DatabaseFailed: it does not start.
        """
        if self.next() != EMBEDDED:
            raise ConfigurationError(
                f"{COMPOSE} runs the local database, and its image has PostgreSQL's own extensions already",
                remedy=f"For pgvector, or another image: POSTGRES_IMAGE. For the embedded server: {CHOICE}=embedded.",
            )
        return Found(self.embedded.start(extensions=True).owner, EMBEDDED)

    def _start(self, running: Found | None) -> Found:
        if running is None and self._prefers_compose():
            try:
                return Found(self.compose.start(), COMPOSE)
            except NoCompose as error:
                if _wanted() == "compose" or self.compose.exists():
                    raise
                if error.worth_telling:
                    self._tell(f"{error.message}: using the embedded server instead")
        return Found(self._start_embedded().owner, EMBEDDED)

    def _start_embedded(self) -> Record:
        wanted = local_major(self._root)
        if wanted != self._major and self.embedded.running() is None:
            self._tell(f"there is no embedded PostgreSQL {wanted}: {self._major} stands in for it")
        record = self.embedded.running()
        if (record is None or not record.extensions) and (what := _needs_extensions(self._root)):
            try:
                return self.embedded.start(extensions=True)
            except ConfigurationError as error:
                self._tell(
                    f"{what} needs PostgreSQL's own extensions, which cannot be had: {error.message}. {error.remedy}"
                )
        return self.embedded.start()

    def _name(self, source: str) -> str:
        """Name a server as no other checkout's: Compose's rows belong to its project."""
        if source == COMPOSE:
            return f"{COMPOSE} (project {self.compose.project()})"
        return source if self._major == MAJORS[0] else f"{source} (PostgreSQL {self._major})"

    def _prefers_compose(self) -> bool:
        wanted = _wanted()
        return wanted == "compose" or (wanted == "auto" and (self.compose.exists() or not self.embedded.exists()))


def _wanted() -> str:
    wanted = os.environ.get(CHOICE, "").strip() or "auto"
    if wanted not in {"auto", "compose", "embedded"}:
        raise ConfigurationError(f"{CHOICE}={wanted} is unknown", remedy="It is auto, compose or embedded.")
    return wanted
