"""The guard of local-only verbs. There is no flag and no variable that switches it off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import NotLocal

if TYPE_CHECKING:
    from pipeline.environments import Environment
    from pipeline.postgres import Identity

# What serves the same purpose on a server that is not local.
_INSTEAD = {
    "migrate": "`./inv deploy --env NAME` applies committed migrations there; `./inv plan --env NAME` shows them.",
    "rollback": "Roll forward there: a new migration that mends the last one (docs/a-bad-migration.md).",
    "push": "`./inv deploy --env NAME` applies committed migrations there.",
    "reset": "A Neon branch is made anew from its parent in Neon's console or by Pulumi, never from here.",
    "seed": "Made-up rows belong on a local database.",
}


def require_local(environment: Environment, verb: str) -> None:
    """Refuse a local-only verb by the address alone, before anything connects to it.

    Raises:
        NotLocal: the host is neither loopback, nor a socket, nor the Compose service.
    """
    if not environment.is_local:
        raise NotLocal(
            f"`{verb}` works on a local database only, and {environment.source} leads to {_shown(environment)}",
            remedy=f"Nothing was changed. {_remedy(verb)}",
        )


def require_not_neon(environment: Environment, identity: Identity, verb: str) -> None:
    """Refuse it by what the server said of itself: a tunnel makes any server look local.

    Raises:
        NotLocal: the server is a Neon compute.
    """
    if identity.is_neon:
        branch = identity.branch_id or "without a name"
        raise NotLocal(
            f"`{verb}` works on a local database only, and {_shown(environment)} leads to the Neon branch {branch}",
            remedy=f"Nothing was changed. {_remedy(verb)}",
        )


def _remedy(verb: str) -> str:
    instead = _INSTEAD.get(verb)
    unset = "For the local database, unset DATABASE_URL (in .env as well)."
    return f"{instead} {unset}" if instead else unset


def _shown(environment: Environment) -> str:
    port = f":{environment.url.port}" if environment.url.port else ""
    return f"{environment.url.host or 'no host that it names'}{port}"
