"""What a branch may be: names, plan limits, protection, expiry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from emulator import clock
from emulator.errors import bad_request, conflict, not_emulated, unprocessable

if TYPE_CHECKING:
    from emulator.control import Call
    from emulator.fields import Fields
    from emulator.state import Branch, Project

_SOURCES = ("parent-data", "schema-only")
_LONGEST_LIFE = timedelta(days=30)


def refuse_unsupported(asked: Fields) -> None:
    """501 for a branch of a kind that the emulator cannot make."""
    if (asked.text("init_source") or _SOURCES[0]) not in _SOURCES:
        raise bad_request(f"init_source must be one of {', '.join(_SOURCES)}")
    if asked.flag("archived"):
        raise not_emulated("an archived branch")


def require_free_name(project: Project, name: str) -> None:
    """409 when a living branch has the name."""
    if any(branch.name == name for branch in project.living()):
        raise conflict(f'branch already exists; branch_name:"{name}"')


def require_room(call: Call, project: Project) -> None:
    """422 when the plan allows no more branches."""
    limit = call.control.settings.plan.branches
    if len(project.living()) >= limit:
        raise unprocessable(f"branches limit exceeded; limit:{limit}", "BRANCHES_LIMIT_EXCEEDED")


def require_root(call: Call, project: Project) -> None:
    """422 when the plan allows no more root branches."""
    limit = call.control.settings.plan.root_branches
    if sum(branch.parent_id is None for branch in project.living()) >= limit:
        raise unprocessable(f"root branches limit exceeded; limit:{limit}", "ROOT_BRANCHES_LIMIT_EXCEEDED")


def require_protectable(call: Call, project: Project) -> None:
    """422 when the plan allows no more protected branches."""
    limit = call.control.settings.plan.protected_branches
    if sum(branch.protected for branch in project.living()) >= limit:
        raise unprocessable(f"protected branches limit exceeded; limit:{limit}", "PROTECTED_BRANCHES_LIMIT_EXCEEDED")


def read_expiry(call: Call, asked: Fields) -> str:
    """The expiry that is asked for, at most thirty days ahead."""
    try:
        instant = clock.read(asked.text("expires_at"))
    except ValueError:
        raise bad_request("expires_at must be an RFC 3339 time with a time zone") from None
    now = call.control.clock.now()
    if not now < instant <= now + _LONGEST_LIFE:
        raise bad_request("expires_at must be in the future, and at most 30 days away")
    return clock.write(instant)


def set_expiry(call: Call, branch: Branch, expires: str | None) -> None:
    """Let a branch expire then, or never (None)."""
    if expires != branch.expires_at:
        branch.ttl_interval_seconds = None if expires is None else round(-call.control.clock.seconds_since(expires))
    branch.expires_at = expires
