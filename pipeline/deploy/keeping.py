"""A kept point before a deploy that destroys something, where the environment asks for rehearsals.

It is made under the deploy's lock, before the first file, so that it has everything that was committed until then. A deploy with
nothing pending, or with nothing that destroys, asks nobody anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline.environments.stack_file import read_stack_file
from pipeline.lint.losses import losses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeline.deploy.locking import Opened
    from pipeline.deploy.observer import Observer
    from pipeline.environments.stack_file import StackFile
    from pipeline.kept_points import KeptPoint
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.neon import NeonClient

# Acknowledged commits are before it, and the storage has it, or will in a moment. Where the log is written next it may not have.
_POSITION = "SELECT pg_catalog.pg_current_wal_flush_lsn()"
_NO_SUCH_MOMENT = frozenset({400, 404, 406, 412, 416, 422})


@dataclass(frozen=True)
class Keeper:
    """Keeps the state of an environment before files that destroy something.

    `changed` are the rows that a rehearsal saw updated or deleted, by a file's id.
    """

    root: Path
    environment: str
    observer: Observer
    changed: Mapping[str, int] = field(default_factory=dict)
    client: Callable[[], NeonClient] | None = None

    def __call__(self, opened: Opened, folder: Folder, pending: Sequence[MigrationFile]) -> KeptPoint | None:
        """Make the point, and say where it is; None where none is due, or none can be made.

        Raises:
            ConfigurationError: the settings of the stack cannot be read, or what the client needs cannot be had.
            NeonFailed: Neon refused, as where its plan has no room. Nothing was run.
        """
        settings = read_stack_file(self.environment, self.root)
        if not settings.requires_rehearsal or not (file := self._first_that_destroys(folder, pending)):
            return None
        migration, what = file
        why = self._why_not(opened)
        if why:
            self.observer.note(
                f"{migration} destroys {what}, and no point is kept: {why}. The way back is the project's history alone, "
                "while it reaches that far: the position before each file is recorded."
            )
            return None
        point = self._keep(opened, settings, migration)
        until = f", until {point.branch.expires_at:%Y-%m-%d %H:%M} UTC" if point.branch.expires_at else ""
        self.observer.note(
            f"{migration} destroys {what}; the state before it is kept as {point.branch.name}{until}. The way back: "
            f"./inv restore --env {self.environment}"
        )
        return point

    def _first_that_destroys(self, folder: Folder, pending: Sequence[MigrationFile]) -> tuple[str, str] | None:
        """The first file that destroys something, and what."""
        by_text = losses(folder.files, [file.id for file in pending])
        for file in pending:
            if lost := by_text.get(file.id):
                return file.id, lost[0] + (f" and {len(lost) - 1} more" if len(lost) > 1 else "")
            if rows := self.changed.get(file.id):
                return file.id, f"what was in {rows} rows, as its rehearsal saw"
        return None

    def _why_not(self, opened: Opened) -> str:
        if not (opened.identity.project_id and opened.identity.branch_id):
            return "this is no Neon branch"
        if self.client is None and not os.environ.get("NEON_API_KEY", "").strip():
            return "NEON_API_KEY is not set"
        return ""

    def _keep(self, opened: Opened, settings: StackFile, migration: str) -> KeptPoint:
        from pipeline import packages

        packages.ensure("infra")
        from pipeline.kept_points import keep
        from pipeline.leases import Source
        from pipeline.neon import ApiError, Moment, NeonClient
        from pipeline.neon.moments import NOW

        self.observer.working(f"the state before {migration} is kept")
        position = str(opened.session.run(_POSITION)[0].rows[0][0])
        identity, lasts = opened.identity, timedelta(days=settings.keep_points_days)
        source = Source(identity.project_id, identity.branch_id, "", identity.database, Moment(lsn=position))
        with self.client() if self.client else NeonClient.from_environment(os.environ) as client:
            try:
                return keep(client, source, self.environment, migration, lasts=lasts)
            except ApiError as refusal:
                if refusal.status not in _NO_SUCH_MOMENT or refusal.says_no_room:
                    raise
                # the storage does not have the position yet: what it has now is as good, since nothing runs meanwhile
                return keep(client, replace(source, moment=NOW), self.environment, migration, lasts=lasts)
