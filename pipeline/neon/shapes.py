"""The parts of Neon's answers that the pipeline uses, as frozen values.

Field names are Neon's (its OpenAPI document, API version 2). `from_json` raises KeyError, TypeError or ValueError on an
answer that lacks what the API promises; the client turns that into an `ApiError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = Mapping[str, Any]

# https://neon.com/docs/reference/api: an operation in one of these will not change any more.
FINISHED_WELL = frozenset({"finished", "skipped"})
FINISHED_BADLY = frozenset({"failed", "error", "cancelled"})


@dataclass(frozen=True)
class Project:
    """A project: the unit of billing, with a default branch and its children."""

    id: str
    name: str
    region_id: str
    pg_version: int
    created_at: datetime
    org_id: str | None = None
    history_retention_seconds: int | None = None
    store_passwords: bool = True

    @classmethod
    def from_json(cls, data: Json) -> Project:
        """Read one element of GET /projects, or `project` of GET /projects/{id}."""
        return cls(
            id=data["id"],
            name=data["name"],
            region_id=data["region_id"],
            pg_version=int(data["pg_version"]),
            created_at=_instant(data["created_at"]),
            org_id=data.get("org_id"),
            history_retention_seconds=data.get("history_retention_seconds"),
            store_passwords=bool(data.get("store_passwords", True)),
        )


@dataclass(frozen=True)
class Branch:
    """A branch. `logical_size` is in bytes, and None until Neon has measured it.

    `parent_lsn` and `parent_timestamp` say at which moment it was cut. `restored_from` is the snapshot that it was made of,
    `restored_as` the branch whose place it takes when that restore is finalized.
    """

    id: str
    project_id: str
    name: str
    current_state: str
    default: bool
    protected: bool
    created_at: datetime
    parent_id: str | None = None
    logical_size: int | None = None
    expires_at: datetime | None = None
    parent_lsn: str | None = None
    parent_timestamp: datetime | None = None
    restored_from: str | None = None
    restored_as: str | None = None
    init_source: str | None = None

    @property
    def is_schema_only(self) -> bool:
        """Whether it was made without its parent's rows; then it is a root branch."""
        return self.init_source == "schema-only"

    @classmethod
    def from_json(cls, data: Json) -> Branch:
        """Read a `branch` object."""
        return cls(
            id=data["id"],
            project_id=data["project_id"],
            name=data["name"],
            current_state=data["current_state"],
            default=bool(data["default"]),
            protected=bool(data["protected"]),
            created_at=_instant(data["created_at"]),
            parent_id=data.get("parent_id") or None,
            logical_size=data.get("logical_size"),
            expires_at=_instant(data["expires_at"]) if data.get("expires_at") else None,
            parent_lsn=data.get("parent_lsn"),
            parent_timestamp=_instant(data["parent_timestamp"]) if data.get("parent_timestamp") else None,
            restored_from=data.get("restored_from"),
            restored_as=data.get("restored_as"),
            init_source=data.get("init_source"),
        )


@dataclass(frozen=True)
class Snapshot:
    """A kept state of a root branch. `full_size` is in bytes, and None until Neon has measured it."""

    id: str
    name: str
    created_at: datetime
    source_branch_id: str | None = None
    lsn: str | None = None
    timestamp: datetime | None = None
    expires_at: datetime | None = None
    full_size: int | None = None

    @classmethod
    def from_json(cls, data: Json) -> Snapshot:
        """Read a `snapshot` object."""
        return cls(
            id=data["id"],
            name=data["name"],
            created_at=_instant(data["created_at"]),
            source_branch_id=data.get("source_branch_id"),
            lsn=data.get("lsn"),
            timestamp=_instant(data["timestamp"]) if data.get("timestamp") else None,
            expires_at=_instant(data["expires_at"]) if data.get("expires_at") else None,
            full_size=data.get("full_size"),
        )


@dataclass(frozen=True)
class Compute:
    """How large a compute may grow, in Compute Units, and after how many idle seconds it stops (0 = Neon's default)."""

    min_cu: float
    max_cu: float
    suspend_timeout_seconds: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields as POST and PATCH of an endpoint take them."""
        return {
            "autoscaling_limit_min_cu": self.min_cu,
            "autoscaling_limit_max_cu": self.max_cu,
            "suspend_timeout_seconds": self.suspend_timeout_seconds,
        }


@dataclass(frozen=True)
class Endpoint:
    """A compute endpoint: the host that clients connect to."""

    id: str
    project_id: str
    branch_id: str
    host: str
    type: str
    current_state: str
    disabled: bool
    compute: Compute

    @classmethod
    def from_json(cls, data: Json) -> Endpoint:
        """Read an `endpoint` object."""
        return cls(
            id=data["id"],
            project_id=data["project_id"],
            branch_id=data["branch_id"],
            host=data["host"],
            type=data["type"],
            current_state=data["current_state"],
            disabled=bool(data["disabled"]),
            compute=Compute(
                float(data["autoscaling_limit_min_cu"]),
                float(data["autoscaling_limit_max_cu"]),
                int(data["suspend_timeout_seconds"]),
            ),
        )


@dataclass(frozen=True)
class Role:
    """A role that Neon's API made. The password is there only in the answer that made or reset it."""

    name: str
    branch_id: str
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_json(cls, data: Json) -> Role:
        """Read a `role` object."""
        return cls(name=data["name"], branch_id=data["branch_id"], password=data.get("password") or None)


@dataclass(frozen=True)
class Database:
    """A database and the role that owns it."""

    name: str
    branch_id: str
    owner_name: str

    @classmethod
    def from_json(cls, data: Json) -> Database:
        """Read a `database` object."""
        return cls(name=data["name"], branch_id=data["branch_id"], owner_name=data["owner_name"])


@dataclass(frozen=True)
class Operation:
    """Something that Neon does in the background after it has answered."""

    id: str
    project_id: str
    action: str
    status: str
    created_at: datetime
    branch_id: str | None = None
    endpoint_id: str | None = None
    error: str | None = None

    def __str__(self) -> str:
        return f"{self.action} of {self.endpoint_id or self.branch_id or self.project_id} (operation {self.id})"

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more, well or badly."""
        return self.status in FINISHED_WELL or self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether it ended without doing what it was for."""
        return self.status in FINISHED_BADLY

    @property
    def is_deletion_under_way(self) -> bool:
        """Whether it removes something and is not done."""
        return self.action == "delete_timeline" and not self.is_finished

    @classmethod
    def from_json(cls, data: Json) -> Operation:
        """Read an `operation` object."""
        return cls(
            id=data["id"],
            project_id=data["project_id"],
            action=data["action"],
            status=data["status"],
            created_at=_instant(data["created_at"]),
            branch_id=data.get("branch_id"),
            endpoint_id=data.get("endpoint_id"),
            error=data.get("error"),
        )


@dataclass(frozen=True)
class NewBranch:
    """What a branch was created with: its endpoint too, when one was asked for."""

    branch: Branch
    endpoint: Endpoint | None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
