"""A deploy tells a webhook how it ended, and neither the address nor what becomes of it gets in the deploy's way."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.sample import SAMPLE_IDS
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sample import Database
    from tests.verbs.conftest import Checkout

SECRET = "T0-unmistakable-path"  # stands in no message


@dataclass
class Hook:
    """A server that keeps what is sent to it, and answers with a status."""

    status: int = 200
    got: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""


@contextmanager
def hook(status: int = 200, location: str = "") -> Iterator[Hook]:
    served = Hook(status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            served.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def do_GET(self) -> None:
            served.got.append((self.path, "GET", {}))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing to log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ON_GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "team/database",
    "GITHUB_RUN_ID": "7",
    "GITHUB_ACTOR": "ada",
    "GITHUB_SHA": "a" * 40,
}


def test_what_was_applied_is_told_once_and_nothing_to_do_is_no_news(checkout: Checkout) -> None:
    with hook() as served:
        answer = checkout.inv("deploy", "--env", "dev", DEPLOY_WEBHOOK_URL=served.url, **ON_GITHUB)
        again = checkout.inv("deploy", "--env", "dev", DEPLOY_WEBHOOK_URL=served.url, **ON_GITHUB)
    assert (answer.returncode, again.returncode) == (0, 0), answer.stderr
    ((path, kind, document),) = served.got
    assert (path, kind) == (f"/services/{SECRET}", "application/json")
    assert document["text"].startswith("dev: 5 migrations applied (0001_people, ")
    assert (document["verb"], document["outcome"], document["environment"]) == ("deploy", "applied", "dev")
    assert [each["id"] for each in document["applied"]] == SAMPLE_IDS
    assert document["run"] == "https://github.com/team/database/actions/runs/7"
    assert (document["actor"], document["commit"]) == ("ada", "a" * 40)
    for output in (answer.stdout, answer.stderr, again.stdout, again.stderr):
        assert SECRET not in output
    assert "unmistakable@pass" not in json.dumps(document)


def test_a_failure_is_told_with_what_stands(checkout: Checkout) -> None:
    checkout.write("0006_wrong", "ALTER TABLE nowhere ADD COLUMN note text; -- <!channel> & co")
    with hook() as served:
        answer = checkout.inv("deploy", DEPLOY_WEBHOOK_URL=served.url)
    assert answer.returncode == 5
    ((_, _, document),) = served.got
    assert (document["outcome"], document["environment"]) == ("failed", None)
    assert [each["id"] for each in document["applied"]] == SAMPLE_IDS
    assert document["error"]["where"] == "migrations/0006_wrong.sql:1"
    assert document["error"]["exit_code"] == 5
    assert "the deploy failed: migrations/0006_wrong.sql:1: " in document["text"]


def test_names_of_a_migration_command_no_messenger(checkout: Checkout) -> None:
    checkout.write("0006_wrong", "DO $$ BEGIN RAISE EXCEPTION '<!channel> & co'; END $$;")
    with hook() as served:
        checkout.inv("deploy", DEPLOY_WEBHOOK_URL=served.url)
    assert "&lt;!channel&gt; &amp; co" in served.got[0][2]["text"]
    assert "<!channel> & co" in served.got[0][2]["error"]["message"]


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_that_is_no_success_is_a_note(checkout: Checkout, status: int) -> None:
    with hook(status) as served:
        answer = checkout.inv("deploy", DEPLOY_WEBHOOK_URL=served.url)
    assert answer.returncode == 0
    assert f"note: DEPLOY_WEBHOOK_URL: it answered {status}: nobody was told of the deploy" in answer.stderr
    assert SECRET not in answer.stderr


def test_a_redirect_is_not_followed(checkout: Checkout) -> None:
    with hook() as other, hook(302, other.url) as served:
        answer = checkout.inv("deploy", DEPLOY_WEBHOOK_URL=served.url)
    assert "it answered 302" in answer.stderr
    assert other.got == []


@pytest.mark.parametrize(
    "url",
    [
        f"https://127.0.0.1:1/{SECRET}",
        f"http://example.org/{SECRET}",
        f"https://127.0.0.1:1/{SECRET} with a blank",
        f"https://127.0.0.1:port/{SECRET}",
        f"file:///{SECRET}",
        f"https://[{SECRET}",
        SECRET,
    ],
)
def test_an_address_that_leads_nowhere_is_a_note_without_the_address(checkout: Checkout, url: str) -> None:
    answer = checkout.inv("deploy", DEPLOY_WEBHOOK_URL=url)
    assert answer.returncode == 0
    assert answer.stdout.startswith("5 migrations applied")
    assert "nobody was told of the deploy" in answer.stderr
    assert SECRET not in answer.stderr
    assert "Traceback" not in answer.stderr


def test_one_that_never_answers_does_not_keep_a_deploy(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{SECRET}"
        answer = checkout.inv("deploy", DEPLOY_WEBHOOK_URL=url)
    assert answer.returncode == 0
    assert "note: DEPLOY_WEBHOOK_URL: it cannot be reached (TimeoutError)" in answer.stderr
    assert SECRET not in answer.stderr


def test_an_interruption_is_told_as_well(checkout: Checkout, superuser: Database) -> None:
    checkout.inv("deploy")
    checkout.write("0006_age", '-- pipeline: lock-timeout=1min\nALTER TABLE "Person" ADD COLUMN age int;')
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with hook() as served, superuser.connect() as other:
        other.execute('BEGIN; SELECT * FROM "Person"')
        environment = checkout.environment(DEPLOY_WEBHOOK_URL=served.url)
        with subprocess.Popen(
            checkout.command("deploy"), cwd=checkout.path, env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            until(lambda: superuser.value(waits))
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate()
    assert process.returncode == 143
    assert "interrupted" in said
    ((_, _, document),) = served.got
    assert document["error"]["kind"] == "Interrupted"
    assert document["error"]["exit_code"] == 143


def test_a_dry_run_tells_nobody(checkout: Checkout) -> None:
    with hook() as served:
        checkout.inv("deploy", "--dry-run", DEPLOY_WEBHOOK_URL=served.url)
    assert served.got == []
