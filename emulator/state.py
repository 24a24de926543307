"""What the control plane remembers, and how it survives a restart: one JSON file, replaced atomically.

Instants are text as the API writes it (see clock.py). Roles and databases mirror the branch's catalogs: the catalogs
are the truth, the mirror is what can be told while the server sleeps.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from servers import write_private

if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = ("scheduling", "running", "cancelling")
KEPT_OPERATIONS = 500


@dataclass
class Role:
    """A role of a branch. `password` is the last one that the API gave, None when the role never had one from it."""

    name: str
    created_at: str
    updated_at: str
    password: str | None = None
    login: bool = True


@dataclass
class Database:
    """A database of a branch."""

    id: int
    name: str
    owner_name: str
    created_at: str
    updated_at: str


@dataclass
class Base:
    """A base copy of a timeline's data, from which its log is replayed (see history.py).

    It is the state at `position` or later, with the log from the segment number `first` on. `taken` is the machine's time
    in seconds since 1970, as in Timeline. `path` is relative to the data folder.
    """

    path: str
    position: int
    first: int
    taken: float


@dataclass
class Timeline:
    """The data of a branch with its history, in `branches/ID`; restoring a branch gives it another one.

    It left its `ancestor` at the position `cut`. Its own log has PostgreSQL's timeline id `postgres`, from the segment number
    `begin` on. What happened before `floor` (a position) and `floor_time` is not this branch's history.
    `dropped`: its branch is gone, and only what others need of it is kept.
    """

    id: str
    postgres: int
    begin: int
    begun: float
    cut: int
    floor: int
    floor_time: float
    ancestor: str | None = None
    bases: list[Base] = field(default_factory=list)
    dropped: bool = False


@dataclass
class Branch:
    """A branch: its data directory is `branches/TIMELINE/data`. `synced` is false when the mirror may be behind.

    The timeline has the branch's id until the branch is restored. `backup`: it is the old state of a branch that was restored
    from its own history, and may be deleted even if it is a root. `restored_from`: the snapshot that it was made of;
    `restored_as`: the branch whose place it takes when its restore is finalized.
    """

    id: str
    name: str
    created_at: str
    updated_at: str
    state_changed_at: str
    current_state: str = "init"
    pending_state: str | None = None
    parent_id: str | None = None
    parent_lsn: str | None = None
    parent_timestamp: str | None = None
    default: bool = False
    protected: bool = False
    expires_at: str | None = None
    ttl_interval_seconds: int | None = None
    logical_size: int = 0
    annotation: dict[str, Any] = field(default_factory=dict)
    roles: list[Role] = field(default_factory=list)
    databases: list[Database] = field(default_factory=list)
    synced: bool = True
    deleted_at: str | None = None
    deletion_method: str = "user"
    timeline: str = ""
    init_source: str | None = None
    last_reset_at: str | None = None
    backup: bool = False
    restored_from: str | None = None
    restored_as: str | None = None

    def __post_init__(self) -> None:
        """The first timeline of a branch, also of one that an earlier emulator wrote."""
        self.timeline = self.timeline or self.id


@dataclass
class Snapshot:
    """A kept state of a root branch: its data directory is `branches/ID/data`, with its log as in Timeline.

    `full_size` is in bytes, None until it is `ready`.
    """

    id: str
    name: str
    source_branch_id: str
    created_at: str
    lsn: str
    timestamp: str
    expires_at: str | None = None
    full_size: int | None = None
    roles: list[Role] = field(default_factory=list)
    databases: list[Database] = field(default_factory=list)
    postgres: int = 0
    begin: int = 0
    position: int = 0
    ready: bool = False


@dataclass
class Endpoint:
    """A compute: `port` is its front door, `pooler_port` the door that plays the -pooler host.

    With a `domain`, its hosts have names in it, and the pooler's leads to `port` as well.
    """

    id: str
    branch_id: str
    port: int
    pooler_port: int
    created_at: str
    updated_at: str
    min_cu: float
    max_cu: float
    suspend_timeout_seconds: int = 0
    type: str = "read_write"
    current_state: str = "init"
    settings: dict[str, Any] = field(default_factory=dict)
    pooler_enabled: bool = False
    disabled: bool = False
    passwordless_access: bool = True
    name: str | None = None
    domain: str = ""
    last_active: str | None = None
    started_at: str | None = None
    suspended_at: str | None = None


@dataclass
class Operation:
    """A step of work. `work` says what to do (see work.py); steps of one request share `request`."""

    id: str
    action: str
    created_at: str
    updated_at: str
    work: dict[str, Any]
    request: str
    branch_id: str | None = None
    endpoint_id: str | None = None
    status: str = "scheduling"
    error: str | None = None
    failures_count: int = 0
    total_duration_ms: int = 0


@dataclass
class Project:
    """A project with all that belongs to it. Branches of a soft-deleted state stay in `branches` until purged."""

    id: str
    name: str
    org_id: str
    region_id: str
    pg_version: int
    store_passwords: bool
    history_retention_seconds: int
    default_endpoint_settings: dict[str, Any]
    settings: dict[str, Any]
    created_at: str
    updated_at: str
    provisioner: str = "k8s-neonvm"
    last_database_id: int = 0
    branches: dict[str, Branch] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    timelines: dict[str, Timeline] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether operations are under way, so that new ones are refused."""
        return any(operation.status in UNFINISHED for operation in self.operations)

    def living(self) -> list[Branch]:
        """The branches that are not deleted, oldest first."""
        return [branch for branch in self.branches.values() if branch.deleted_at is None]

    def children(self, branch: Branch) -> list[Branch]:
        """The living branches cut from this one."""
        return [other for other in self.living() if other.parent_id == branch.id]

    def endpoints_of(self, branch: Branch) -> list[Endpoint]:
        """The computes of a branch."""
        return [endpoint for endpoint in self.endpoints.values() if endpoint.branch_id == branch.id]


