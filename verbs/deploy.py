"""`deploy`: the committed migrations, onto an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import ENV, JSON, UNCOMMITTED, WAIT, verb

if TYPE_CHECKING:
    from pathlib import Path


@verb("deploy", "CI", flags={"env": ENV, "json": JSON, "wait": WAIT, "uncommitted": UNCOMMITTED})
def deploy(root: Path, env: str = "", json: bool = False, wait: str = "", uncommitted: bool = False) -> None:
    """Apply the committed migrations to an environment."""
    from pipeline.console.flags import seconds
    from pipeline.console.progress import progress
    from pipeline.console.terminal import type_name
    from pipeline.deploy.checkout import deploy as apply_committed
    from pipeline.deploy.checkout import open_checkout

    lock_wait = seconds("wait", wait)
    with progress() as shown:
        checkout = open_checkout(root, env or None, "deploy", observer=shown, ask=type_name, uncommitted=uncommitted)
        report = apply_committed(checkout, lock_wait=lock_wait)
    if json:
        from pipeline.console.documents import deploy_document, print_document

        print_document(deploy_document(checkout.environment.name, report))
    else:
        from pipeline.console.text import show_report

        show_report(report)
