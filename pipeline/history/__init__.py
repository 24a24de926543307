"""Reading the history: three statements that go out with the lock, and what their rows mean."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError, Refused
from pipeline.history.tables import SCHEMA, YOYO_VERSION
from pipeline.migrations.plan import Applied, Held

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MILLISECONDS = re.compile(r"[0-9]{1,15}\Z")

# A log row for each migration. Of one that is recorded: the newest with a checksum among those of its record and behind it
# (a baseline adds one later), else the newest at all; never a rollback's, which says nothing of what is applied now. Of one
# that is not recorded: the newest, which tells whether it was started, or is held since a restore undid it.
MIGRATIONS = f"""
SELECT coalesce(m.migration_id, l.migration_id), m.migration_hash IS NOT NULL, m.applied_at_utc, l.comment, l.username,
       l.created_at_utc, l.operation
  FROM {SCHEMA}._yoyo_migration m
  FULL JOIN (SELECT DISTINCT ON (migration_hash) migration_hash, g.migration_id, operation, comment, username, created_at_utc
               FROM {SCHEMA}._yoyo_log g LEFT JOIN {SCHEMA}._yoyo_migration r USING (migration_hash)
              WHERE r.migration_hash IS NULL OR operation IN ('apply', 'mark')
              ORDER BY migration_hash,
                       r.migration_hash IS NOT NULL AND comment LIKE 'sha256=%'
                       AND coalesce(created_at_utc >= applied_at_utc, true) DESC,
                       created_at_utc DESC NULLS LAST) l USING (migration_hash)
 WHERE m.migration_hash IS NOT NULL OR l.operation IN ('started', 'held')
"""
_MARKER = f"SELECT environment, branch_id FROM {SCHEMA}.environment_marker"
_VERSION = f"SELECT max(version) FROM {SCHEMA}._yoyo_version"
_PASSWORDS = f"SELECT role_name, branch_id, salt, fingerprint FROM {SCHEMA}.role_password"

READ = f"{_VERSION};{MIGRATIONS};{_MARKER};{_PASSWORDS}"

# Whoever compares no passwords does not ask for their fingerprints, which not every role that looks may read.
READ_WITHOUT_FINGERPRINTS = (
    f"{_VERSION};{MIGRATIONS};{_MARKER};SELECT role_name, branch_id, '', '' FROM {SCHEMA}.role_password"
)

Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A non-transactional migration that was started, and whose end nobody recorded."""

    id: str
    checksum: str
    started_at: datetime | None
    actor: str
    existed: str  # what was there already when it started: an index, or leftovers of a REINDEX
    lsn: str  # the WAL position before it
    rehearsal: str = ""  # as Applied has it


@dataclass(frozen=True, slots=True)
class Marker:
    """Which environment the last deploy with a name said that this is, and on which Neon branch (none: empty) it said so."""

    environment: str
    branch_id: str


@dataclass(frozen=True, slots=True)
class RolePassword:
    """The salted fingerprint of the password that a runtime role was last given on a branch."""

    role: str
    branch_id: str
    salt: str
    fingerprint: str


@dataclass(frozen=True)
class History:
    """What a database says about itself. `exists` is False where no deploy has been yet."""

    exists: bool = False
    applied: dict[str, Applied] = field(default_factory=dict)
    unfinished: dict[str, Unfinished] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    marker: Marker | None = None
    passwords: tuple[RolePassword, ...] = ()
    other_table: str = ""  # a table that is not the history's, or empty where there is none


def parse_history(results: Sequence[Sequence[Row]]) -> History:
    """The rows of READ's statements, in their order, as a History.

    Raises:
        ConfigurationError: the tables are those of another version of yoyo.
        Refused: they have no version at all.
    """
    versions, migrations, markers, passwords = results
    _check_version(versions[0][0])
    applied, unfinished, held = {}, {}, {}
    for id_, recorded, applied_at, comment, actor, logged_at, operation in migrations:
        notes = parse_comment(comment or "")
        if recorded == "t":
            applied[id_ or ""] = _applied(id_ or "", applied_at, notes, actor or "")
        elif operation == "held":
            held[id_ or ""] = Held(id_ or "", _checksum(notes), instant(logged_at), actor or "", notes.get("kept", ""))
        else:
            unfinished[id_ or ""] = Unfinished(
                id_ or "",
                _checksum(notes),
                instant(logged_at),
                actor or "",
                notes.get("existed", ""),
                notes.get("lsn", ""),
                notes.get("rehearsal", ""),
            )
    marker = Marker(markers[0][0] or "", markers[0][1] or "") if markers else None
    stored = tuple(RolePassword(*(value or "" for value in row)) for row in passwords)
    return History(True, applied, unfinished, held, marker, stored)


def parse_comment(comment: str) -> dict[str, str]:
    """The key=value pairs of a log row's comment; text that somebody else wrote there gives none."""
    return dict(pair.split("=", 1) for pair in comment.split(" ") if "=" in pair)


def _applied(id_: str, applied_at: str | None, notes: dict[str, str], actor: str) -> Applied:
    return Applied(
        id=id_,
        applied_at=instant(applied_at),
        checksum=_checksum(notes),
        commit=notes.get("commit", ""),
        actor=actor,
        duration_ms=milliseconds(notes),
        lsn=notes.get("lsn", ""),
        rehearsal=notes.get("rehearsal", ""),
    )


def milliseconds(notes: dict[str, str]) -> int | None:
    """What it took, or None where that does not stand in the comment."""
    text = notes.get("ms", "")
    return int(text) if _MILLISECONDS.match(text) else None


def _checksum(notes: dict[str, str]) -> str:
    """The checksum, or nothing where what stands there is none."""
    checksum = notes.get("sha256", "")
    return checksum if _SHA256.match(checksum) else ""


def instant(text: str | None) -> datetime | None:
    """Yoyo keeps instants as timestamps without a zone, in UTC. None for NULL, and for what Python has no datetime for.

    PostgreSQL's own go from 4713 BC to the year 294276, and to infinity.
    """
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None


def _check_version(version: str | None) -> None:
    if version is None:
        raise Refused(
            f"the history is incomplete: {SCHEMA}._yoyo_version has no row",
            remedy="Nothing was changed. Was the schema restored without its rows? Then restore those too: they say what is "
            "applied. If only this one is missing, as the owner: "
            f"INSERT INTO {SCHEMA}._yoyo_version VALUES ({YOYO_VERSION})",
        )
    if version != str(YOYO_VERSION):
        raise ConfigurationError(
            f"the history tables are of yoyo's schema version {version}, and this repository knows {YOYO_VERSION}",
            remedy="Deploy with the version of this repository that wrote them.",
        )
