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
    from pipeline.deploy.entry import deploy as apply_committed

    with progress() as shown:
        environment, report = apply_committed(
            root,
            env or None,
            observer=shown,
            lock_wait=seconds("wait", wait),
            ask=type_name,
            uncommitted=uncommitted,
        )
    if json:
        from pipeline.console.documents import deploy_document, print_document

        print_document(deploy_document(environment.name, report))
    else:
        from pipeline.console.text import show_report

        show_report(report)
