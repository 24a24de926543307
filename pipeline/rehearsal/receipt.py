"""The receipt of a rehearsal: what it found, as the statement that a deploy asks for, in its file."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING

from pipeline.receipts import document
from pipeline.receipts.document import Statement
from pipeline.receipts.receipt import LIFETIME, default_path
from pipeline.receipts.sealing import seal, with_digest
from pipeline.rehearsal.result import Result, Trouble
from servers import write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from pipeline.rehearsal.budgets import Excess
    from pipeline.rehearsal.result import Compatibility, Rehearsal
    from pipeline.rehearsal.values import Failure, FileMeasurement, LockHold, StatementMeasurement

_OUTCOMES: Mapping[Result, document.Outcome] = {
    Result.PASSED: "PASSED",
    Result.BROKEN: "FAILED",
    Result.NOT_MEASURED: "NOT_MEASURED",
}


def keep_receipt(
    rehearsal: Rehearsal,
    root: Path,
    *,
    postgres: str = "",
    url: str | None = None,
    path: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Path:
    """Write the receipt of a rehearsal, signed where the environment has a key, and give its file.

    It is written whatever came of it: a deploy says then why it refuses. `postgres` is the copies' version, as 16.14, and
    `url` the run of CI. Without a `path` it goes where a deploy looks for it.

    Raises:
        ConfigurationError: the key cannot be used, or the file cannot be written.
    """
    statement = statement_of(rehearsal, version=_version(root), postgres=postgres, url=url)
    file = path or default_path(root, rehearsal.origin.environment)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, seal(statement, root, environ))
    return file


def statement_of(rehearsal: Rehearsal, *, version: str, postgres: str = "", url: str | None = None) -> Statement:
    """The receipt as an in-toto Statement, with its digest."""
    files = [document.Subject(f"{each.id}.sql", {"sha256": each.checksum}) for each in rehearsal.pending]
    commit = [document.Subject("repository", {"gitCommit": rehearsal.commit})] if rehearsal.commit else []
    return with_digest(
        Statement(
            _type="https://in-toto.io/Statement/v1",
            subject=[*files, *commit],
            predicateType="urn:db-pipeline:rehearsal:v1",
            predicate=_predicate(rehearsal, document.Versions(version, postgres), url),
        )
    )


def _predicate(rehearsal: Rehearsal, versions: document.Versions, url: str | None) -> document.Predicate:
    took = dict(rehearsal.applied.milliseconds)
    tests = _tests(rehearsal)
    verdict, crash = rehearsal.verdict, rehearsal.crash
    return document.Predicate(
        result=_OUTCOMES[rehearsal.result],
        passedTests=[name for name, how in tests.items() if how == "passed"],
        warnedTests=[name for name, how in tests.items() if how == "warned"],
        failedTests=[name for name, how in tests.items() if how == "failed"],
        notMeasured=list(rehearsal.not_measured),
        url=url,
        timeCreated=_instant(rehearsal.ended),
        expires=_instant(rehearsal.ended + LIFETIME),
        versions=versions,
        base=_base(rehearsal),
        after=document.After(rehearsal.applied.schema),
        pending=[document.PendingFile(each.id, each.checksum, took.get(each.id)) for each in rehearsal.pending],
        rows=[document.Rows(each.table, each.before, each.after) for each in rehearsal.applied.rows],
        files=[_file(each) for each in rehearsal.measured.files] if rehearsal.measured else [],
        failures=list(_failures(rehearsal)),
        budgets=None if verdict is None else [_excess(each) for each in verdict.excesses],
        compatibility=None if rehearsal.compatibility is None else _compatibility(rehearsal.compatibility),
        crash=None if crash is None else document.Crash(crash.points, list(crash.diverged)),
        digest={},
    )


def _tests(rehearsal: Rehearsal) -> dict[str, str]:
    """Each thing that was looked at, with how it went. What could not be measured is in none of the three lists."""
    found = {}
    if rehearsal.applied.failure or rehearsal.applied.schema:
        found["apply"] = "failed" if rehearsal.applied.failure else "passed"
    if rehearsal.measured is not None:
        found["measure"] = "failed" if rehearsal.measured.failure else "passed"
    if rehearsal.verdict is not None:
        found["budgets"] = _grade(bad=bool(rehearsal.verdict.breaks), doubtful=bool(rehearsal.verdict.accepted))
    if rehearsal.compatibility is not None and not rehearsal.compatibility.not_measured:
        troubles = [each for each in rehearsal.compatibility.troubles if each.trouble is not Trouble.FAILED_BEFORE]
        found["compatibility"] = _grade(bad=bool(rehearsal.compatibility.breaks), doubtful=bool(troubles))
    if rehearsal.crash is not None:
        found["crash"] = _grade(bad=bool(rehearsal.crash.diverged))
    return found


def _grade(*, bad: bool, doubtful: bool = False) -> str:
    return "failed" if bad else "warned" if doubtful else "passed"


def _base(rehearsal: Rehearsal) -> document.Base:
    origin = rehearsal.origin
    return document.Base(
        environment=origin.environment,
        projectId=origin.project_id,
        branchId=origin.branch_id,
        branchName=origin.branch_name,
        lsn=origin.lsn,
        at=_instant(origin.at),
        history=rehearsal.history,
        schema=rehearsal.schema,
    )


def _file(file: FileMeasurement) -> document.MeasuredFile:
    return document.MeasuredFile(
        id=file.id,
        milliseconds=file.milliseconds,
        commitMilliseconds=file.commit,
        walBytes=file.wal_bytes,
        accepted=file.accepted,
        schema=file.schema,
        statements=[_statement(each) for each in file.parts],
    )


def _statement(part: StatementMeasurement) -> document.MeasuredStatement:
    return document.MeasuredStatement(
        line=part.line,
        statements=part.statements,
        milliseconds=part.milliseconds,
        walBytes=part.wal_bytes,
        observed=part.observed,
        locks=[_lock(each) for each in part.locks],
        rewrote=[document.Rewritten(each.relation, each.kind, each.rows, each.is_new) for each in part.rewrote],
        changed=[document.Changed(each.table, each.inserted, each.updated, each.deleted) for each in part.changed],
        tables=[document.Size(each.table, each.rows, each.exact, each.bytes) for each in part.tables],
    )


def _lock(lock: LockHold) -> document.Lock:
    return document.Lock(
        lock.relation, lock.kind, lock.table, lock.mode, list(lock.blocks), lock.held, isNew=lock.is_new
    )


def _failures(rehearsal: Rehearsal) -> Iterator[document.Failure]:
    if rehearsal.applied.failure is not None:
        yield _failure("deploy", rehearsal.applied.failure)
    if rehearsal.measured is not None and rehearsal.measured.failure is not None:
        yield _failure("measured", rehearsal.measured.failure)


def _failure(run: str, failure: Failure) -> document.Failure:
    rows = failure.failing
    failing = None
    if rows is not None:
        failing = document.FailingRows(
            rows.rule, rows.table, rows.column, rows.constraint, rows.rows, rows.query, rows.after
        )
    return document.Failure(run, failure.id, failure.line, failure.sqlstate, failure.condition, failing)


def _excess(excess: Excess) -> document.Excess:
    return document.Excess(
        what=excess.what,
        table=excess.table,
        limit=excess.limit,
        cost=excess.cost,
        isBreak=excess.is_break,
        shares=[
            document.Share(each.id, each.line, each.cost, list(each.blocks), each.accepted) for each in excess.shares
        ],
    )


def _compatibility(found: Compatibility) -> document.Compatibility:
    return document.Compatibility(
        liveCommit=found.live_commit,
        planned=[document.Planned(*each) for each in found.statements],
        troubles=[
            document.Trouble(
                trouble=each.trouble.value,
                isBreak=each.is_break,
                service=each.service,
                role=each.role,
                release=each.release,
                statement=each.statement,
                reason=each.reason,
                sqlstate=each.sqlstate,
                condition=each.condition,
                table=each.table,
                name=each.name,
                rows=each.rows,
                file=each.file,
            )
            for each in found.troubles
        ],
        notes=list(found.notes),
    )


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _version(root: Path) -> str:
    """The version of the pipeline, as its own pyproject.toml has it."""
    try:
        return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError):
        return "unknown"
