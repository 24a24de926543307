"""What CI asks of a checkout: that its migrations build schema.sql, roll back, and stop nobody; and the known ways around.

What proves that is imported by who asks for it: `renumber` is in this package too, and needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import packages
from pipeline.check.base import new_ids, read_base
from pipeline.deploy import inspect_server
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import Target
from pipeline.environments import LOCAL
from pipeline.postgres.connect import open_session
from servers.version import production_major

if TYPE_CHECKING:
    from pipeline.check.checking import Checked
    from pipeline.deploy.checkout import Checkout
    from pipeline.generate import Workbench
    from pipeline.generate.fixing import Fixed


def check_here(checkout: Checkout, *, base: str | None, lint_everything: bool) -> Checked:
    """Check a checkout with shadows on the local server. Raises what `check` raises."""
    from pipeline.check.checking import check
    from pipeline.generate.entry import proving_workbench

    packages.ensure("check")
    workbench = proving_workbench(checkout)
    _compare_versions(checkout, workbench)
    with as_exceptions():
        return check(workbench, base=base, lint_everything=lint_everything)


def fix_here(checkout: Checkout, *, base: str | None, lint_everything: bool) -> tuple[list[Fixed], Checked]:
    """Check, write anew what has a known way around, and check again. Raises what `check` and `fix` raise."""
    from pipeline.check.checking import check
    from pipeline.generate.entry import proving_workbench
    from pipeline.generate.fixing import FIXABLE, fix

    packages.ensure("check")
    workbench = proving_workbench(checkout)
    _compare_versions(checkout, workbench)
    with as_exceptions():
        first = check(workbench, base=base, lint_everything=lint_everything)
        folder = checkout.folder()
        paths = {finding.path for finding in first.findings if finding.rule in FIXABLE}
        ids = {file.id for file in folder.files if file.path in paths}
        if not ids:
            return [], first
        merged = (
            {file.id for file in folder.files} - new_ids(folder, read_base(workbench.migrations, base))
            if base
            else set()
        )
        applied = inspect_server(workbench.local, target=Target(LOCAL, local_only=True)).history.applied
        fixed = fix(workbench, ids, merged=merged, applied=applied)
        return fixed, check(workbench, base=base, lint_everything=lint_everything)


def _compare_versions(checkout: Checkout, workbench: Workbench) -> None:
    """Warn where what is proved is proved on another PostgreSQL than production's: each version has its own rules."""
    wanted = production_major(checkout.root)
    if wanted is None:
        return
    with open_session(workbench.shadow or workbench.local, application_name="db-pipeline check") as session:
        ((told,),) = session.run("SHOW server_version_num")[0].rows
    major = int(told or 0) // 10_000
    if major != wanted:
        checkout.observer.note(
            f"this is proved on PostgreSQL {major}, and production's is {wanted} (pgVersion of Pulumi.prod.yaml): what one "
            f"of them takes the other may refuse (docs/extensions.md)"
        )