_Kind = TypeVar("_Kind", Branch, Snapshot)


class Store:
    """Every project, in memory and in `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.projects: dict[str, Project] = {}
        if path.exists():
            self.projects = {item["id"]: _project(item) for item in json.loads(path.read_text())["projects"]}

    def timelines(self) -> set[str]:
        """Every timeline that has a folder or is about to get one, and every snapshot."""
        projects = self.projects.values()
        used = {branch.timeline for project in projects for branch in project.branches.values()}
        return used.union(*(project.timelines for project in projects), *(project.snapshots for project in projects))

    def save(self) -> None:
        """Replace the file as a whole, so that a killed emulator leaves the old state or the new one."""
        for project in self.projects.values():
            del project.operations[:-KEPT_OPERATIONS]
        text = json.dumps({"projects": [asdict(project) for project in self.projects.values()]})
        write_private(self._path, text)


def _project(item: dict[str, Any]) -> Project:
    branches = {key: _with_catalogs(Branch, value) for key, value in item.pop("branches").items()}
    endpoints = {key: Endpoint(**value) for key, value in item.pop("endpoints").items()}
    operations = [Operation(**value) for value in item.pop("operations")]
    timelines = {key: _timeline(value) for key, value in item.pop("timelines", {}).items()}
    snapshots = {key: _with_catalogs(Snapshot, value) for key, value in item.pop("snapshots", {}).items()}
    return Project(
        **item,
        branches=branches,
        endpoints=endpoints,
        operations=operations,
        timelines=timelines,
        snapshots=snapshots,
    )


def _timeline(item: dict[str, Any]) -> Timeline:
    bases = [Base(**value) for value in item.pop("bases")]
    return Timeline(**item, bases=bases)


def _with_catalogs(kind: type[_Kind], item: dict[str, Any]) -> _Kind:
    roles = [Role(**value) for value in item.pop("roles")]
    databases = [Database(**value) for value in item.pop("databases")]
    return kind(**item, roles=roles, databases=databases)
