"""What CI asks of a checkout: that its migrations build schema.sql, roll back, and stop nobody; and the known ways around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import packages
from pipeline.check.base import new_ids, read_base
from pipeline.check.checking import check
from pipeline.deploy import inspect_server
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import Target
from pipeline.environments import LOCAL
from pipeline.generate.entry import proving_workbench
from pipeline.generate.fixing import FIXABLE, fix

if TYPE_CHECKING:
    from pipeline.check.checking import Checked
    from pipeline.deploy.checkout import Checkout
    from pipeline.generate.fixing import Fixed


def check_here(checkout: Checkout, *, base: str | None, lint_everything: bool) -> Checked:
    """Check a checkout with shadows on the local server. Raises what `check` raises."""
    packages.ensure("check")
    workbench = proving_workbench(checkout)
    with as_exceptions():
        return check(workbench, base=base, lint_everything=lint_everything)


def fix_here(checkout: Checkout, *, base: str | None, lint_everything: bool) -> tuple[list[Fixed], Checked]:
    """Check, write anew what has a known way around, and check again. Raises what `check` and `fix` raise."""
    packages.ensure("check")
    workbench = proving_workbench(checkout)
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
