"""`init`: a fresh clone becomes another product's repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path


@verb(
    "checkout",
    "platform engineers",
    flags={
        "name": "what the product is called, such as shop",
        "services": "NAME:CLIENT or NAME:CLIENT:read, with commas between: api:prisma,worker:asyncpg,report:psycopg:read",
        "database": "the database; left out, the product's name",
        "owner": "the role that owns it; left out, NAME_owner",
        "project": "Pulumi's project, and Neon's; left out, NAME-database",
        "dry_run": "say what would be done, and do nothing",
    },
)
def init(
    root: Path,
    name: str = "",
    services: str = "",
    database: str = "",
    owner: str = "",
    project: str = "",
    dry_run: bool = False,
) -> None:
    """Make a fresh clone another product's repository."""
    from pipeline.console.flags import required
    from pipeline.console.text import say
    from pipeline.initialising import initialise, plan_initialisation, read_services

    plan = plan_initialisation(
        root,
        required("name", name, "shop"),
        read_services(required("services", services, "api:prisma,worker:asyncpg")),
        database=database,
        owner=owner,
        project=project,
    )
    for path in plan.removed if dry_run else ():
        say(f"would remove {path}")
    for path in plan.written if dry_run else ():
        say(f"would write {path}")
    if dry_run:
        return
    initialise(root, plan)
    say(f"this is {plan.product.name}'s repository now: {len(plan.removed)} files removed, {len(plan.written)} written")
    say(
        "Look at it: git status. Then: git add -A && git commit -m 'The database of its own product', and ./inv migrate"
    )
