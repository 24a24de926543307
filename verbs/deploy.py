"""`deploy`: the committed migrations, onto an environment; `reader`: who may look at what it would do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
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
        "backfill-seconds": "how long to work on each batched file (60); `backfill` goes on with what is left",
        "receipt": "the receipt of the rehearsal, where it is another file than the one that `rehearse` wrote",
        "without-rehearsal": "the reason to do without a receipt, in an emergency: the history keeps it",
        "uncommitted": UNCOMMITTED,
        "dry-run": f"{DRY_RUN}; with --json, the document of `plan`",
    },
    bare="env",
)
def deploy(  # noqa: PLR0913, PLR0917 - each is a flag
    root: Path,
    env: str = "",
    json: bool = False,
    wait: str = "",
    backfill_seconds: str = "",
    receipt: str = "",
    without_rehearsal: str = "",
    uncommitted: bool = False,
    dry_run: bool = False,
) -> None:
    """Apply the committed migrations to an environment."""
    from pathlib import Path as File

    from pipeline.console.flags import not_with, seconds
    from pipeline.deploy.checkout import BACKFILL_SECONDS
    from pipeline.deploy.checkout import deploy as apply_committed
    from pipeline.deploy.rehearsed import checked_reason
    from verbs.status import show_dry_run

    not_with("without-rehearsal", bool(without_rehearsal), receipt=bool(receipt))
    file = File(receipt) if receipt else None
    reason = checked_reason(without_rehearsal) if without_rehearsal else ""
    lock_wait = seconds("wait", wait)
    limit = seconds("backfill-seconds", backfill_seconds)
    with on_environment(root, env, "deploy", writes=not dry_run, uncommitted=uncommitted) as checkout:
        if dry_run:
            show_dry_run(checkout, as_json=json, receipt=file, without_rehearsal=reason)
            return
        has_webhook = bool(os.environ.get("DEPLOY_WEBHOOK_URL"))
        try:
            report = apply_committed(
                checkout,
                lock_wait=lock_wait,
                backfill_seconds=BACKFILL_SECONDS if limit is None else limit,
                receipt=file,
                without_rehearsal=reason,
            )
        except PipelineError as error:
            if has_webhook:
                from pipeline.console.webhook import tell_failed

                tell_failed(checkout.environment.name, error, checkout.observer)
            raise
        if has_webhook:
            from pipeline.console.webhook import tell_applied

            tell_applied(checkout.environment.name, report, checkout.observer)
    if json:
        from pipeline.console.documents import deploy_document, print_document

        print_document(deploy_document(checkout.environment.name, report))
    else:
        from pipeline.console.text import show_report

        show_report(report)


@verb("deploy", "platform engineers", flags={"env": ENV}, bare="env")
def reader(root: Path, env: str = "") -> None:
    """Make the role that reads the history alone, or change its password, and print its URL for CI's plan."""
    from pipeline.console.text import say
    from pipeline.deploy.reader import make_reader
    from pipeline.history.beside import READER

    with on_environment(root, env, "reader", writes=True) as checkout:
        url = make_reader(checkout)
        checkout.observer.note(
            f"{READER} of {checkout.url.host} has a new password; the old one is refused from now on"
        )
    say(url.reveal())
