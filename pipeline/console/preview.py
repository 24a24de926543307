"""A preview as people read it, as the JSON document, and as the Markdown of a pull request's comment."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

from pipeline.console.document_parts import AppliedNow
from pipeline.console.document_types import Preview, PreviewService
from pipeline.console.documents import pending_files
from pipeline.console.markdown import append, block, cut, mark, with_plan
from pipeline.console.text import counted, duration_text, say, show_report
from pipeline.environments.clients import render
from pipeline.errors import PipelineError
from services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from dbclient.url import DatabaseURL
    from pipeline.deploy import Report
    from pipeline.deploy.status import DeployStatus
    from pipeline.lint.finding import Finding
    from pipeline.neon import Branch
    from pipeline.preview import Prepared, Wanted


@dataclass
class Told:
    """What is known of a preview so far, for a comment that is written however it ends."""

    wanted: Wanted
    prepared: Prepared | None = None
    found: DeployStatus | None = None
    report: Report | None = None
    findings: list[Finding] = field(default_factory=list)


@contextmanager
def writing_summary(path: str, wanted: Wanted) -> Iterator[Told]:
    """Take in what is found out inside, and write it to the end of a file as Markdown, a failure as well; "" for no file."""
    told = Told(wanted)
    failure: PipelineError | None = None
    try:
        yield told
    except PipelineError as error:
        failure = error
        raise
    finally:
        if path and (failure or told.report):
            append(path, preview_text(told, failure))


def preview_text(told: Told, failure: PipelineError | None = None) -> str:
    """The comment: what came of it, where it is, what was pending with locks and lint, and why it failed."""
    name, applied = told.wanted.name, told.report.applied if told.report else ()
    took = sum(each.milliseconds or 0 for each in applied)
    done = f"{counted(len(applied))} applied" + (f" in {duration_text(took)}" if applied else "")
    lines = [mark("preview", name), f"### Preview {name}: {'failed' if failure else done}", ""]
    if told.prepared is not None:
        lines += [f"{_about(told.prepared)} [Neon's console]({_console_url(told.prepared.lease.branch)}){_run()}", ""]
    if failure is not None:
        lines += [*block(str(failure)), ""]
    return with_plan(lines, told.found, told.findings) if told.found else cut("\n".join(lines)) + "\n"


def down_text(wanted: Wanted, deleted: bool) -> str:
    """The comment when the pull request is closed."""
    done = "deleted" if deleted else "gone"
    lines = [mark("preview", wanted.name), f"### Preview {wanted.name}: {done}", "", f"Its branch is {done}.{_run()}"]
    return "\n".join(lines) + "\n"


def show_about(prepared: Prepared) -> None:
    """What the branch is: the first line, above its plan."""
    say(_about(prepared).replace("`", ""))


def show_result(prepared: Prepared, report: Report, urls: Mapping[str, DatabaseURL]) -> None:
    """What came of it, and the services' variables where they are asked for."""
    branch = prepared.lease.branch
    say()
    show_report(report)
    say(_console_url(branch))
    for service in SERVICES:
        if (url := urls.get(service.role)) is not None:
            say(f"\n# {service.name} on {branch.name}: pooled, as its own role")
            say(f'DATABASE_URL="{render(url, service.client).dsn}"')


def preview_document(
    prepared: Prepared, found: DeployStatus, report: Report, urls: Mapping[str, DatabaseURL]
) -> Preview:
    """What a preview is, and what was applied to it."""
    branch = prepared.lease.branch
    return Preview(
        verb="preview",
        name=prepared.wanted.name,
        source=prepared.wanted.environment,
        state="renewed" if prepared.again else "made",
        branch_name=branch.name,
        branch_id=branch.id,
        project_id=branch.project_id,
        has_rows=prepared.rows,
        expires_at=branch.expires_at.isoformat() if branch.expires_at else None,
        console_url=_console_url(branch),
        pending=pending_files(found.plan.pending),
        warnings=list(found.warnings),
        applied=[AppliedNow(each.id, each.milliseconds) for each in report.applied],
        services=[
            PreviewService(
                each.name, each.role, render(urls[each.role], each.client).dsn if each.role in urls else None
            )
            for each in SERVICES
        ],
    )


def down_document(wanted: Wanted, deleted: bool) -> Preview:
    """That a preview is deleted, or was gone."""
    return Preview(
        verb="preview",
        name=wanted.name,
        source=wanted.environment,
        state="deleted" if deleted else "absent",
        branch_name=f"preview/{wanted.name}",
        branch_id=None,
        project_id=None,
        has_rows=None,
        expires_at=None,
        console_url=None,
        pending=[],
        warnings=[],
        applied=[],
        services=[],
    )


def _about(prepared: Prepared) -> str:
    branch, wanted = prepared.lease.branch, prepared.wanted
    rows = "with its rows" if prepared.rows else "its schema without a row"
    until = f", until {_minute(branch.expires_at)}" if branch.expires_at else ""
    return f"`{branch.name}` ({branch.id}): a copy of {wanted.environment}, {rows}{until}."


def _minute(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _console_url(branch: Branch) -> str:
    return f"https://console.neon.tech/app/projects/{branch.project_id}/branches/{branch.id}"


def _run() -> str:
    """Where the job's log is, in a job of GitHub Actions."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, number = (os.environ.get(name, "") for name in names)
    return f" [The run]({server}/{repository}/actions/runs/{number})" if server and repository and number else ""
