"""The API's JSON for what the state holds (field lists: Neon's OpenAPI document of 2026-07)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from emulator import clock

if TYPE_CHECKING:
    from emulator.settings import Plan
    from emulator.state import Branch, Database, Endpoint, Operation, Project, Role, Snapshot

Json = dict[str, Any]
RECOVERABLE = timedelta(days=7)
_PROXY_HOST = "127.0.0.1"
_LOGICAL_SIZE_LIMIT_MB = 512
_NO_USE = {
    "cpu_used_sec": 0,
    "active_time_seconds": 0,
    "compute_time_seconds": 0,
    "written_data_bytes": 0,
    "data_transfer_bytes": 0,
}


def project_shape(project: Project, plan: Plan) -> Json:
    """A project. Consumption is always zero: the emulator does not meter."""
    return _NO_USE | {
        "data_storage_bytes_hour": 0,
        "id": project.id,
        "platform_id": project.region_id.split("-", maxsplit=1)[0],
        "region_id": project.region_id,
        "name": project.name,
        "provisioner": project.provisioner,
        "default_endpoint_settings": project.default_endpoint_settings,
        "settings": project.settings,
        "pg_version": project.pg_version,
        "proxy_host": _PROXY_HOST,
        "branch_logical_size_limit": _LOGICAL_SIZE_LIMIT_MB,
        "branch_logical_size_limit_bytes": _LOGICAL_SIZE_LIMIT_MB << 20,
        "store_passwords": project.store_passwords,
        "creation_source": "console",
        "history_retention_seconds": project.history_retention_seconds,
        "created_at": project.created_at,
        "updated_at": project.updated_at,
        "synthetic_storage_size": sum(branch.logical_size for branch in project.living()),
        "consumption_period_start": project.created_at,
        "consumption_period_end": clock.write(clock.read(project.created_at) + timedelta(days=30)),
        "owner_id": project.org_id,
        "owner": {
            "email": "owner@example.test",
            "name": "emulator",
            "branches_limit": plan.branches,
            "subscription_type": plan.owner_type,
        },
        "org_id": project.org_id,
    }


def project_item_shape(project: Project, plan: Plan) -> Json:
    """A project in a list."""
    left_out = ("data_storage_bytes_hour", "consumption_period_start", "consumption_period_end", "owner")
    shape = project_shape(project, plan)
    return {"active_time": 0} | {name: value for name, value in shape.items() if name not in left_out}


def branch_shape(project: Project, branch: Branch) -> Json:
    """A branch, deleted or not."""
    shape: Json = _NO_USE | {
        "id": branch.id,
        "project_id": project.id,
        "name": branch.name,
        "current_state": branch.current_state,
        "state_changed_at": branch.state_changed_at,
        "logical_size": branch.logical_size,
        "creation_source": "console",
        "primary": branch.default,
        "default": branch.default,
        "protected": branch.protected,
        "created_at": branch.created_at,
        "updated_at": branch.updated_at,
        "created_by": {"name": "emulator", "image": ""},
    }
    if branch.parent_id is not None or branch.init_source is not None:
        shape["init_source"] = branch.init_source or "parent-data"
    optional = (
        *("parent_id", "parent_lsn", "parent_timestamp", "pending_state"),
        *("expires_at", "ttl_interval_seconds", "last_reset_at", "restored_from", "restored_as"),
    )
    shape |= {name: value for name in optional if (value := getattr(branch, name)) is not None}
    if branch.deleted_at is not None:
        shape["recovery"] = {
            "deleted_at": branch.deleted_at,
            "recoverable_until": clock.write(clock.read(branch.deleted_at) + RECOVERABLE),
            "deletion_method": branch.deletion_method,
        }
    return shape


def snapshot_shape(snapshot: Snapshot) -> Json:
    """A snapshot; its size once it is there."""
    shape: Json = {
        "id": snapshot.id,
        "name": snapshot.name,
        "lsn": snapshot.lsn,
        "timestamp": snapshot.timestamp,
        "source_branch_id": snapshot.source_branch_id,
        "created_at": snapshot.created_at,
        "manual": True,
    }
    optional = ("expires_at", "full_size")
    return shape | {name: value for name in optional if (value := getattr(snapshot, name)) is not None}


def endpoint_host(endpoint: Endpoint, *, pooled: bool = False) -> str:
    """The host of an endpoint, with its port: a client puts it in a URL as it is."""
    if endpoint.domain:
        return f"{endpoint.id}{'-pooler' if pooled else ''}.{endpoint.domain}:{endpoint.port}"
    return f"127.0.0.1:{endpoint.pooler_port if pooled else endpoint.port}"


def endpoint_shape(project: Project, endpoint: Endpoint) -> Json:
    """A compute endpoint."""
    shape: Json = {
        "host": endpoint_host(endpoint, pooled=endpoint.pooler_enabled),
        "id": endpoint.id,
        "project_id": project.id,
        "branch_id": endpoint.branch_id,
        "autoscaling_limit_min_cu": endpoint.min_cu,
        "autoscaling_limit_max_cu": endpoint.max_cu,
        "region_id": project.region_id,
        "type": endpoint.type,
        "current_state": endpoint.current_state,
        "settings": {"pg_settings": {}} | endpoint.settings,
        "pooler_enabled": endpoint.pooler_enabled,
        "pooler_mode": "transaction",
        "disabled": endpoint.disabled,
        "passwordless_access": endpoint.passwordless_access,
        "creation_source": "console",
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
        "proxy_host": _PROXY_HOST,
        "suspend_timeout_seconds": endpoint.suspend_timeout_seconds,
        "provisioner": project.provisioner,
    }
    optional = ("name", "last_active", "started_at", "suspended_at")
    return shape | {name: value for name in optional if (value := getattr(endpoint, name)) is not None}


def role_shape(branch: Branch, role: Role, *, password: bool = False) -> Json:
    """A role; its password only where Neon shows it (created or reset)."""
    shape = {
        "branch_id": branch.id,
        "name": role.name,
        "protected": False,
        "authentication_method": "password" if role.login else "no_login",
        "created_at": role.created_at,
        "updated_at": role.updated_at,
    }
    return shape | ({"password": role.password} if password and role.password is not None else {})


def database_shape(branch: Branch, database: Database) -> Json:
    """A database."""
    return {
        "id": database.id,
        "branch_id": branch.id,
        "name": database.name,
        "owner_name": database.owner_name,
        "created_at": database.created_at,
        "updated_at": database.updated_at,
    }


def operation_shape(project: Project, operation: Operation) -> Json:
    """An operation."""
    shape: Json = {
        "id": operation.id,
        "project_id": project.id,
        "action": operation.action,
        "status": operation.status,
        "failures_count": operation.failures_count,
        "created_at": operation.created_at,
        "updated_at": operation.updated_at,
        "total_duration_ms": operation.total_duration_ms,
    }
    optional = ("branch_id", "endpoint_id", "error")
    return shape | {name: value for name in optional if (value := getattr(operation, name)) is not None}


def connection_uri(endpoint: Endpoint, role: Role, database: str, *, pooled: bool = False) -> str:
    """A URL that opens a database as a role."""
    secret = quote(role.password or "", safe="")
    host = endpoint_host(endpoint, pooled=pooled)
    query = "sslmode=require&channel_binding=require"
    return f"postgresql://{quote(role.name, safe='')}:{secret}@{host}/{quote(database, safe='')}?{query}"


def connection_uris(branch: Branch, endpoints: list[Endpoint]) -> list[Json]:
    """What the answer to creating a branch or project carries: a URL per compute, for the oldest database."""
    if not branch.databases:
        return []
    database = branch.databases[0]
    role = next((role for role in branch.roles if role.name == database.owner_name), None)
    if role is None or role.password is None:
        return []
    return [
        {
            "connection_uri": connection_uri(endpoint, role, database.name),
            "connection_parameters": {
                "database": database.name,
                "password": role.password,
                "role": role.name,
                "host": endpoint_host(endpoint),
                "pooler_host": endpoint_host(endpoint, pooled=True),
            },
        }
        for endpoint in endpoints
    ]
