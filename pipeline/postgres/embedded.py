"""A PostgreSQL of our own for a machine without Docker: a server process on loopback that outlives the command.

Only the programs of packages are used (servers/installation.py). The folder keeps what the next command needs to find the
server again::

    server.json    its port, its passwords and where its data is; mode 0600
    data/          the data directory (elsewhere for root when the account that runs it cannot pass to the folder)
    server.log
    lock           held while it is made, started or stopped
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.postgres.record import (
    Record,
    change_record,
    has_anothers_record,
    read_record,
    remember_folder,
    write_record,
)
from servers import pid_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pipeline.postgres.cluster import Cluster


class EmbeddedServer:
    """The server whose files are in one folder. Nothing happens until a method is called.

    `settings` are PostgreSQL's, written when the data directory is made, which is of the version `major` (that of the
    repository). `tell` hears of what takes seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        major: int | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self._settings = dict(settings or {})
        self._major = major
        self._tell = tell

    def running(self) -> Record | None:
        """Give its record when it accepts connections, else None. Starts nothing and takes about a millisecond."""
        record = read_record(self.folder)
        return record if record and record.complete and pid_file.is_ready(record.data, record.port) else None

    def exists(self) -> bool:
        """Tell whether one was made here, running or not."""
        record = read_record(self.folder)
        return record is not None and record.complete

    def start(self, *, extensions: bool = False) -> Record:
        """Make the server when there is none, start it when it is down, and give its record.

        The port is the same each time, unless another program has taken it meanwhile. With `extensions` it has
        PostgreSQL's own, TLS and ICU: what that takes is installed, and a server that runs without is started again.

        Raises:
            ConfigurationError: its programs cannot be had, no account can run it, or its data is gone.
            DatabaseFailed: it does not start; `where` names its log.
        """
        found = self.running()
        if found and (found.extensions or not extensions):
            return remember_folder(self.folder, found)
        from servers.installation import make_folder

        make_folder(self.folder)
        with self._locked():
            if extensions or self._had_extensions():
                self._install_extensions()
            found = self.running()
            if found and extensions and not found.extensions:
                self._cluster(found).stop("fast")
                found = None
            return found or self._start()

    def stop(self, *, mode: str = "fast") -> bool:
        """Stop it and tell whether it ran. `mode` is pg_ctl's: smart, fast, or immediate, which is a crash."""
        record = read_record(self.folder)
        if record is None or not pid_file.is_alive(record.data):
            return False
        with self._locked():
            self._cluster(record).stop(mode)
        return True

    def destroy(self) -> None:
        """Stop it and remove everything of it, data included."""
        self.stop(mode="immediate")
        record = read_record(self.folder)
        if record is not None and record.place != self.folder:
            shutil.rmtree(record.place)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _start(self) -> Record:
        record = read_record(self.folder)
        if record is None or not record.complete:
            return self._make(record)
        if not record.data.is_dir():
            raise ConfigurationError(
                f"the embedded server's data is gone: {record.data} does not exist",
                remedy=f"Remove {self.folder} to begin with an empty server.",
            )
        self._tell(f"Starting the embedded PostgreSQL {self._major_of(record)}")
        original = pid_file.copied_from(record.data)
        if original is not None:
            self._tell(
                f"its data was copied from {original} while a server ran there: it is recovered as after a crash. "
                f"If that fails, remove {self.folder} to begin with an empty server"
            )
        cluster = self._cluster(remember_folder(self.folder, record))
        port = cluster.start()
        if port != record.port:
            self._tell(
                f"another program has taken port {record.port}: the embedded server is at {port} from now on, and what had its "
                "URL needs the new one (`./inv url`)"
            )
        return change_record(self.folder, cluster.record, port=port, extensions=cluster.has_extensions)

    def _make(self, half_made: Record | None) -> Record:
        self._tell(f"Making an embedded PostgreSQL {self._major_of(None)} (once per checkout)")
        if has_anothers_record(self.folder):
            self._tell(
                "this checkout is a copy of another one, whose server is left alone: it gets an empty one of its own"
            )
        record = half_made or self._new_record()
        if pid_file.is_alive(record.data):
            self._cluster(record).stop("immediate")
        # Written before anything is made: what another run then finds, it may throw away.
        write_record(self.folder, record)
        cluster = self._cluster(record)
        cluster.initialise(self._settings)
        port = cluster.start()
        cluster.make_owner(port)
        return change_record(self.folder, record, port=port, complete=True, extensions=cluster.has_extensions)

    def _new_record(self) -> Record:
        import secrets
        import zlib

        from pipeline.postgres.cluster import PORTS
        from pipeline.postgres.unprivileged import account_for_server, place_for

        record = Record(
            place=place_for(self.folder, account_for_server()),
            port=PORTS[zlib.crc32(str(self.folder).encode()) % len(PORTS)],
            superuser_password=secrets.token_urlsafe(24),
            owner_password=secrets.token_urlsafe(24),
            complete=False,
        )
        if record.data.exists():
            raise ConfigurationError(
                f"{record.data} is there, but the file with its passwords is gone from {self.folder}",
                remedy=f"Move {record.data} away to begin with an empty server.",
            )
        return record

    def _had_extensions(self) -> bool:
        record = read_record(self.folder)
        return record is not None and record.extensions

    def _install_extensions(self) -> None:
        from pipeline.postgres.binaries import install_complete
        from servers.installation import find_complete

        major = self._major_of(read_record(self.folder))
        if find_complete(major) is None:
            self._tell(f"Installing PostgreSQL {major} with its own extensions (once per environment)")
            install_complete(major)

    def _cluster(self, record: Record) -> Cluster:
        from pipeline.postgres.cluster import Cluster
        from pipeline.postgres.unprivileged import account_for_server

        return Cluster(record, account_for_server(), self._major_of(record))

    def _major_of(self, record: Record | None) -> int:
        """The version of data that is there, which no other server can read, else the one that is wanted."""
        found = record.major if record is not None and record.complete else None
        if found is not None:
            return found
        if self._major is None:
            from pipeline.postgres.binaries import embedded_major

            self._major = embedded_major()
        return self._major

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        with (self.folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # given up by the kernel when its holder dies
            yield
