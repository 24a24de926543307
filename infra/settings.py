"""A stack's configuration as a frozen value, checked before anything is made.

Every setting stands in one of the tables below with its default, what it may be, and how it is read. A wrong, missing
or unknown one raises `SettingError`, which names the key and the stack, says what is allowed, and ends with the
command that sets it right.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pulumi

from services import DATABASE, OWNER, PROJECT, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class SettingError(pulumi.RunError):
    """One setting of one stack is wrong or missing. Pulumi shows the message without a traceback."""


@dataclass(frozen=True)
class Quota:
    """Hard limits for a billing period; None is none."""

    active_time_seconds: int | None = None
    compute_time_seconds: int | None = None
    written_data_bytes: int | None = None
    data_transfer_bytes: int | None = None
    logical_size_bytes: int | None = None


@dataclass(frozen=True)
class Settings:
    """What both kinds of stack have. `password_versions` are those of the services, by role.

    `rehearsal`, `keep_points_days` and the `backfill_…` are for the pipeline, which reads them in the stack's file by itself
    (`pipeline/environments/stack_file.py`); here they are only checked.
    """

    branch_name: str
    database_name: str
    owner_name: str
    protected: bool
    min_cu: float
    max_cu: float
    suspend_timeout_seconds: int
    rehearsal: str
    keep_points_days: int
    backfill_wal_rate: int
    backfill_wal_total: int
    owner_password_version: int
    password_versions: Mapping[str, int]


@dataclass(frozen=True)
class ProjectSettings(Settings):
    """A stack that owns a Neon project and its default branch. `project_id` is the existing one to take over."""

    project_name: str
    project_id: str | None
    org_id: str | None
    region_id: str
    pg_version: int
    history_retention_seconds: int
    allowed_ips: tuple[str, ...]
    allowed_ips_protected_branches_only: bool
    quota: Quota | None


@dataclass(frozen=True)
class BranchSettings(Settings):
    """A stack that owns a branch of a project that another one owns.

    The parent is another stack's branch (`parent_stack`), or a branch by its ids, for those who may not read that stack.
    `branch_id` is the existing branch to take in. `expires_at` is when Neon deletes it: ISO 8601 with a zone.
    """

    parent_stack: str | None
    project_id: str | None
    parent_branch_id: str | None
    branch_id: str | None
    expires_at: str | None


@dataclass(frozen=True)
class _Key:
    """One setting: how it is read, what may be said, and what it is when nothing is said (a `None` may be meant)."""

    read: Callable[[str], Any]
    allowed: str
    example: str
    default: Any = None
    required: bool = False


def load(stack: str, config: Mapping[str, str]) -> ProjectSettings | BranchSettings:
    """Read a stack's configuration, keys without their namespace. Raises SettingError."""
    owns = config.get("owns")
    if owns not in {"project", "branch"}:
        said = "is missing" if owns is None else f"is {owns!r}"
        raise _error(stack, "owns", said, "project (a Neon project with its main branch), or branch", "branch")
    keys = _COMMON | (_PROJECT if owns == "project" else _BRANCH)
    others = _BRANCH if owns == "project" else _PROJECT
    for name, text in config.items():
        if name != "owns" and name not in keys and not _is_default(others.get(name), text):
            raise _unknown(stack, name, owns, keys)
    values = {_snake(name): _value(stack, name, key, config.get(name)) for name, key in keys.items()}
    values["password_versions"] = {service.role: values.pop(_snake(service.password_version)) for service in SERVICES}
    if values["branch_name"] is None:
        values["branch_name"] = "main" if owns == "project" else stack
    settings = ProjectSettings(**values) if owns == "project" else BranchSettings(**values)
    if isinstance(settings, BranchSettings):
        _check_parent(stack, settings)
        if settings.expires_at is not None and settings.protected:
            raise _error(stack, "protected", "is true beside expiresAt", "a protected branch does not expire", "false")
    if settings.min_cu > settings.max_cu:
        allowed = f"a number from 0.25 to maxCu ({settings.max_cu:g})"
        raise _error(stack, "minCu", f"is {settings.min_cu:g}, above maxCu", allowed, "0.25")
    return settings


