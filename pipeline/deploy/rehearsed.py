"""What lets pending files in: a receipt of their rehearsal where the environment asks for one, or a reason to go without.

first deploy      a database in which there is nothing: nobody waits for its locks, and no row can stop a file
receipt           it passed, and fits what the deploy finds
a reason          break glass: kept in the history, and shown by `status` from then on
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from pipeline.deploy.claim import holds
from pipeline.deploy.steps import Permit
from pipeline.environments import LOCAL
from pipeline.environments.stack_file import StackFile, read_stack_file, stack_file_name
from pipeline.errors import Refused, UsageError
from pipeline.history.rehearsals import FIRST, RECEIPT, SKIPPED, Admission, admission_sql
from pipeline.receipts.receipt import default_path

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.deploy.target import Target
    from pipeline.history import History
    from pipeline.history.record import Author
    from pipeline.migrations.plan import Plan
    from pipeline.postgres import Identity

_LONGEST: Final = 500  # characters of a reason


class Seen(Protocol):
    """A server that was looked at, with the deploy's lock or without."""

    @property
    def identity(self) -> Identity:
        """Who it is."""

    @property
    def history(self) -> History:
        """What it says is applied."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a deploy from the checkout at `root` has to show: a receipt's file, or a reason to go without one.

    `destroyed` are the rows that each file updates or deletes, by its id, as soon as a receipt has let it in.
    """

    root: Path
    receipt: Path | None = None
    reason: str = ""
    destroyed: dict[str, int] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        if self.reason and self.receipt is not None:
            raise UsageError("there is a receipt, and a reason to go without one", remedy="Give one of the two.")

    def permit(self, target: Target, seen: Seen, plan: Plan, author: Author) -> Permit:
        """Decide about the pending files of a plan. Nothing is asked of the server.

        Raises:
            Refused: there is no receipt, or it does not fit. Nothing was changed.
            ConfigurationError: the environment's settings cannot be read.
        """
        if target.local_only:
            return Permit(author)
        environment = _environment(target, seen)
        if self.reason:
            return _recorded(_skipped(environment, self.reason, plan, author), author)
        settings = read_stack_file(environment, self.root) if environment else StackFile("")
        if self.receipt is None:
            if not settings.requires_rehearsal:
                return Permit(author)
            if (first := _first(environment, seen, plan)) is not None:
                return _recorded(replace(first, actor=author.actor), author)
        return self._with_receipt(environment, settings, seen, plan, author)

    def _with_receipt(self, environment: str, settings: StackFile, seen: Seen, plan: Plan, author: Author) -> Permit:
        from pipeline.receipts.digests import history_digest
        from pipeline.receipts.fitting import Found, require_fit
        from pipeline.receipts.guard import Guard, guard_sql
        from pipeline.receipts.sealing import read_receipt, shown

        rehearse = f"./inv rehearse --env {environment or 'NAME'}"
        path = self.receipt or default_path(self.root, environment)
        if not path.is_file() and self.receipt is None:
            raise _no_receipt(environment, shown(path, self.root), rehearse)
        receipt = read_receipt(path, self.root, rehearse=rehearse)
        history, identity = seen.history, seen.identity
        if settings.project_id and settings.project_id != identity.project_id:
            raise Refused(
                f"{stack_file_name(environment)} names the Neon project {settings.project_id}, and this is "
                f"{identity.project_id or 'no Neon project'}",
                remedy="Nothing was changed. Deploy to the environment that you mean, or correct projectId.",
            )
        found = Found(
            environment=environment,
            project_id=identity.project_id,
            branch_id=identity.branch_id,
            pending={file.id: file.checksum for file in plan.pending},
            applied=history.applied,
            unfinished=history.unfinished,
            now=datetime.now(UTC),
        )
        schema = require_fit(receipt, found, where=shown(path, self.root), rehearse=rehearse)
        self.destroyed.update(receipt.destroyed)
        admission = Admission(receipt.digest, RECEIPT, receipt.environment, author.actor, document=receipt.text)
        sql = guard_sql(admission, history=history_digest(history.applied.values()), schema=schema)
        return Permit(replace(author, rehearsal=receipt.digest), Guard(sql, rehearse))


def checked_reason(text: str) -> str:
    """The reason to go without a rehearsal, as it is kept.

    Raises:
        UsageError: it says nothing, or too much.
    """
    reason = " ".join(text.split())
    if not any(character.isalnum() for character in reason):
        raise UsageError(
            "--without-rehearsal needs a reason", remedy='Say why: --without-rehearsal "the site is down: …".'
        )
    if len(reason) > _LONGEST:
        raise UsageError(f"the reason has {len(reason)} characters", remedy=f"Say it in {_LONGEST}.")
    return reason


def _environment(target: Target, seen: Seen) -> str:
    """The environment that was named, or else the one that the database says it is: a bare DATABASE_URL is no way around."""
    if target.environment:
        return target.environment
    marker = seen.history.marker
    return (
        marker.environment
        if marker is not None and holds(marker, seen.identity) and marker.environment != LOCAL
        else ""
    )


def _first(environment: str, seen: Seen, plan: Plan) -> Admission | None:
    """Let the first deploy in, of a database with nothing in it; and again what one did not come to the end of.

    All files of that deploy have the digest of its plan. A file that came later makes another plan.
    """
    lines = [f"{each.id} {each.checksum}" for each in plan.applied]
    lines = sorted(lines + [f"{file.id} {file.checksum}" for file in plan.pending])
    digest = sha256("\n".join(["first", *lines]).encode()).hexdigest()
    history = seen.history
    begun = {each.rehearsal for each in history.applied.values()}
    begun |= {each.rehearsal for each in history.unfinished.values()}
    if begun == {digest} or (not begun and not history.other_table):
        return Admission(digest, FIRST, environment)
    return None


def _skipped(environment: str, reason: str, plan: Plan, author: Author) -> Admission:
    said = {
        "reason": reason,
        "environment": environment,
        "actor": author.actor,
        "host": author.host,
        "at": datetime.now(UTC).isoformat(),
        "pending": {file.id: file.checksum for file in plan.pending},
    }
    text = json.dumps(said, sort_keys=True)
    return Admission(sha256(text.encode()).hexdigest(), SKIPPED, environment, author.actor, reason, document=text)


def _recorded(admission: Admission, author: Author) -> Permit:
    from pipeline.receipts.guard import Guard

    return Permit(replace(author, rehearsal=admission.digest), Guard(admission_sql(admission)))


def _no_receipt(environment: str, where: str, rehearse: str) -> Refused:
    return Refused(
        f"{environment} takes only what was rehearsed ({stack_file_name(environment)}), and there is no receipt",
        where=where,
        remedy=f"Nothing was changed. Rehearse it: {rehearse}. Where that was done elsewhere, give its file: --receipt FILE. "
        'In an emergency: --without-rehearsal "the reason", which the history keeps (docs/receipts.md).',
    )
