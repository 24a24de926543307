"""The document of `rehearse --json`, made of what the rehearsal found."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline.console.rehearsal import breaks, failures, not_measured_texts, reason
from pipeline.console.rehearsal.document_types import (
    Changed,
    CountedRows,
    Crashes,
    Lock,
    MeasuredStatement,
    OverBudget,
    Planned,
    Rehearse,
    RehearsedFile,
    Rewritten,
    ServiceStatement,
    ServiceStatements,
    Share,
    Stop,
    Touched,
)

if TYPE_CHECKING:
    from pipeline.rehearsal.budgets import Excess
    from pipeline.rehearsal.result import Compatibility, Crash, PendingFile, Rehearsal
    from pipeline.rehearsal.values import Failure, FileMeasurement, StatementMeasurement


def rehearsal_document(found: Rehearsal) -> Rehearse:
    """Everything that it found."""
    measured = {file.id: file for file in found.measured.files} if found.measured else {}
    deployed = dict(found.applied.milliseconds)
    origin = found.origin
    return Rehearse(
        verb="rehearse",
        environment=origin.environment,
        result=found.result.value,
        reason=reason(found),
        breaks=breaks(found),
        not_measured=not_measured_texts(found),
        project_id=origin.project_id,
        branch_id=origin.branch_id,
        branch_name=origin.branch_name,
        lsn=origin.lsn,
        at=origin.at.isoformat(),
        began=found.began.isoformat(),
        ended=found.ended.isoformat(),
        commit=found.commit,
        history=found.history,
        schema_before=found.schema,
        schema_after=found.applied.schema,
        files=[_file(each, deployed.get(each.id), measured.get(each.id)) for each in found.pending],
        stops=[_stop(each) for each in failures(found)],
        over_budget=[_excess(each) for each in (found.verdict.excesses if found.verdict else ())],
        compatibility=_compatibility(found.compatibility),
        crash=_crash(found.crash),
        rows=[CountedRows(**asdict(each)) for each in found.applied.rows],
    )


def _file(pending: PendingFile, deployed: int | None, measured: FileMeasurement | None) -> RehearsedFile:
    sample = measured.backfill if measured else None
    return RehearsedFile(
        id=pending.id,
        path=pending.path,
        checksum=pending.checksum,
        deploy_milliseconds=deployed,
        milliseconds=measured.milliseconds if measured else None,
        commit_milliseconds=measured.commit if measured else None,
        accepted=measured.accepted if measured else None,
        backfill_seconds=round(sample.seconds, 1) if sample else None,
        backfill_rows_per_second=round(sample.rows_per_second) if sample and sample.rows_per_second else None,
        backfill_wal_bytes=sample.total_wal_bytes if sample else None,
        statements=[_statement(each) for each in measured.parts] if measured else [],
    )


def _statement(found: StatementMeasurement) -> MeasuredStatement:
    return MeasuredStatement(
        line=found.line,
        statements=found.statements,
        milliseconds=found.milliseconds,
        wal_bytes=found.wal_bytes,
        observed=found.observed,
        locks=[
            Lock(each.relation, each.kind, each.table, each.mode, list(each.blocks), each.held, each.is_new)
            for each in found.locks
        ],
        rewritten=[Rewritten(**asdict(each)) for each in found.rewrote],
        changed=[Changed(**asdict(each)) for each in found.changed],
        tables=[Touched(**asdict(each)) for each in found.tables],
    )


def _stop(failure: Failure) -> Stop:
    failing = failure.failing
    return Stop(
        id=failure.id,
        path=failure.path,
        line=failure.line,
        sqlstate=failure.sqlstate,
        condition=failure.condition,
        rule=failing.rule if failing else None,
        table=failing.table if failing else None,
        column=failing.column if failing else None,
        constraint=failing.constraint if failing else None,
        rows=failing.rows if failing else None,
        query=failing.query if failing else None,
        after=bool(failing and failing.after),
    )


def _excess(excess: Excess) -> OverBudget:
    return OverBudget(
        what=excess.what,
        table=excess.table,
        blocks=list(excess.blocks),
        limit=excess.limit,
        cost=excess.cost,
        unaccepted=excess.unaccepted,
        is_break=excess.is_break,
        files=[Share(each.id, each.line, each.cost, each.accepted) for each in excess.shares],
    )


def _compatibility(found: Compatibility | None) -> ServiceStatements:
    if found is None:
        return ServiceStatements(checked=False, live_commit=None, planned=[], troubles=[], notes=[])
    troubles = [
        ServiceStatement(**{**asdict(each), "trouble": each.trouble.value, "is_break": each.is_break})
        for each in found.troubles
    ]
    return ServiceStatements(
        checked=True,
        live_commit=found.live_commit,
        planned=[Planned(*each) for each in found.statements],
        troubles=troubles,
        notes=list(found.notes),
    )


def _crash(found: Crash | None) -> Crashes:
    if found is None:
        return Crashes(checked=False, points=0, diverged=[])
    return Crashes(checked=True, points=found.points, diverged=list(found.diverged))
