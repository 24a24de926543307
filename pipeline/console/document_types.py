"""The types of the JSON documents of --json: their fields, and what each means. Fields are added, never renamed.

`verbs/reference` makes docs/reference.md and the JSON Schemas of docs/schemas from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline.console.document_parts import (
    ENVIRONMENT,
    FAULTS,
    HELD,
    ID,
    WARNINGS,
    AppliedNow,
    Fault,
    PendingFile,
    RoleDeviation,
    Server,
)
from pipeline.console.rehearsal.document_types import Rehearse
from pipeline.console.restore_document import Restore
from pipeline.receipts.document import Statement


@dataclass(frozen=True)
class BackfillState:
    """How far the data change of a batched file is."""

    id: Annotated[str, ID]
    state: Annotated[str, '"registered" (it waits, or is at work), "paused", "aborted" or "complete"']
    percent: Annotated[int, "how much is done; 100 only when nothing is left"]
    passes: Annotated[int, "how often its rows are gone through by now: more than once where rows were added behind it"]
    visited: Annotated[int, "rows gone through in this pass"]
    left: Annotated[int, "rows still to be gone through in this pass, estimated"]
    changed: Annotated[int, "rows that it has changed"]
    remaining: Annotated[int | None, "what its own query counted at the end of the last pass, or null before"]
    rows_per_second: Annotated[int | None, "how fast it goes while it is at work, or null"]
    seconds_left: Annotated[int | None, "what the rest takes at that speed, or null"]
    wal_bytes: Annotated[int, "WAL that the server wrote during its batches"]
    waits_for: Annotated[str | None, "why it waits, when it was last seen waiting, or null"]
    updated_at: Annotated[str, "when it was last heard of"]


@dataclass(frozen=True)
class Backfill:
    """What `backfill --json` prints."""

    verb: Annotated[Literal["backfill"], '"backfill"']
    environment: Annotated[str | None, ENVIRONMENT]
    server: Annotated[Server, "who answered"]
    complete: Annotated[bool, "whether nothing is left that is to be gone on with"]
    worked_on: Annotated[list[str], "ids of those that this run worked on"]
    backfills: Annotated[list[BackfillState], "every backfill that a deploy has registered, by id"]


@dataclass(frozen=True)
class Deploy:
    """What `deploy --json` prints."""

    verb: Annotated[Literal["deploy"], '"deploy"']
    environment: Annotated[str | None, ENVIRONMENT]
    server: Annotated[Server, "who answered"]
    already_applied: Annotated[int, "how many migrations were applied before"]
    applied: Annotated[list[AppliedNow], "those that this run applied, in order"]
    activated_roles: Annotated[list[str], "the runtime roles that were given LOGIN and a password in this run"]
    corrected_roles: Annotated[list[RoleDeviation], "what of the runtime roles was put right in this run"]
    kept_point: Annotated[
        str | None, "the branch that keeps the state before this run, which destroyed something; null for none"
    ]
    backfills: Annotated[list[BackfillState], "the batched files among them, and how far they are"]


@dataclass(frozen=True)
class Plan:
    """What `plan --json` prints."""

    verb: Annotated[Literal["plan"], '"plan"']
    environment: Annotated[str | None, ENVIRONMENT]
    server: Annotated[Server, "who answered"]
    already_applied: Annotated[int, "how many migrations are applied"]
    pending: Annotated[list[PendingFile], "what a deploy would run, in order"]
    held: Annotated[list[str], HELD]
    due_passwords: Annotated[list[str], "the runtime roles to which a deploy gives LOGIN and the stack's password"]
    warnings: Annotated[list[str], WARNINGS]
    faults: Annotated[list[Fault], FAULTS]


@dataclass(frozen=True)
class AppliedMigration:
    """A migration as the history has it."""

    id: Annotated[str, ID]
    applied_at: Annotated[str | None, "when, as ISO 8601 in UTC"]
    checksum: Annotated[str | None, "that of the file which ran; null where stock yoyo recorded it"]
    commit: Annotated[
        str | None, "the commit that holds the file which ran, uncommitted where none did, or null where nobody knows"
    ]
    actor: Annotated[str | None, "who deployed it, or null"]
    milliseconds: Annotated[int | None, "what it took, or null"]
    wal_position_before: Annotated[str | None, "where a restore to the moment before it would go, or null"]
    rehearsal: Annotated[str | None, "the digest of what let it in, one of `rehearsals`, or null"]


@dataclass(frozen=True)
class KeptRehearsal:
    """What let pending files in."""

    digest: Annotated[str, "the receipt's own, or that of what was written down instead"]
    kind: Annotated[str, '"receipt", "first" for the first deploy of an empty database, or "skipped"']
    environment: Annotated[str, "the environment that it was of, or empty"]
    at: Annotated[str, "when the files were let in, as ISO 8601 in UTC"]
    actor: Annotated[str, "who deployed them"]
    reason: Annotated[str, "why there was no rehearsal, or empty"]
    applied: Annotated[list[str], "the ids of those that are applied"]


@dataclass(frozen=True)
class ExpandedColumn:
    """A column that stands double while two releases of the services use it."""

    id: Annotated[str, "the migration that made it so"]
    table: Annotated[str, "its table, with the schema where that is not public"]
    old: Annotated[str, "the column that goes"]
    new: Annotated[str, "the column that takes its place"]
    since: Annotated[str | None, "when that was deployed, as ISO 8601 in UTC, or null"]
    missing: Annotated[list[str], "sentences: what is still to come before the old one can go"]


@dataclass(frozen=True)
class Status:
    """What `status --json` prints."""

    verb: Annotated[Literal["status"], '"status"']
    environment: Annotated[str | None, ENVIRONMENT]
    server: Annotated[Server, "who answered"]
    deployable: Annotated[bool, "whether a deploy would run: true also when nothing is pending"]
    applied: Annotated[list[AppliedMigration], "what is applied, by id"]
    pending: Annotated[list[str], "ids that a deploy would apply, in order"]
    edited: Annotated[list[str], "ids whose file is not the one that was applied"]
    missing: Annotated[list[str], "ids that are applied and have no file"]
    out_of_order: Annotated[list[str], "pending ids that sort before an applied one"]
    held: Annotated[list[str], HELD]
    due_passwords: Annotated[list[str], "as in plan"]
    unfinished: Annotated[list[str], "ids of non-transactional files that were started and whose end nobody recorded"]
    backfills: Annotated[list[BackfillState], "every backfill that a deploy has registered, by id"]
    rehearsals: Annotated[list[KeptRehearsal], "what let files in, oldest first (docs/receipts.md)"]
    expanded: Annotated[list[ExpandedColumn], "columns that stand double here (docs/expand-contract.md), by id"]
    roles: Annotated[
        list[RoleDeviation], "what of the runtime roles is not as it is to be; a deploy with a stack puts it right"
    ]
    warnings: Annotated[list[str], WARNINGS]
    faults: Annotated[list[Fault], FAULTS]


@dataclass(frozen=True)
class Deployment:
    """What was done to a migration, once."""

    id: Annotated[str, ID]
    operation: Annotated[
        str,
        '"apply", "rollback", "mark" for one that was recorded and not run, "unmark" of stock yoyo, "held" for one that a '
        'restore undid, or "released"',
    ]
    at: Annotated[str | None, "when, as ISO 8601 in UTC, or null"]
    actor: Annotated[str | None, "who did it, or null"]
    host: Annotated[str | None, "on which machine, or null"]
    commit: Annotated[str | None, "as in status"]
    milliseconds: Annotated[int | None, "what its transaction or its statement took, or null"]
    slow: Annotated[bool, "whether that is `slow_from` or more"]
    wal_position_before: Annotated[str | None, "as in status"]
    rehearsal: Annotated[str | None, "as in status"]
    without_rehearsal: Annotated[str | None, "the reason that somebody gave to run it without a rehearsal, or null"]


@dataclass(frozen=True)
class PastDeployments:
    """What `history --json` prints."""

    verb: Annotated[Literal["history"], '"history"']
    environment: Annotated[str | None, ENVIRONMENT]
    server: Annotated[Server, "who answered"]
    slow_from: Annotated[int, "in milliseconds, from where on one is slow"]
    entries: Annotated[list[Deployment], "what was done, oldest first; empty where nothing was deployed yet"]


@dataclass(frozen=True)
class DriftedObject:
    """An object that is not what the migrations made of it."""

    verdict: Annotated[str, '"missing", "unexpected" or "changed"']
    kind: Annotated[str, "the kind of object"]
    name: Annotated[str, "its name"]
    expected: Annotated[str | None, "its definition by the migrations, or null"]
    found: Annotated[str | None, "its definition in the database, or null"]


@dataclass(frozen=True)
class Diff:
    """What `diff --json` prints."""

    verb: Annotated[Literal["diff"], '"diff"']
    environment: Annotated[str | None, ENVIRONMENT]
    server: Annotated[str, "host:port/database"]
    applied: Annotated[int, "how many migrations are applied"]
    pending: Annotated[list[str], "ids that are not applied there, and are no drift"]
    drift: Annotated[
        list[DriftedObject], "the objects that are not what the migrations made of them; empty when there are none"
    ]


@dataclass(frozen=True)
class CheckFinding:
    """What was found, and where."""

    path: Annotated[str, "the file"]
    line: Annotated[int, "from 1, as the next three"]
    column: Annotated[int, "where it begins"]
    end_line: Annotated[int, "where it ends"]
    end_column: Annotated[int, "behind its last character"]
    rule: Annotated[str, "the rule; one of ours has its page in docs/lint"]
    message: Annotated[str, "what is wrong"]
    help: Annotated[str, "what to write instead, or empty"]


@dataclass(frozen=True)
class Check:
    """What `check --json` prints."""

    verb: Annotated[Literal["check"], '"check"']
    migrations: Annotated[int, "how many there are"]
    linted: Annotated[int, "how many were linted: with `--base`, those that are not on it"]
    findings: Annotated[list[CheckFinding], "what was found, by file and line; empty when all is well"]


@dataclass(frozen=True)
class BranchProject:
    """The Neon project."""

    id: Annotated[str, "its id"]
    name: Annotated[str, "its name"]


@dataclass(frozen=True)
class Branch:
    """A branch of the project."""

    name: Annotated[str, "its name"]
    id: Annotated[str, "its id"]
    parent: Annotated[str | None, "its parent's name, or null"]
    age: Annotated[int, "in seconds"]
    expires_in: Annotated[int | None, "in seconds, or null where it does not expire"]
    size: Annotated[int | None, "in bytes, or null while Neon has not measured it"]
    state: Annotated[str, "Neon's word for it, as ready"]
    default: Annotated[bool, "whether it is the project's default branch"]
    protected: Annotated[bool, "whether it is protected"]
    purpose: Annotated[
        str | None, "what the pipeline made it for: rehearsal, look, preview, kept; null where it did not"
    ]
    stack: Annotated[str | None, "the stack whose branch it is, or null; nobody's where purpose is null as well"]


@dataclass(frozen=True)
class Namesake:
    """Another project of the same name."""

    id: Annotated[str, "its id"]
    name: Annotated[str, "its name"]
    created_at: Annotated[str, "when, as ISO 8601"]


@dataclass(frozen=True)
class Branches:
    """What `branches --json` prints."""

    project: Annotated[BranchProject, "the Neon project"]
    branches: Annotated[list[Branch], "its branches, parents first"]
    namesakes: Annotated[list[Namesake], "other projects of the same name, which a failed `pulumi up` may have left"]
    deleted: Annotated[list[str], "the names of the branches that --clean deleted"]


@dataclass(frozen=True)
class PreviewService:
    """A service's connection to the preview."""

    name: Annotated[str, "the service, as product.toml names it"]
    role: Annotated[str, "the role that it connects as"]
    database_url: Annotated[str | None, "pooled, in the form that its client takes; null without --show"]


