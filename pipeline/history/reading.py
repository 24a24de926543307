"""Reading the history: three statements that go out with the lock, and what their rows mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.history.tables import SCHEMA, YOYO_VERSION
from pipeline.migrations.plan import Applied

if TYPE_CHECKING:
    from collections.abc import Sequence

# The last log row of each migration tells its checksum, and for one that is not recorded whether it was started.
_MIGRATIONS = f"""
SELECT coalesce(m.migration_id, l.migration_id), m.applied_at_utc, l.operation, l.comment, l.username, l.created_at_utc
  FROM {SCHEMA}._yoyo_migration m
  FULL JOIN (SELECT DISTINCT ON (migration_hash) migration_hash, migration_id, operation, comment, username, created_at_utc
               FROM {SCHEMA}._yoyo_log
              ORDER BY migration_hash, created_at_utc DESC) l USING (migration_hash)
 WHERE m.migration_hash IS NOT NULL OR l.operation = 'started'
"""
_MARKER = f"SELECT environment, branch_id FROM {SCHEMA}.environment_marker"
_VERSION = f"SELECT max(version) FROM {SCHEMA}._yoyo_version"
_PASSWORDS = f"SELECT role_name, branch_id, salt, fingerprint FROM {SCHEMA}.role_password"

READ = f"{_VERSION};{_MIGRATIONS};{_MARKER};{_PASSWORDS}"

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
    marker: Marker | None = None
    passwords: tuple[RolePassword, ...] = ()


def parse_history(results: Sequence[Sequence[Row]]) -> History:
    """The rows of READ's statements, in their order, as a History.

    Raises:
        ConfigurationError: the tables are those of another version of yoyo.
    """
    versions, migrations, markers, passwords = results
    _check_version(versions[0][0])
    applied, unfinished = {}, {}
    for id_, applied_at, operation, comment, actor, logged_at in migrations:
        notes = parse_comment(comment or "")
        if applied_at is None:
            unfinished[id_ or ""] = Unfinished(
                id_ or "",
                notes.get("sha256", ""),
                _instant(logged_at),
                actor or "",
                notes.get("existed", ""),
                notes.get("lsn", ""),
            )
        else:
            applied[id_ or ""] = _applied(id_ or "", applied_at, notes if operation != "rollback" else {}, actor or "")
    marker = Marker(markers[0][0] or "", markers[0][1] or "") if markers else None
    stored = tuple(RolePassword(*(value or "" for value in row)) for row in passwords)
    return History(True, applied, unfinished, marker, stored)


def parse_comment(comment: str) -> dict[str, str]:
    """The key=value pairs of a log row's comment; text that somebody else wrote there gives none."""
    return dict(pair.split("=", 1) for pair in comment.split(" ") if "=" in pair)


def _applied(id_: str, applied_at: str, notes: dict[str, str], actor: str) -> Applied:
    milliseconds = notes.get("ms", "")
    return Applied(
        id=id_,
        applied_at=_instant(applied_at),
        checksum=notes.get("sha256", ""),
        commit=notes.get("commit", ""),
        actor=actor,
        duration_ms=int(milliseconds) if milliseconds.isdigit() else None,
        lsn=notes.get("lsn", ""),
    )


def _instant(text: str | None) -> datetime | None:
    """Yoyo keeps instants as timestamps without a zone, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def _check_version(version: str | None) -> None:
    if version != str(YOYO_VERSION):
        raise ConfigurationError(
            f"the history tables are of yoyo's schema version {version}, and this repository knows {YOYO_VERSION}",
            remedy="Deploy with the version of this repository that wrote them.",
        )
