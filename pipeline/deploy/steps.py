"""What a run is made of: files in one direction, and what each kind of step is handed to run its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.history.record import NOT_AS_REHEARSED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.deploy.notices import Notices
    from pipeline.deploy.observer import Observer
    from pipeline.errors import Refused
    from pipeline.history import Unfinished
    from pipeline.history.record import Author
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.script import Kind, Script
    from pipeline.postgres.session import ServerError, Session
    from pipeline.receipts.guard import Guard


@dataclass(frozen=True, slots=True)
class AppliedNow:
    """A migration that this run applied. `milliseconds` is what its transaction took, None where nobody could measure it."""

    id: str
    milliseconds: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One file in one direction; `script` is what runs."""

    file: MigrationFile
    script: Script
    backward: bool = False

    @property
    def id(self) -> str:
        """The migration's id."""
        return self.file.id

    @property
    def kind(self) -> Kind:
        """How it is run."""
        return self.script.kind


@dataclass(frozen=True, slots=True)
class Permit:
    """What lets pending files in: who they are recorded by, and what goes out before the first of them, if anything."""

    author: Author
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What steps need to run. `committed` is told of each that is on the disk, and of its milliseconds.

    `unfinished` is what the history says of files that were begun and whose end is not recorded. `backfill_seconds` is how long a
    batched file may be worked on, None until it is done. `guard` is what goes out before the `first` step, in its
    transaction.
    """

    session: Session
    author: Author
    observer: Observer
    notices: Notices
    unfinished: Mapping[str, Unfinished]
    committed: Callable[[str, int | None], None]
    backfill_seconds: float | None = None
    guard: Guard | None = None
    first: str = ""

    def guarded(self, step: Step, sql: str) -> str:
        """What is sent first of a step: its SQL, and of the first step the guard before it."""
        return sql if self.guard is None or step.id != self.first else self.guard.sql + sql

    def refusal(self, error: ServerError) -> Refused | None:
        """What the guard's refusal means; None for any other error."""
        return self.guard.refusal(error) if self.guard is not None and error.sqlstate == NOT_AS_REHEARSED else None
