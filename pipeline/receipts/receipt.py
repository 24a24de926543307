"""What of a receipt binds a deploy, as a value, and where its file is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.receipts.document import PREDICATE_TYPE, STATEMENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIFETIME: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of a rehearsal.

    `digest` is its name. `checksums` are those of the pending files by id, in the order of the deploy. `history` and `schema`
    are digests of what was there before; `schemas` are those behind the files that were measured, by id. `destroyed`
    counts the rows that each of them updates or deletes. `text` is the file.
    """

    digest: str
    result: str
    not_measured: tuple[str, ...]
    failed: tuple[str, ...]
    environment: str
    project_id: str
    branch_id: str
    branch_name: str
    lsn: str
    history: str
    schema: str
    checksums: Mapping[str, str]
    created: datetime
    expires: datetime
    schemas: Mapping[str, str] = field(default_factory=dict)
    destroyed: Mapping[str, int] = field(default_factory=dict)
    text: str = field(default="", repr=False, compare=False)


def default_path(root: Path, environment: str) -> Path:
    """Where `rehearse` puts the receipt of an environment, and a deploy to it looks for one."""
    return root / ".local" / "rehearsals" / f"{environment.rpartition('/')[2]}.json"


def parse_statement(content: Any) -> Receipt:
    """The receipt of a statement's JSON. The digest is not compared here.

    Raises:
        KeyError, TypeError, ValueError: it is no such statement.
    """
    if not isinstance(content, dict):
        raise TypeError("it is no object")
    if content["_type"] != STATEMENT_TYPE or content["predicateType"] != PREDICATE_TYPE:
        raise ValueError("it is a statement about something else")
    said = content["predicate"]
    base = said["base"]
    created, expires = _instant(said["timeCreated"]), _instant(said["expires"])
    if not created < expires <= created + LIFETIME:
        raise ValueError("it expires later than a receipt may")
    return Receipt(
        digest=_text(said["digest"]["sha256"]),
        result=_text(said["result"]),
        not_measured=tuple(map(_text, said["notMeasured"])),
        failed=tuple(map(_text, said["failedTests"])),
        environment=_text(base["environment"]),
        project_id=_text(base["projectId"]),
        branch_id=_text(base["branchId"]),
        branch_name=_text(base["branchName"]),
        lsn=_text(base["lsn"]),
        history=_text(base["history"]),
        schema=_text(base["schema"]),
        checksums={_text(each["id"]): _text(each["checksum"]) for each in said["pending"]},
        created=created,
        expires=expires,
        schemas={_text(each["id"]): each["schema"] for each in said["files"] if each["schema"]},
        destroyed={_text(each["id"]): _destroyed(each) for each in said["files"]},
    )


def _destroyed(file: Mapping[str, Any]) -> int:
    rows = (row for each in file["statements"] for row in each["changed"])
    return sum(int(row["updated"]) + int(row["deleted"]) for row in rows)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"there is {type(value).__name__} in the place of a text")
    return value


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an instant has no zone")
    return moment.astimezone(UTC)
