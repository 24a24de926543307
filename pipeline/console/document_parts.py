"""What several of the JSON documents have in common: who answered, a file, a fault, and the words for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

ENVIRONMENT = "the name that was given, or null for a bare DATABASE_URL"
HELD = "pending ids that a restore undid, and that do not run again as they are"
ID = "the file's name without its ending"
WARNINGS = "what the database cannot tell, as an unknown checksum; and that no commit holds the files"
FAULTS = "why a deploy would refuse; empty when it would not"


@dataclass(frozen=True)
class Server:
    """Who answered."""

    address: Annotated[str, "host:port/database, never a password"]
    version: Annotated[str, "PostgreSQL's version, as 16.14"]
    user: Annotated[str, "the role that the verb works as"]
    neon_project_id: Annotated[str | None, "null where the server is not a Neon compute"]
    neon_branch_id: Annotated[str | None, "as above"]
    neon_endpoint_id: Annotated[str | None, "as above"]
    standby: Annotated[bool, "whether it is a standby, which shows what it has received so far"]


@dataclass(frozen=True)
class Fault:
    """Why a deploy would refuse."""

    where: Annotated[str, "file or file:line, or empty"]
    message: Annotated[str, "what is wrong"]
    remedy: Annotated[str, "what to do about it"]


@dataclass(frozen=True)
class RoleDeviation:
    """What of the runtime roles is not as it is to be."""

    role: Annotated[str | None, "the role, or null for a setting of the database"]
    what: Annotated[str, 'what it is about, as "member of server" or "setting TimeZone"']
    expected: Annotated[str | None, "what it is to be, or null where it is not to be there"]
    found: Annotated[str | None, "what was found, or null where it was not there"]


@dataclass(frozen=True)
class AppliedNow:
    """A migration that this run applied."""

    id: Annotated[str, ID]
    milliseconds: Annotated[int | None, "what its transaction took, or null where nobody could measure it"]


@dataclass(frozen=True)
class PlannedStatement:
    """A statement that a deploy would run."""

    line: Annotated[int, "where it begins in the file"]
    lock: Annotated[
        str | None, "the strongest lock that it takes on a table that existed before, as its text tells, or null"
    ]
    sql: Annotated[str, "its text"]


@dataclass(frozen=True)
class PendingFile:
    """A migration that a deploy would run."""

    id: Annotated[str, ID]
    path: Annotated[str, "the file"]
    title: Annotated[str, "its first comment line"]
    transactional: Annotated[bool, "false for a file whose one statement runs outside a transaction, or batch by batch"]
    batched: Annotated[bool, "whether its one statement runs batch by batch"]
    checksum: Annotated[str, "SHA-256 of its text with LF line ends"]
    statements: Annotated[list[PlannedStatement], "its statements, in order"]
