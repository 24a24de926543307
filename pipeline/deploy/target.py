"""Whether the server that answered is the one that was meant. Asked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.deploy.claim import Claim, holds, refuse_other_marker, require_claim, set_marker_sql
from pipeline.environments import LOCAL
from pipeline.errors import ConfigurationError, DatabaseFailed, NotLocal, Refused, WrongTarget
from pipeline.history import Marker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.deploy.locking import Opened
    from pipeline.deploy.steps import Permit
    from pipeline.history import History
    from pipeline.history.record import Author
    from pipeline.migrations.plan import Plan
    from pipeline.postgres import Identity


@dataclass(frozen=True)
class Target:
    """What is known about the server before it is asked.

    `environment` is the name that the person gave, if any. `branch_id` and `project_id` come from the stack's outputs and
    are empty for a bare DATABASE_URL. `local_only` is set by verbs that may run on a local server alone, and `claim` by
    those of them that write: without it no database is marked as local. `passwords` are those of the runtime roles, from
    the stack. `permit` lets pending files in, or refuses them; None lets in all.
    """

    environment: str = ""
    project_id: str = ""
    branch_id: str = ""
    local_only: bool = False
    claim: Claim | None = field(default=None, compare=False, repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    permit: Callable[[Target, Opened, Plan, Author], Permit] | None = field(default=None, compare=False, repr=False)


def check_target(target: Target, identity: Identity, history: History, shown: str, *, writes: bool = True) -> None:
    """Compare what was meant with who answered; for a verb that only looks (not `writes`), a standby will do.

    Raises:
        NotLocal: a local-only verb reached a Neon compute, or a database that is marked as another environment.
        WrongTarget: the server is another branch than the stack's, or another environment by its own marker.
        Refused: the database has the history of another tool, which nobody adopted yet.
        ConfigurationError: the session's triggers and foreign keys are switched off.
        DatabaseFailed: the server is a standby.
    """
    if target.local_only and identity.is_neon:
        raise NotLocal(
            f"{shown} leads to the Neon branch {identity.branch_id or '(unnamed)'}, which is not local",
            remedy="Nothing was changed. `./inv deploy --env …` applies committed migrations there.",
        )
    if writes:
        _check_writable(identity, shown)
    _check_branch(target, identity, shown)
    _check_marker(target, identity, history, shown)
    if identity.other_history and not history.exists:
        raise Refused(
            f"the database has a history of another tool, {identity.other_history}, and none of this pipeline",
            remedy="Nothing was changed. Adopt it: `./inv baseline --env … --through ID` (docs/adopting.md).",
        )


def admit(target: Target, opened: Opened, *, writes: bool = True) -> None:
    """Compare what was meant with the server of a session, and require the mark of a local database that a verb claims.

    Raises what `check_target` and `require_claim` raise.
    """
    check_target(target, opened.identity, opened.history, opened.session.shown_as, writes=writes)
    if target.claim is not None:
        require_claim(target.claim, opened.session, opened.identity, opened.history.marker)


def marker_sql(target: Target, history: History, identity: Identity) -> str:
    """What writes the marker, or nothing when it stands already or no environment was named."""
    marker = _marker(target, history, identity)
    return "" if marker is None or marker == history.marker else set_marker_sql(marker)


def _marker(target: Target, history: History, identity: Identity) -> Marker | None:
    """The marker that the target's database should have, as far as that is known."""
    if target.environment == LOCAL:
        return None if target.claim is None else Marker(LOCAL, "")
    if not target.environment:
        return None
    if target.branch_id:
        return Marker(target.environment, target.branch_id)
    # A bare URL proves less than a stack: it marks what has no marker, and leaves one that was inherited to the stack.
    return Marker(target.environment, identity.branch_id) if history.marker is None else None


def _check_writable(identity: Identity, shown: str) -> None:
    if identity.in_recovery:
        raise DatabaseFailed(
            f"{shown} is in recovery (a standby, or a server that is still starting): it takes no writes",
            remedy="Nothing was changed. Connect to the primary.",
        )
    # Only a superuser may set it, so it cannot be among the settings that our sessions begin with.
    if identity.replication_role == "replica":
        raise ConfigurationError(
            f"session_replication_role is replica in every session of {identity.user} at {shown}: files would run with "
            "their triggers and foreign keys switched off",
            remedy="Nothing was changed. As a superuser, where it was set: ALTER ROLE … or ALTER DATABASE … RESET "
            "session_replication_role.",
        )


def _check_branch(target: Target, identity: Identity, shown: str) -> None:
    if not target.branch_id:
        return
    if identity.branch_id != target.branch_id:
        found = f"the Neon branch {identity.branch_id}" if identity.branch_id else "no Neon compute at all"
        raise WrongTarget(
            f"the stack of {target.environment} names the Neon branch {target.branch_id}, and {shown} is {found}",
            remedy="Nothing was changed. Unset DATABASE_URL to take the stack's own, or give the environment that you mean.",
        )
    if target.project_id and identity.project_id != target.project_id:
        raise WrongTarget(
            f"the stack of {target.environment} names the Neon project {target.project_id}, "
            f"and {shown} is of {identity.project_id}",
            remedy="Nothing was changed. Run `pulumi up --refresh` on that stack, and look whether it was replaced.",
        )


def _check_marker(target: Target, identity: Identity, history: History, shown: str) -> None:
    marker = history.marker
    if target.local_only:
        refuse_other_marker(marker, identity, shown)
        return
    if marker is None or not holds(marker, identity) or not target.environment:
        return
    if marker.environment != target.environment:
        on = f" (branch {marker.branch_id})" if marker.branch_id else ""
        raise WrongTarget(
            f"this database says that it is {marker.environment}{on}, not {target.environment}",
            remedy=f"Nothing was changed. Was `--env {marker.environment}` meant? If the database changed its part, see "
            "docs/how-a-deploy-works.md.",
        )
