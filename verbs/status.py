"""`plan` and `status`: what an environment has, and what a deploy would do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import ENV, JSON, verb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.deploy.survey import Survey
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement


@verb("read", "everybody", flags={"env": ENV, "json": JSON})
def plan(root: Path, env: str = "", json: bool = False) -> None:
    """Show what a deploy would run, in order, with the SQL."""
    from pipeline.console.documents import plan_document, print_document
    from pipeline.console.progress import progress
    from pipeline.deploy.checkout import open_checkout
    from pipeline.deploy.survey import status as read_status

    with progress() as shown:
        checkout = open_checkout(root, env or None, "plan", observer=shown)
        survey = read_status(checkout)
    survey.raise_faults()
    if json:
        print_document(plan_document(checkout.environment.name, survey))
    else:
        show_plan(survey)


@verb("read", "everybody", flags={"env": ENV, "json": JSON})
def status(root: Path, env: str = "", json: bool = False) -> None:
    """Show what is applied, pending, edited and missing."""
    from pipeline.console.documents import print_document, status_document
    from pipeline.console.progress import progress
    from pipeline.deploy.checkout import open_checkout
    from pipeline.deploy.survey import status as read_status

    with progress() as shown:
        checkout = open_checkout(root, env or None, "status", observer=shown)
        survey = read_status(checkout, log_in=True)
    if json:
        print_document(status_document(checkout.environment.name, survey))
    else:
        show_status(survey)
    survey.raise_faults()


def show_plan(survey: Survey) -> None:
    """Each pending file with its SQL, in the order in which a deploy would run them."""
    from pipeline.console.text import counted, say, server_text
    from pipeline.lint.following import planned_locks

    say(f"{server_text(survey.server, survey.identity)}: {counted(len(survey.plan.pending))} to apply")
    locks = planned_locks(survey.plan.pending)
    for file in survey.plan.pending:
        _show_file(file, locks[file.id])
    _show_passwords(survey)
    _show_warnings(survey)


def show_status(survey: Survey) -> None:
    """A line for each migration, and one that sums up."""
    from pipeline.console.text import say, server_text

    say(server_text(survey.server, survey.identity))
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
    _show_passwords(survey)
    verdict = "not deployable" if survey.plan.faults else "deployable" if survey.plan.pending else "up to date"
    say(f"{len(survey.plan.applied)} applied, {len(survey.plan.pending)} pending: {verdict}")
    _show_warnings(survey)


def _show_passwords(survey: Survey) -> None:
    from pipeline.console.text import say

    if survey.due_passwords:
        say(f"a deploy gives {', '.join(survey.due_passwords)} LOGIN and the stack's password")


def _show_warnings(survey: Survey) -> None:
    from pipeline.console.text import say

    for warning in survey.warnings:
        say(f"note: {warning}")


def _show_file(file: MigrationFile, locks: Iterable[tuple[Statement, str | None]]) -> None:
    from pipeline.console.text import say

    how = "" if file.forward.transactional else "  (outside a transaction)"
    say(f"\n-- {file.path}{how}")
    for statement, lock in locks:
        if lock:
            say(f"-- line {statement.line}: {lock}")
    say(file.forward.text.rstrip())
