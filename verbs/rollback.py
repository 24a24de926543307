"""`rollback`: the local database, back to an earlier migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path


@verb(
    "local-only",
    "developers",
    flags={"to": "the id or number of the migration to keep as the last one; 0000 rolls back all"},
)
def rollback(root: Path, to: str = "") -> None:
    """Roll the local database back to a migration."""
    from pipeline.console.asking import type_name
    from pipeline.console.flags import required
    from pipeline.console.progress import progress
    from pipeline.console.text import counted, say, server_text
    from pipeline.deploy.entry import roll_back

    with progress() as shown:
        _environment, report = roll_back(root, required("to", to, "0003"), observer=shown, ask=type_name)
    server = server_text(report.server, report.identity)
    say(f"{counted(len(report.applied))} rolled back, {report.already} left: {server}")
