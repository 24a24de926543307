"""The JSON documents of --json: their fields, what each means, and how they are made. Fields are added, never renamed.

`verbs/reference` makes docs/reference.md and the JSON Schemas of docs/schemas from the types here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pipeline.console.terminal import write_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.check.checking import Checked
    from pipeline.deploy.run import Report
    from pipeline.deploy.survey import Survey
    from pipeline.errors import PipelineError
    from pipeline.generate.drift import Comparison
    from pipeline.migrations import Applied, MigrationFile
    from pipeline.neon.survey import Survey as BranchSurvey
    from pipeline.postgres.identity import Identity
    from pipeline.roles.deviations import Deviation

ENVIRONMENT = "the name that was given, or null for a bare DATABASE_URL"
ID = "the file's name without its ending"
WARNINGS = "what the database cannot tell, as an unknown checksum; and that no commit holds the files"
FAULTS = "why a deploy would refuse; empty when it would not"


@dataclass(frozen=True)
class Server:
    """Who answered."""

    address: Annotated[str, "host:port/database, never a password"]
    version: Annotated[str, "PostgreSQL's version, as 16.14"]
    user: Annotated[str, "the role that the verb works as"]
    neon_project_id: Annotated[str | None, "null where the server is not a Neon compute"]
    neon_branch_id: Annotated[str | None, "as above"]
    neon_endpoint_id: Annotated[str | None, "as above"]
    standby: Annotated[bool, "whether it is a standby, which shows what it has received so far"]


@dataclass(frozen=True)
class Fault:
    """Why a deploy would refuse."""

    where: Annotated[str, "file or file:line, or empty"]
    message: Annotated[str, "what is wrong"]
    remedy: Annotated[str, "what to do about it"]


@dataclass(frozen=True)
class RoleDeviation:
    """What of the runtime roles is not as it is to be."""

    role: Annotated[str | None, "the role, or null for a setting of the database"]
    what: Annotated[str, 'what it is about, as "member of server" or "setting TimeZone"']
    expected: Annotated[str | None, "what it is to be, or null where it is not to be there"]
    found: Annotated[str | None, "what was found, or null where it was not there"]


@dataclass(frozen=True)
class AppliedNow:
    """A migration that this run applied."""

    id: Annotated[str, ID]
    milliseconds: Annotated[int | None, "what its transaction took, or null where nobody could measure it"]


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


@dataclass(frozen=True)
class PlannedStatement:
    """A statement that a deploy would run."""

    line: Annotated[int, "where it begins in the file"]
    lock: Annotated[str | None, "the strongest lock that it takes on a table of before, as its text tells, or null"]
    sql: Annotated[str, "its text"]


@dataclass(frozen=True)
class PendingFile:
    """A migration that a deploy would run."""

    id: Annotated[str, ID]
    path: Annotated[str, "the file"]
    title: Annotated[str, "its first comment line"]
    transactional: Annotated[bool, "false for a file whose one statement runs outside a transaction"]
    checksum: Annotated[str, "SHA-256 of its text with LF line ends"]
    statements: Annotated[list[PlannedStatement], "its statements, in order"]


@dataclass(frozen=True)
class Plan:
    """What `plan --json` prints."""

    verb: Annotated[Literal["plan"], '"plan"']
    environment: Annotated[str | None, ENVIRONMENT]
    server: Annotated[Server, "who answered"]
    already_applied: Annotated[int, "how many migrations are applied"]
    pending: Annotated[list[PendingFile], "what a deploy would run, in order"]
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
    unfinished: Annotated[list[str], "ids of non-transactional files that were started and whose end nobody recorded"]
    roles: Annotated[
        list[RoleDeviation], "what of the runtime roles is not as it is to be; a deploy with a stack puts it right"
    ]
    warnings: Annotated[list[str], WARNINGS]
    faults: Annotated[list[Fault], FAULTS]


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


Document = Deploy | Plan | Status | Diff | Check | Branches | Error

DOCUMENTS: dict[str, type[Document]] = {
    "deploy": Deploy,
    "plan": Plan,
    "status": Status,
    "diff": Diff,
    "check": Check,
    "branches": Branches,
    "error": Error,
}


_printed: list[Document] = []  # by this process


def print_document(document: Document) -> None:
    """One document, alone on standard output."""
    _printed.append(document)
    # JSON keeps DEL as it is, which a terminal would obey
    write_out(json.dumps(asdict(document), indent=2).replace("\x7f", "\\u007f") + "\n")


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
    )


def plan_document(environment: str | None, survey: Survey) -> Plan:
    """What a deploy would run."""
    return Plan(
        verb="plan",
        environment=environment,
        server=_server(survey.server, survey.identity),
        already_applied=len(survey.plan.applied),
        pending=_pending(survey.plan.pending),
        warnings=list(survey.warnings),
        faults=_faults(survey),
    )


def status_document(environment: str | None, survey: Survey) -> Status:
    """What an environment has."""
    return Status(
        verb="status",
        environment=environment,
        server=_server(survey.server, survey.identity),
        deployable=not survey.plan.faults,
        applied=[_applied(each) for each in survey.plan.applied],
        pending=[file.id for file in survey.plan.pending],
        edited=list(survey.plan.edited),
        missing=list(survey.plan.missing),
        out_of_order=list(survey.plan.out_of_order),
        unfinished=sorted(survey.history.unfinished),
        roles=_deviations(survey.roles),
        warnings=list(survey.warnings),
        faults=_faults(survey),
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


def branches_document(survey: BranchSurvey) -> Branches:
    """What a project has: durations in seconds, instants as ISO 8601."""
    return Branches(
        project=BranchProject(survey.project.id, survey.project.name),
        branches=[
            Branch(
                name=line.name,
                id=line.id,
                parent=line.parent,
                age=int(line.age.total_seconds()),
                expires_in=None if line.expires_in is None else int(line.expires_in.total_seconds()),
                size=line.size,
                state=line.state,
                default=line.default,
                protected=line.protected,
            )
            for line in survey.branches
        ],
        namesakes=[Namesake(each.id, each.name, each.created_at.isoformat()) for each in survey.namesakes],
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


def _pending(files: Sequence[MigrationFile]) -> list[PendingFile]:
    from pipeline.lint.planned import planned_locks

    locks = planned_locks(files)
    return [
        PendingFile(
            id=file.id,
            path=file.path,
            title=file.forward.title,
            transactional=file.forward.transactional,
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
    )


def _deviations(found: Sequence[Deviation]) -> list[RoleDeviation]:
    return [RoleDeviation(each.role or None, each.what, each.expected, each.found) for each in found]


def _faults(survey: Survey) -> list[Fault]:
    return [Fault(each.where, each.message, each.remedy) for each in survey.plan.faults]
