"""What a deploy tells a messenger or another program when it is over: one POST of JSON to the address in DEPLOY_WEBHOOK_URL.

The address is a secret, as Slack's are: it comes from the environment alone, and no message repeats any of it.
"""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import asdict
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from pipeline.console import exit_code
from pipeline.console.documents import deploy_document
from pipeline.console.text import counted

if TYPE_CHECKING:
    from pipeline.deploy import Report
    from pipeline.deploy.observer import Observer
    from pipeline.errors import PipelineError

WEBHOOK = "DEPLOY_WEBHOOK_URL"
_SECONDS = 5.0  # to connect, and for each part of the answer: the deploy is over, and its job is not to wait
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SHOWN = 1_000  # characters of an error, which may repeat a statement


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent to one address is not sent to another one: a redirect is an answer like 404."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def tell_applied(environment: str | None, report: Report, observer: Observer) -> None:
    """Tell of a deploy that applied something; one with nothing to do is no news. Nothing is raised."""
    if not report.applied:
        return
    document = asdict(deploy_document(environment, report))
    ids = [each.id for each in report.applied]
    _post(
        f"{_name(environment)}: {counted(len(ids))} applied ({_listed(ids)})",
        {"outcome": "applied", "environment": environment, "applied": document["applied"], "error": None},
        observer,
    )


def tell_failed(environment: str | None, error: PipelineError, observer: Observer) -> None:
    """Tell of a deploy that failed, and what of it is applied all the same. Nothing is raised."""
    outcome = error.outcome
    applied = [] if outcome is None else [{"id": id_, "milliseconds": None} for id_ in outcome.applied]
    message = error.message if len(error.message) <= _SHOWN else f"{error.message[:_SHOWN]} …"
    where = f"{error.where}: " if error.where else ""
    _post(
        f"{_name(environment)}: the deploy failed: {where}{message}",
        {
            "outcome": "failed",
            "environment": environment,
            "applied": applied,
            "error": {
                "kind": type(error).__name__,
                "where": error.where,
                "message": message,
                "exit_code": exit_code(error),
            },
        },
        observer,
    )


def _post(text: str, document: dict[str, Any], observer: Observer) -> None:
    """Send it. Whatever becomes of that is told, without the address, and changes nothing about the deploy."""
    url = os.environ.get(WEBHOOK, "").strip()
    about = {
        "commit": os.environ.get("GITHUB_SHA") or None,
        "actor": os.environ.get("GITHUB_ACTOR") or None,
        "run": run_url(),
    }
    # `text` is what Slack shows, and what its work-alikes take; it takes &, < and > for marks of its own
    body = {
        "text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "verb": "deploy",
        **document,
        **about,
    }
    try:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            observer.note(f"{WEBHOOK} is no https address: nobody was told of the deploy")
            return
        request = urllib.request.Request(  # noqa: S310 - its scheme was looked at
            url, json.dumps(body).encode(), {"Content-Type": "application/json", "User-Agent": "db-pipeline"}
        )
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS):
            return
    except HTTPError as error:
        why = f"it answered {error.code}"
        error.close()
    except URLError as error:
        why = f"it cannot be reached ({type(error.reason).__name__})"
    except (OSError, HTTPException, ValueError) as error:
        why = f"it cannot be reached ({type(error).__name__})"  # their texts may have the address in them
    observer.note(f"{WEBHOOK}: {why}: nobody was told of the deploy, which stands as it is")


def _name(environment: str | None) -> str:
    return environment or "the database of DATABASE_URL"


def _listed(ids: list[str]) -> str:
    shown = ", ".join(ids[:5])
    return f"{shown} and {len(ids) - 5} more" if len(ids) > 5 else shown


def run_url() -> str | None:
    """The address of the job's run on GitHub, if it is one."""
    parts = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else None
