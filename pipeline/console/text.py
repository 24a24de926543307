"""Results as people read them, on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.terminal import write_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.adopt.baseline import Adoption
    from pipeline.deploy.run import Report
    from pipeline.deploy.survey import Survey
    from pipeline.local.doctor import Finding
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement
    from pipeline.postgres.identity import Identity


def say(text: str = "") -> None:
    """One line on standard output."""
    write_out(text + "\n")


def show_report(report: Report) -> None:
    """The last line of a deploy or a local migration."""
    server = _server(report.server, report.identity)
    if report.applied:
        say(f"{counted(len(report.applied))} applied, {report.already} already there: {server}")
    else:
        say(f"nothing to do: {counted(report.already)} applied already: {server}")
    if report.activated:
        say(f"LOGIN and password set for {', '.join(report.activated)}")
    for each in report.corrected:
        say(f"put right: {each}")


def show_rollback(report: Report) -> None:
    """The last line of a rollback."""
    say(f"{counted(len(report.applied))} rolled back, {report.already} left: {_server(report.server, report.identity)}")


def show_adoption(adoption: Adoption) -> None:
    """What a baseline recorded."""
    tool = f" (from {adoption.tool})" if adoption.tool else ""
    if adoption.recorded:
        say(f"{counted(len(adoption.recorded))} recorded as applied{tool}: {adoption.server}")
    else:
        say(f"nothing to record: every migration through that one is in the history: {adoption.server}")


def show_findings(findings: Iterable[Finding]) -> None:
    """What a machine has, a line for each thing."""
    for each in findings:
        say(f"{'yes' if each.present else 'no':4}{each.name:16} {each.found}")
        say(f"{'':20} {each.needed_for}")


def show_plan(survey: Survey) -> None:
    """Each pending file with its SQL, in the order in which a deploy would run them."""
    from pipeline.lint.planned import planned_locks

    say(f"{_server(survey.server, survey.identity)}: {counted(len(survey.plan.pending))} to apply")
    locks = planned_locks(survey.plan.pending)
    for file in survey.plan.pending:
        _show_file(file, locks[file.id])
    _show_warnings(survey)


def show_status(survey: Survey) -> None:
    """A line for each migration, and one that sums up."""
    say(_server(survey.server, survey.identity))
    if survey.history.marker is not None and survey.history.marker.branch_id == survey.identity.branch_id:
        say(f"marked as {survey.history.marker.environment}")
    for each in survey.plan.applied:
        when = each.applied_at.strftime("%Y-%m-%d %H:%M:%S UTC") if each.applied_at else "?"
        state = (
            "edited" if each.id in survey.plan.edited else "missing" if each.id in survey.plan.missing else "applied"
        )
        who = " ".join(part for part in (each.actor, each.commit[:12], each.lsn and f"WAL {each.lsn}") if part)
        say(f"  {state:9} {each.id:42} {when}  {who}".rstrip())
    for file in survey.plan.pending:
        state = "unfinished" if file.id in survey.history.unfinished else "pending"
        say(f"  {state:9} {file.id}")
    for id_ in survey.begun_elsewhere:
        say(f"  {'begun':9} {id_:42} its end is not recorded, and this checkout does not have it")
    for deviation in survey.roles:
        say(f"  {'role' if deviation.role else 'setting':9} {deviation}")
    verdict = "not deployable" if survey.plan.faults else "deployable" if survey.plan.pending else "up to date"
    say(f"{len(survey.plan.applied)} applied, {len(survey.plan.pending)} pending: {verdict}")
    _show_warnings(survey)


def _show_warnings(survey: Survey) -> None:
    for warning in survey.warnings:
        say(f"note: {warning}")


def _show_file(file: MigrationFile, locks: Iterable[tuple[Statement, str | None]]) -> None:
    how = "" if file.forward.transactional else "  (outside a transaction)"
    say(f"\n-- {file.path}{how}")
    for statement, lock in locks:
        if lock:
            say(f"-- line {statement.line}: {lock}")
    say(file.forward.text.rstrip())


def _server(address: str, identity: Identity) -> str:
    neon = f", Neon branch {identity.branch_id}" if identity.branch_id else ""
    standby = ", a standby" if identity.in_recovery else ""
    return f"{address} (PostgreSQL {identity.version_text}{neon}{standby})"


def counted(number: int, noun: str = "migration") -> str:
    """The number with its noun, in the plural where it is not one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
