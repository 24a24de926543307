"""What can go wrong, and the exit code that says so.

::

    PipelineError                   1  unexpected
     +-- UsageError                 2  the command was given wrongly
     |    +-- ConfigurationError    2  an environment variable, a file or a stack setting is missing or wrong
     +-- Refused                    3  a guard said no; nothing was changed
     |    +-- NotLocal              3  a local-only verb was pointed at something that is not local
     |    +-- WrongTarget           3  the server is not the one that the environment names
     |    +-- BehindPooler          3  a session lock means nothing behind a transaction-mode pooler
     |    +-- SchemaDiffers         3  adoption: the database is not what the files would build
     +-- InvalidPlan                4  the plan cannot be run: edited, missing, malformed, lint, drift
     |    +-- MigrationFileError    4  one file is at fault; `where` names it
     |    +-- AnotherBranch         4  the local database has migrations of another git branch, or as they were
     |    +-- ProvenBreak           4  a rehearsal has shown what the pending migrations break
     +-- DatabaseFailed             5  the database refused or was lost
     |    +-- MigrationFailed       5  a statement of a migration file failed
     +-- NeonFailed                 5  Neon's API refused or was lost
     +-- TimedOut                   6  a lock or a wait took too long
     +-- NotMeasured                7  something was asked for and could not be measured, which is never a pass
     +-- Interrupted          130/143  SIGINT or SIGTERM; the statement was cancelled on the server

Every error says what happened, where (a file and line, when there is one), and what to do next. None carries a password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pipeline.outcome import Outcome


class PipelineError(Exception):
    """A failure that is explained to the person who ran the command, without a traceback.

    `message` says what happened, and how the run stands where it has an `outcome`; `where` is "file:line" or "file" (or
    empty), `remedy` says what to do next (or is empty).
    """

    exit_code: ClassVar[int] = 1
    _before_outcome: ClassVar[str] = "\n"

    def __init__(self, message: str, *, where: str = "", remedy: str = "", outcome: Outcome | None = None) -> None:
        super().__init__(message)
        self.what = message
        self.where = where
        self.remedy = remedy
        self.outcome = outcome

    @property
    def message(self) -> str:
        """What happened, and how the run stands, as a person reads it."""
        return self.what if self.outcome is None else f"{self.what}{self._before_outcome}{self.outcome}"

    def __str__(self) -> str:
        """One block of text: where, what, and the remedy on a line of its own."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n{self.remedy}" if self.remedy else head


class UsageError(PipelineError):
    """The command was given wrongly."""

    exit_code = 2


class ConfigurationError(UsageError):
    """An environment variable, a file or a stack setting is missing or wrong."""


class Refused(PipelineError):
    """A guard said no; nothing was changed."""

    exit_code = 3


class NotLocal(Refused):
    """A local-only verb was pointed at something that is not local."""


class WrongTarget(Refused):
    """The server is not the one that the environment names."""


class BehindPooler(Refused):
    """The connection goes through a transaction-mode pooler, where a session lock means nothing."""


class SchemaDiffers(Refused):
    """Adoption was refused: the database is not what the migration files would build."""


class InvalidPlan(PipelineError):
    """The plan cannot be run: a file was edited, is missing or malformed, lint or drift. `faults` are its parts, if any."""

    exit_code = 4
    faults: tuple[InvalidPlan, ...] = ()


class MigrationFileError(InvalidPlan):
    """One migration file is at fault; `where` names it, with the line where that is known."""


class AnotherBranch(InvalidPlan):
    """The local database has migrations that the checkout does not have: of another git branch, or in an earlier text."""


class ProvenBreak(InvalidPlan):
    """A rehearsal has shown what the pending migrations break. Production was not touched."""


class DatabaseFailed(PipelineError):
    """The database refused or was lost. The message says what is applied."""

    exit_code = 5


class MigrationFailed(DatabaseFailed):
    """A statement of a migration file failed; nothing of that file is applied."""


class NeonFailed(PipelineError):
    """Neon's API refused or was lost. The message carries its request id, never the key."""

    exit_code = 5


class TimedOut(PipelineError):
    """A lock or a wait took too long."""

    exit_code = 6


class NotMeasured(PipelineError):
    """What was asked for could not be measured: neither passed nor broken."""

    exit_code = 7


class Interrupted(PipelineError):
    """SIGINT or SIGTERM arrived; what ran was cancelled on the server."""

    _before_outcome = "; "

    def __init__(
        self,
        message: str,
        *,
        signal_number: int,
        where: str = "",
        remedy: str = "",
        outcome: Outcome | None = None,
    ) -> None:
        super().__init__(message, where=where, remedy=remedy, outcome=outcome)
        self.signal_number = signal_number

    @property
    def exit_status(self) -> int:
        """128 + the signal's number, as a shell reports it."""
        return 128 + self.signal_number