def _check_parent(stack: str, settings: BranchSettings) -> None:
    allowed = "either parentStack (STACK, or ORGANIZATION/PROJECT/STACK), or both projectId and parentBranchId"
    by_id = settings.project_id is not None, settings.parent_branch_id is not None
    if settings.parent_stack is None and not any(by_id):
        raise _error(stack, "parentStack", "is missing", allowed, "prod")
    if settings.parent_stack is not None and any(by_id):
        raise _error(stack, "parentStack", "is given beside projectId or parentBranchId", allowed, "prod")
    if settings.parent_stack is None and not all(by_id):
        lacks, example = ("parentBranchId", "br-...") if by_id[0] else ("projectId", "quiet-sea-123456")
        raise _error(stack, lacks, "is missing", allowed, example)


def _value(stack: str, name: str, key: _Key, text: str | None) -> Any:
    if text is None:
        if key.required:
            raise _error(stack, name, "is missing", key.allowed, key.example)
        return key.default
    if not text.strip() and not key.required:
        raise SettingError(
            f"stack {stack}: the setting {name} is empty. Allowed: {key.allowed}, or nothing at all.\n"
            f"Take it out with: pulumi config rm --stack {stack} {name}"
        )
    try:
        return key.read(text)
    except ValueError:
        raise _error(stack, name, f"is {text!r}", key.allowed, key.example) from None


def _is_default(key: _Key | None, text: str) -> bool:
    """Whether it says what holds anyway. Pulumi gives every stack the defaults of Pulumi.yaml, whatever it owns."""
    try:
        return key is not None and key.default is not None and key.read(text) == key.default
    except ValueError:
        return False


def _error(stack: str, name: str, said: str, allowed: str, example: str) -> SettingError:
    return SettingError(
        f"stack {stack}: the setting {name} {said}. Allowed: {allowed}.\n"
        f"Set it with: pulumi config set --stack {stack} {name} {example}"
    )


