"""`plan` and `status`: what an environment has, and what a deploy would do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import JSON, NOTHING_DONE, READ_ENV, SUMMARY, failure_in, on_environment, verb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.deploy.checkout import Checkout
    from pipeline.deploy.status import DeployStatus
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement


@verb("read", "everybody", flags={"env": READ_ENV, "json": JSON, "summary": SUMMARY}, bare="env")
def plan(root: Path, env: str = "", json: bool = False, summary: str = "") -> None:
    """Show what a deploy would run, in order, with the SQL."""
    from pipeline.console.documents import plan_document, print_document
    from pipeline.deploy.status import status as read

    with failure_in(summary, "plan", env), on_environment(root, env, "plan", or_local=True) as checkout:
        found = read(checkout)
        if summary:
            from pipeline.check.deploys import lint_pending
            from pipeline.console.markdown import append, plan_text

            findings = [] if found.plan.faults else lint_pending(checkout, found.plan.pending)
            append(summary, plan_text(checkout.environment.name, found, findings))
    found.raise_faults()
    if json:
        print_document(plan_document(checkout.environment.name, found))
    else:
        show_plan(found)


@verb("read", "everybody", flags={"env": READ_ENV, "json": JSON}, bare="env")
def status(root: Path, env: str = "", json: bool = False) -> None:
    """Show what is applied, pending, edited and missing."""
    from pipeline.console.documents import print_document, status_document
    from pipeline.deploy.status import status as read

    with on_environment(root, env, "status", or_local=True) as checkout:
        found = read(checkout, log_in=True)
    if json:
        print_document(status_document(checkout.environment.name, found))
    else:
        show_status(found)
    found.raise_faults()


def show_dry_run(
    checkout: Checkout, *, as_json: bool = False, receipt: Path | None = None, without_rehearsal: str = ""
) -> None:
    """What `deploy` or `migrate` would run, as `plan` shows it."""
    from pipeline.console.text import say
    from pipeline.deploy.status import dry_run

    found = dry_run(checkout, receipt=receipt, without_rehearsal=without_rehearsal)
    if as_json:
        from pipeline.console.documents import plan_document, print_document

        print_document(plan_document(checkout.environment.name, found))
        return
    show_plan(found)
    say(NOTHING_DONE)


def show_plan(found: DeployStatus) -> None:
    """Each pending file with its SQL, in the order in which a deploy would run them."""
    from pipeline.console.text import counted, say, server_text
    from pipeline.lint.following import planned_locks

    say(f"{server_text(found.server, found.identity)}: {counted(len(found.plan.pending))} to apply")
    locks = planned_locks(found.plan.pending)
    for file in found.plan.pending:
        _show_file(file, locks[file.id])
    _show_passwords(found)
    _show_warnings(found)


def show_status(found: DeployStatus) -> None:
    """A line for each migration, and one that sums up."""
    from pipeline.console.backfills import backfill_text
    from pipeline.console.terminal import fitting
    from pipeline.console.text import say, server_text

    say(server_text(found.server, found.identity))
    if found.history.marker is not None and found.history.marker.branch_id == found.identity.branch_id:
        say(f"marked as {found.history.marker.environment}")
    for each in found.plan.applied:
        when = each.applied_at.strftime("%Y-%m-%d %H:%M:%S UTC") if each.applied_at else "?"
        state = "edited" if each.id in found.plan.edited else "missing" if each.id in found.plan.missing else "applied"
        who = " ".join(part for part in (each.actor, each.commit[:12], each.lsn and f"WAL {each.lsn}") if part)
        row = f"  {state:9} {each.id:42} {when}"
        say(fitting(row, who), "" if state == "applied" else "wrong")
    for file in found.plan.pending:
        state = (
            "held" if file.id in found.plan.held else "unfinished" if file.id in found.history.unfinished else "pending"
        )
        say(f"  {state:9} {file.id}", "due" if state == "pending" else "wrong")
    for id_ in found.begun_elsewhere:
        say(f"  {'begun':9} {id_:42} its end is not recorded, and this checkout does not have it")
    for backfill in found.backfills:
        if not backfill.is_complete:
            say(f"  {backfill.state:9} {backfill_text(backfill)}", "due")
    _show_admissions(found)
    for double in found.expanded:
        since = f"{double.since:%Y-%m-%d}" if double.since else "?"
        say(f"  {'expanded':9} {double.table}.{double.old} and {double.table}.{double.new} since {since}")
        for step in double.missing:
            say(f"  {'':9} still missing: {step}", "aside")
    for deviation in found.roles:
        say(f"  {'role' if deviation.role else 'setting':9} {deviation}")
    _show_passwords(found)
    verdict = "not deployable" if found.plan.faults else "deployable" if found.plan.pending else "up to date"
    say(f"{len(found.plan.applied)} applied, {len(found.plan.pending)} pending: {verdict}")
    _show_warnings(found)


def _show_admissions(found: DeployStatus) -> None:
    """The last receipt, and for ever whatever was let in without one, oldest first."""
    from pipeline.console.terminal import one_line
    from pipeline.console.text import counted, say

    *_, last = (None, *(each for each in found.admissions if not each.reason))
    for each in found.admissions:
        if not each.reason and each is not last:
            continue
        ids = found.let_in_by(each)
        what = ", ".join(ids) if each.reason and len(ids) <= 5 else counted(len(ids))
        row = one_line(f"{each.at[:19].replace('T', ' ')} UTC {each.actor} {what} {each.shown}")
        say(f"  {each.kind:9} {row}", "due" if each.reason else "")


def _show_passwords(found: DeployStatus) -> None:
    from pipeline.console.text import say

    if found.due_passwords:
        say(f"a deploy gives {', '.join(found.due_passwords)} LOGIN and the stack's password")


def _show_warnings(found: DeployStatus) -> None:
    from pipeline.console.text import say

    for warning in found.warnings:
        say(f"note: {warning}")


def _show_file(file: MigrationFile, locks: Iterable[tuple[Statement, str | None]]) -> None:
    from pipeline.console.github import group
    from pipeline.console.text import say

    how = f"  ({file.forward.how})" if file.forward.how else ""
    say(f"\n-- {file.path}{how}", "head")
    for statement, lock in locks:
        if lock:
            say(f"-- line {statement.line}: {lock}", "due")
    with group(f"SQL of {file.path}"):
        for line in file.forward.text.rstrip().split("\n"):
            say(line, "aside" if line.lstrip().startswith("--") else "")
