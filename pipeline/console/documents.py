"""The JSON documents of --json, made of what the pipeline returns. Their fields are described in document_types.py."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline.console.backfills import backfill_state
from pipeline.console.document_parts import AppliedNow, Fault, PendingFile, PlannedStatement, RoleDeviation, Server
from pipeline.console.document_types import (
    AppliedMigration,
    Backfill,
    Branch,
    Branches,
    BranchProject,
    Check,
    CheckFinding,
    Deploy,
    Deployment,
    Diff,
    Document,
    DriftedObject,
    Error,
    ErrorDetail,
    ExpandedColumn,
    KeptRehearsal,
    Namesake,
    PastDeployments,
    Plan,
    Status,
)
from pipeline.console.terminal import write_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.check.checking import Checked
    from pipeline.deploy import Report
    from pipeline.deploy.backfilling import Backfilled
    from pipeline.deploy.past import Past
    from pipeline.deploy.status import DeployStatus
    from pipeline.environments.branches import OwnedBranches
    from pipeline.errors import PipelineError
    from pipeline.generate.drift import Comparison
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.plan import Applied
    from pipeline.postgres import Identity
    from pipeline.roles.deviations import Deviation

_printed: list[Document] = []  # by this process


def print_document(document: Document) -> None:
    """One document, alone on standard output."""
    _printed.append(document)
    # JSON keeps DEL as it is, which a terminal would obey, and `##[`, which GitHub's runner would
    text = json.dumps(asdict(document), indent=2).replace("\x7f", "\\u007f").replace("##[", "\\u0023#[")
    write_out(text + "\n")


def print_error(error: PipelineError, exit_code: int) -> None:
    """The error as the document, where the verb has not printed its own: a reader of standard output expects one."""
    if not _printed:
        print_document(Error(ErrorDetail(type(error).__name__, error.message, error.where, error.remedy, exit_code)))


def deploy_document(environment: str | None, report: Report) -> Deploy:
    """What was applied, and put right."""
    return Deploy(
        verb="deploy",
        environment=environment,
        server=_server(report.server, report.identity),
        already_applied=report.already,
        applied=[AppliedNow(each.id, each.milliseconds) for each in report.applied],
        activated_roles=list(report.activated),
        corrected_roles=_deviations(report.corrected),
        kept_point=report.kept or None,
        backfills=[backfill_state(each) for each in report.backfills],
    )


def plan_document(environment: str | None, found: DeployStatus) -> Plan:
    """What a deploy would run."""
    return Plan(
        verb="plan",
        environment=environment,
        server=_server(found.server, found.identity),
        already_applied=len(found.plan.applied),
        pending=pending_files(found.plan.pending),
        held=list(found.plan.held),
        due_passwords=list(found.due_passwords),
        warnings=list(found.warnings),
        faults=_faults(found),
    )


def status_document(environment: str | None, found: DeployStatus) -> Status:
    """What an environment has."""
    return Status(
        verb="status",
        environment=environment,
        server=_server(found.server, found.identity),
        deployable=not found.plan.faults,
        applied=[_applied(each) for each in found.plan.applied],
        pending=[file.id for file in found.plan.pending],
        edited=list(found.plan.edited),
        missing=list(found.plan.missing),
        out_of_order=list(found.plan.out_of_order),
        held=list(found.plan.held),
        due_passwords=list(found.due_passwords),
        unfinished=sorted(found.history.unfinished),
        backfills=[backfill_state(each) for each in found.backfills],
        rehearsals=[
            KeptRehearsal(
                digest=each.digest,
                kind=each.kind,
                environment=each.environment,
                at=each.at,
                actor=each.actor,
                reason=each.reason,
                applied=list(found.let_in_by(each)),
            )
            for each in found.admissions
        ],
        expanded=[
            ExpandedColumn(
                each.id,
                each.table,
                each.old,
                each.new,
                each.since.isoformat() if each.since else None,
                list(each.missing),
            )
            for each in found.expanded
        ],
        roles=_deviations(found.roles),
        warnings=list(found.warnings),
        faults=_faults(found),
    )


def backfill_document(environment: str | None, found: Backfilled) -> Backfill:
    """How far the registered data changes are."""
    return Backfill(
        verb="backfill",
        environment=environment,
        server=_server(found.server, found.identity),
        complete=found.is_complete,
        worked_on=[stand.backfill.id for stand in found.worked_on],
        backfills=[backfill_state(each) for each in found.backfills],
    )


def history_document(environment: str | None, past: Past, slow: float) -> PastDeployments:
    """What was deployed; from `slow` seconds on one is slow."""
    return PastDeployments(
        verb="history",
        environment=environment,
        server=_server(past.server, past.identity),
        slow_from=round(1000 * slow),
        entries=[
            Deployment(
                id=each.id,
                operation=each.operation,
                at=each.at.isoformat() if each.at else None,
                actor=each.actor or None,
                host=each.host or None,
                commit=each.commit or None,
                milliseconds=each.milliseconds,
                slow=each.is_slow(slow),
                wal_position_before=each.lsn or None,
                rehearsal=each.rehearsal or None,
                without_rehearsal=past.without_rehearsal(each) or None,
            )
            for each in past.entries
        ],
    )


def diff_document(environment: str | None, comparison: Comparison) -> Diff:
    """What has drifted."""
    return Diff(
        verb="diff",
        environment=environment,
        server=comparison.server,
        applied=comparison.applied,
        pending=list(comparison.pending),
        drift=[
            DriftedObject(each.verdict, each.kind, each.name, each.expected, each.found) for each in comparison.drift
        ],
    )


def check_document(checked: Checked) -> Check:
    """What was found."""
    return Check(
        "check", checked.migrations, checked.linted, [CheckFinding(**asdict(each)) for each in checked.findings]
    )


def branches_document(found: OwnedBranches) -> Branches:
    """What a project has: durations in seconds, instants as ISO 8601."""
    return Branches(
        project=BranchProject(found.project.id, found.project.name),
        branches=[
            Branch(
                name=each.line.name,
                id=each.line.id,
                parent=each.line.parent,
                age=int(each.line.age.total_seconds()),
                expires_in=None if each.line.expires_in is None else int(each.line.expires_in.total_seconds()),
                size=each.line.size,
                state=each.line.state,
                default=each.line.default,
                protected=each.line.protected,
                purpose=each.purpose.value if each.purpose else None,
                stack=each.stack or None,
            )
            for each in found.branches
        ],
        namesakes=[Namesake(each.id, each.name, each.created_at.isoformat()) for each in found.namesakes],
        deleted=list(found.deleted),
    )


def _server(address: str, identity: Identity) -> Server:
    return Server(
        address=address,
        version=identity.version_text,
        user=identity.user,
        neon_project_id=identity.project_id or None,
        neon_branch_id=identity.branch_id or None,
        neon_endpoint_id=identity.endpoint_id or None,
        standby=identity.in_recovery,
    )


def pending_files(files: Sequence[MigrationFile]) -> list[PendingFile]:
    """Each migration with its statements and the locks that they take."""
    from pipeline.lint.following import planned_locks

    locks = planned_locks(files)
    return [
        PendingFile(
            id=file.id,
            path=file.path,
            title=file.forward.title,
            transactional=file.forward.transactional,
            batched=file.forward.batched is not None,
            checksum=file.checksum,
            statements=[PlannedStatement(each.line, lock, each.text) for each, lock in locks[file.id]],
        )
        for file in files
    ]


def _applied(each: Applied) -> AppliedMigration:
    return AppliedMigration(
        id=each.id,
        applied_at=each.applied_at.isoformat() if each.applied_at else None,
        checksum=each.checksum or None,
        commit=each.commit or None,
        actor=each.actor or None,
        milliseconds=each.duration_ms,
        wal_position_before=each.lsn or None,
        rehearsal=each.rehearsal or None,
    )


def _deviations(found: Sequence[Deviation]) -> list[RoleDeviation]:
    return [RoleDeviation(each.role or None, each.what, each.expected, each.found) for each in found]


def _faults(found: DeployStatus) -> list[Fault]:
    return [Fault(each.where, each.message, each.remedy) for each in found.plan.faults]