@dataclass(frozen=True)
class Preview:
    """What `preview --json` prints. With `--down` all that is about the branch is null or empty."""

    verb: Annotated[Literal["preview"], '"preview"']
    name: Annotated[str, "the name that was given"]
    source: Annotated[str, "the environment that it is a copy of"]
    state: Annotated[Literal["made", "renewed", "deleted", "absent"], "what came of the branch"]
    branch_name: Annotated[str, "the branch's name"]
    branch_id: Annotated[str | None, "the branch's id"]
    project_id: Annotated[str | None, "the Neon project's id"]
    has_rows: Annotated[bool | None, "whether it has the environment's rows"]
    expires_at: Annotated[str | None, "when Neon deletes it, as ISO 8601"]
    console_url: Annotated[str | None, "the branch in Neon's console"]
    pending: Annotated[list[PendingFile], "what was pending on it, in order"]
    warnings: Annotated[list[str], WARNINGS]
    applied: Annotated[list[AppliedNow], "what was applied, in order"]
    services: Annotated[list[PreviewService], "the services' connections"]


@dataclass(frozen=True)
class ErrorDetail:
    """Why a verb failed."""

    kind: Annotated[str, "the class in pipeline/errors.py"]
    message: Annotated[str, "what happened"]
    where: Annotated[str, "file or file:line, or empty"]
    remedy: Annotated[str, "what to do next, or empty"]
    exit_code: Annotated[int, "the exit code of the command"]


@dataclass(frozen=True)
class Error:
    """What any verb with `--json` prints when it fails before its document."""

    error: Annotated[ErrorDetail, "instead of the document, where the verb failed before it could print one"]


Document = (
    Deploy | Backfill | Plan | Status | PastDeployments | Diff | Check | Branches | Preview | Rehearse | Restore | Error
)

DOCUMENTS: dict[str, type[Document]] = {
    "backfill": Backfill,
    "deploy": Deploy,
    "plan": Plan,
    "status": Status,
    "history": PastDeployments,
    "diff": Diff,
    "check": Check,
    "branches": Branches,
    "restore": Restore,
    "rehearse": Rehearse,
    "preview": Preview,
    "error": Error,
}

# What stands in a file, and not on standard output.
FILES: dict[str, type] = {"receipt": Statement}
