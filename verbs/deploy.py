"""`deploy`: the committed migrations, onto an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import DRY_RUN, ENV, JSON, UNCOMMITTED, WAIT, on_environment, verb

if TYPE_CHECKING:
    from pathlib import Path


@verb(
    "deploy",
    "CI",
    flags={
        "env": ENV,
        "json": JSON,
        "wait": WAIT,
        "uncommitted": UNCOMMITTED,
        "dry-run": f"{DRY_RUN}; with --json, the document of `plan`",
    },
    bare="env",
)
def deploy(
    root: Path, env: str = "", json: bool = False, wait: str = "", uncommitted: bool = False, dry_run: bool = False
) -> None:
    """Apply the committed migrations to an environment."""
    from pipeline.console.flags import seconds
    from pipeline.deploy.checkout import deploy as apply_committed
    from verbs.status import show_dry_run

    lock_wait = seconds("wait", wait)
    with on_environment(root, env, "deploy", writes=not dry_run, uncommitted=uncommitted) as checkout:
        if dry_run:
            show_dry_run(checkout, as_json=json)
            return
        report = apply_committed(checkout, lock_wait=lock_wait)
    if json:
        from pipeline.console.documents import deploy_document, print_document

        print_document(deploy_document(checkout.environment.name, report))
    else:
        from pipeline.console.text import show_report

        show_report(report)
