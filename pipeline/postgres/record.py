"""What is remembered of an embedded server from one command to the next."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dbclient.url import DatabaseURL
from pipeline.errors import ConfigurationError
from servers import write_private
from services import DATABASE, OWNER

HOST = "127.0.0.1"
SUPERUSER = "postgres"


@dataclass(frozen=True)
class Record:
    """All that is needed to find the server again, start it and connect.

    `place` is the folder of its data, log and copied programs. Until it is `complete`, with the owner and its database,
    the data is scrap.
    """

    place: Path
    port: int
    superuser_password: str
    owner_password: str
    complete: bool
    extensions: bool = False
    """Whether it was last started with PostgreSQL's own extensions, TLS and ICU, which its data may need since."""

    def __repr__(self) -> str:
        return f"Record(place={str(self.place)!r}, port={self.port}, complete={self.complete})"

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.place / "data"

    @property
    def major(self) -> int | None:
        """The major version that the data directory is of, or None where there is none yet."""
        try:
            return int((self.data / "PG_VERSION").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.place / "server.log"

    @property
    def superuser(self) -> DatabaseURL:
        """The URL of the superuser, to the database `postgres`."""
        return self._url(SUPERUSER, self.superuser_password, "postgres")

    @property
    def owner(self) -> DatabaseURL:
        """The URL of the owner, to its database: what local commands use."""
        return self._url(OWNER, self.owner_password, DATABASE)

    def _url(self, user: str, password: str, database: str) -> DatabaseURL:
        return DatabaseURL(user=user, password=password, host=HOST, port=self.port, database=database)


def read_record(folder: Path) -> Record | None:
    """Give the record in the folder, or None when there is none, or only a copy of another folder's.

    Raises:
        ConfigurationError: the file is there and cannot be read.
    """
    file = _file(folder)
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        written_in = fields.pop("folder", "")
        # Its own folder is written as ".", so that a checkout can be moved.
        record = Record(**{**fields, "place": folder / fields["place"]})
        return None if _is_anothers(record, folder, written_in) else record
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            "the embedded server's record cannot be read",
            where=str(file),
            remedy=f"Remove {folder} to begin with an empty server.",
        ) from error


def write_record(folder: Path, record: Record) -> Record:
    """Write the record, readable by its owner alone, and give it back."""
    place = "." if record.place == folder else str(record.place)
    write_private(_file(folder), json.dumps({**asdict(record), "place": place, "folder": str(folder)}, indent=1))
    return record


def remember_folder(folder: Path, record: Record) -> Record:
    """Note where the folder is by now, for a record whose files are elsewhere, and give it: so copies of it are told apart."""
    if record.place == folder or json.loads(_file(folder).read_text(encoding="utf-8")).get("folder") == str(folder):
        return record
    return write_record(folder, record)


def has_anothers_record(folder: Path) -> bool:
    """Tell whether the folder's record came with a copy of another folder, whose server it speaks of."""
    return _file(folder).exists() and read_record(folder) is None


def _is_anothers(record: Record, folder: Path, written_in: str) -> bool:
    """Tell whether a record that keeps its files elsewhere is a copy: the folder in which it was written has it still."""
    if record.place == folder or not written_in or not _file(Path(written_in)).exists():
        return False
    return not Path(written_in).samefile(folder)


def change_record(
    folder: Path,
    record: Record,
    *,
    port: int | None = None,
    complete: bool | None = None,
    extensions: bool | None = None,
) -> Record:
    """Write the record with another port, as complete, or as with extensions, where that is a change, and give it."""
    changed = replace(
        record,
        port=record.port if port is None else port,
        complete=record.complete if complete is None else complete,
        extensions=record.extensions if extensions is None else extensions,
    )
    return record if changed == record else write_record(folder, changed)


def _file(folder: Path) -> Path:
    return folder / "server.json"