def _unknown(stack: str, name: str, owns: str, keys: Mapping[str, _Key]) -> SettingError:
    other = _BRANCH if owns == "project" else _PROJECT
    reason = f"is for a stack that does not own a {owns}" if name in other else "is not one of this program's"
    return SettingError(
        f"stack {stack}: the setting {name} {reason}. Allowed: owns, {', '.join(sorted(keys))}.\n"
        f"Remove it with: pulumi config rm --stack {stack} {name}"
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _text(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return read


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        number = float(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return read


def _instant(text: str) -> str:
    """Normalise to whole seconds in UTC, so that one moment is written in one way."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment.microsecond:
        raise ValueError(text)
    return moment.astimezone(UTC).isoformat()


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _addresses(text: str) -> tuple[str, ...]:
    items = json.loads(text)
    # Addresses, CIDR blocks and ranges a-b, of either family: the characters are checked here, the rest by Neon.
    if not isinstance(items, list) or not all(
        isinstance(i, str) and re.fullmatch(r"[0-9a-fA-F.:/-]+", i) for i in items
    ):
        raise ValueError(text)
    return tuple(items)


def _quota(text: str) -> Quota:
    given = json.loads(text)
    names = {_snake(name): value for name, value in given.items()} if isinstance(given, dict) else {"": 0}
    if not set(names) <= set(Quota.__dataclass_fields__) or not all(type(v) is int and v > 0 for v in names.values()):
        raise ValueError(text)
    return Quota(**names)


_NAME = _text(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_COMPUTE_UNITS = "a number of Compute Units from 0.25 to 56 (Free plan: at most 2; autoscaling on paid plans: 16)"
_VERSION = "a whole number; another one makes another password"

_COMMON: dict[str, _Key] = {
    "branchName": _Key(_text(r"\S.{0,255}"), "a name", "dev"),
    "databaseName": _Key(_NAME, "a name of letters, digits, _ and -", DATABASE, DATABASE),
    "ownerName": _Key(_NAME, "a name of letters, digits, _ and -", OWNER, OWNER),
    "protected": _Key(_flag, "true (Launch plan: 2 branches, Scale: 5) or false", "false", default=False),
    "minCu": _Key(_number(0.25, 56), _COMPUTE_UNITS, "0.25", 0.25),
    "maxCu": _Key(_number(0.25, 56), _COMPUTE_UNITS, "2", 2.0),
    "suspendTimeoutSeconds": _Key(
        _whole(-1, 604_800), "seconds up to 604800; 0 is Neon's default of 5 minutes, -1 is never", "0", 0
    ),
    "rehearsal": _Key(
        _text(r"required|off"),
        "required (a deploy needs the receipt of a rehearsal), or off",
        "required",
        "off",
    ),
    "keepPointsDays": _Key(_whole(1, 30), "whole days from 1 to 30", "7", 7),
    "backfillWalRate": _Key(_whole(0, 100_000), "megabytes of WAL a second, 0 for as many as it needs", "20", 0),
    "backfillWalTotal": _Key(_whole(0, 10**9), "megabytes of WAL for a run, 0 for as many as it needs", "500", 0),
    # 0 takes the password as it is; every other number, when it changes, resets it.
    "ownerPasswordVersion": _Key(_whole(0, 10**9), f"{_VERSION}; 0 leaves an existing one alone", "2", 1),
    **{service.password_version: _Key(_whole(1, 10**9), _VERSION, "2", 1) for service in SERVICES},
}

_PROJECT: dict[str, _Key] = {
    "projectName": _Key(_text(r"\S.{0,63}"), "a name of at most 64 characters", PROJECT, PROJECT),
    "projectId": _Key(_text(r"[a-z0-9-]+"), "the id of an existing project to take over", "quiet-sea-123456"),
    "orgId": _Key(_text(r"org-[a-z0-9-]+"), "an organization's id, org-...", "org-..."),
    "regionId": _Key(
        _text(r"(aws|azure)-[a-z0-9-]+"), "a region of Neon's, such as aws-us-east-1", "aws-us-east-1", required=True
    ),
    "pgVersion": _Key(_whole(14, 18), "14, 15, 16, 17 or 18", "16", 16),
    # Trap: the provider's own default of a day is above what the Free plan keeps, which refuses it.
    "historyRetentionSeconds": _Key(
        _whole(0, 2_592_000), "seconds: up to 21600 (Free), 604800 (Launch), 2592000 (Scale)", "21600", 21_600
    ),
    "allowedIps": _Key(_addresses, 'a JSON list of addresses, ["203.0.113.0/24"]', "'[\"203.0.113.0/24\"]'", ()),
    "allowedIpsProtectedBranchesOnly": _Key(_flag, "true or false", "false", default=False),
    "quota": _Key(
        _quota,
        "a JSON object of activeTimeSeconds, computeTimeSeconds, writtenDataBytes, dataTransferBytes, logicalSizeBytes",
        "'{\"activeTimeSeconds\": 3600000}'",
    ),
}

_BRANCH: dict[str, _Key] = {
    "parentStack": _Key(
        _text(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,2}"),
        "the stack to branch from: STACK, or ORGANIZATION/PROJECT/STACK",
        "prod",
    ),
    "projectId": _Key(_text(r"[a-z0-9-]+"), "the id of the project to branch in", "quiet-sea-123456"),
    "parentBranchId": _Key(_text(r"br-[a-z0-9-]+"), "the id of the branch to branch from, br-...", "br-..."),
    "branchId": _Key(_text(r"br-[a-z0-9-]+"), "the id of an existing branch to take in, br-...", "br-..."),
    "expiresAt": _Key(
        _instant, "a moment with a time zone, in whole seconds, at most 30 days ahead", "2026-12-31T18:00:00Z"
    ),
}
