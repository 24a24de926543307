"""The JSON documents of --json. Their shape is documented in docs/reference.md; fields are added, never renamed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline.console.terminal import write_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.deploy.run import Report
    from pipeline.deploy.survey import Survey
    from pipeline.migrations import Applied, MigrationFile
    from pipeline.postgres.identity import Identity
    from pipeline.roles.deviations import Deviation

Document = dict[str, Any]


def print_document(document: Document) -> None:
    """One document, alone on standard output."""
    # JSON keeps DEL as it is, which a terminal would obey
    write_out(json.dumps(document, indent=2).replace("\x7f", "\\u007f") + "\n")


def deploy_document(environment: str | None, report: Report) -> Document:
    """What `deploy --json` prints."""
    return {
        "verb": "deploy",
        "environment": environment,
        "server": server_document(report.server, report.identity),
        "already_applied": report.already,
        "applied": [{"id": each.id, "milliseconds": each.milliseconds} for each in report.applied],
        "activated_roles": list(report.activated),
        "corrected_roles": [_deviation(each) for each in report.corrected],
    }


def plan_document(environment: str | None, survey: Survey) -> Document:
    """What `plan --json` prints."""
    return {
        "verb": "plan",
        "environment": environment,
        "server": server_document(survey.server, survey.identity),
        "already_applied": len(survey.plan.applied),
        "pending": _pending(survey.plan.pending),
        "warnings": list(survey.warnings),
        "faults": _faults(survey),
    }


def status_document(environment: str | None, survey: Survey) -> Document:
    """What `status --json` prints."""
    return {
        "verb": "status",
        "environment": environment,
        "server": server_document(survey.server, survey.identity),
        "deployable": not survey.plan.faults,
        "applied": [_applied(each) for each in survey.plan.applied],
        "pending": [file.id for file in survey.plan.pending],
        "edited": list(survey.plan.edited),
        "missing": list(survey.plan.missing),
        "out_of_order": list(survey.plan.out_of_order),
        "unfinished": sorted(survey.history.unfinished),
        "roles": [_deviation(each) for each in survey.roles],
        "warnings": list(survey.warnings),
        "faults": _faults(survey),
    }


def server_document(server: str, identity: Identity) -> Document:
    """Who the server says that it is."""
    return {
        "address": server,
        "version": identity.version_text,
        "user": identity.user,
        "neon_project_id": identity.project_id or None,
        "neon_branch_id": identity.branch_id or None,
        "neon_endpoint_id": identity.endpoint_id or None,
        "standby": identity.in_recovery,
    }


def _pending(files: Sequence[MigrationFile]) -> list[Document]:
    from pipeline.lint.planned import planned_locks

    locks = planned_locks(files)
    return [
        {
            "id": file.id,
            "path": file.path,
            "title": file.forward.title,
            "transactional": file.forward.transactional,
            "checksum": file.checksum,
            "statements": [
                {"line": statement.line, "lock": lock, "sql": statement.text} for statement, lock in locks[file.id]
            ],
        }
        for file in files
    ]


def _applied(each: Applied) -> Document:
    return {
        "id": each.id,
        "applied_at": each.applied_at.isoformat() if each.applied_at else None,
        "checksum": each.checksum or None,
        "commit": each.commit or None,
        "actor": each.actor or None,
        "milliseconds": each.duration_ms,
        "wal_position_before": each.lsn or None,
    }


def _deviation(each: Deviation) -> Document:
    return {"role": each.role or None, "what": each.what, "expected": each.expected, "found": each.found}


def _faults(survey: Survey) -> list[Document]:
    return [{"where": fault.where, "message": fault.message, "remedy": fault.remedy} for fault in survey.plan.faults]
