"""`push`: schema.sql straight onto a disposable local database, with no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import InvalidPlan, MigrationFailed, Refused
from pipeline.generate.proposals.arranging import arrange
from pipeline.generate.proposals.grants import grants_for
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError
from pipeline.schema.dump import deviations, listed, read_objects
from pipeline.schema.facts import read_facts
from pipeline.schema.replay import load, read_built
from pipeline.schema.shadows import open_shadows
from servers.extensions import remedy_of

if TYPE_CHECKING:
    from pipeline.generate import Workbench


@dataclass(frozen=True)
class Pushed:
    """The statements that were run on the local database, or would be; none when it was as schema.sql says."""

    statements: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


def push(workbench: Workbench, *, allow_destructive: bool = False, dry_run: bool = False) -> Pushed:
    """Make the local database what schema.sql says, in one transaction where PostgreSQL allows it, with no file.

    The history knows nothing of it: `reset` is the way back to what the migrations build. With `dry_run` nothing is run.

    Raises:
        Refused: rows would be lost, and that was not allowed; nothing was changed.
        MigrationFailed: a statement failed; its transaction was rolled back.
        InvalidPlan: schema.sql is at fault, or holds what the differ does not handle.
    """
    with open_shadows(workbench.local, workbench.shadow) as shadows:
        desired = shadows.create("desired")
        load(desired, workbench.schema)
        objects, facts = read_objects(desired), read_facts(desired)
        local = read_built(workbench.local)
        if not deviations(objects, local.objects, grants=False):
            return Pushed()
        difference = workbench.differ.difference(workbench.local, desired, roles=facts.roles)
        arrangement = arrange(difference.forward, local.facts, facts, careful=False)
        if arrangement.losses and not allow_destructive:
            lost = "".join(f"\n  {loss}" for loss in arrangement.losses)
            raise Refused(
                f"this loses data:{lost}", remedy="Nothing was changed. If the rows do not matter: --allow-destructive."
            )
        groups = [[each.sql for each in part.statements] for part in arrangement.parts]
        if groups:
            groups[-1] += [each.sql for each in grants_for([sql for group in groups for sql in group], local, facts)]
        if dry_run:
            return Pushed(tuple(sql for group in groups for sql in group), arrangement.losses)
        _run(workbench, groups)
        if wrong := deviations(objects, read_objects(workbench.local), grants=False):
            raise InvalidPlan(
                f"the local database is still not what schema.sql says:\n{listed(wrong)}",
                remedy="The differ does not handle these. Make them by hand, or as a migration: `./inv migrate --name …`.",
            )
    return Pushed(tuple(sql for group in groups for sql in group), arrangement.losses)


def _run(workbench: Workbench, groups: list[list[str]]) -> None:
    with open_session(workbench.local, application_name="db-pipeline push") as session:
        for group in groups:
            try:
                session.run(";\n".join(group))
            except ServerError as error:
                failed = group[min(len(error.results), len(group) - 1)]
                raise MigrationFailed(
                    f"{error.message}\n  in: {failed}",
                    remedy=remedy_of(error.message) or "Its transaction was rolled back. Is the rows' shape the cause?",
                ) from error
