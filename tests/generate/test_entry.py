"""What the verbs call: the environment is found, asked who it is, and only then worked on."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.check import check_here, fix_here
from pipeline.deploy.checkout import local_checkout, open_checkout
from pipeline.deploy.observer import Observer
from pipeline.errors import ConfigurationError, NotLocal, Refused
from pipeline.generate.entry import diff, migrate_by_name, push_here, verify_here, write_empty
from pipeline.generate.proposals import Wishes
from tests.generate.conftest import REPOSITORY
from tests.generate.test_shadows import shadows_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.generate.conftest import Checkout
    from tests.support.server import PostgresServer

LOCAL_ONLY: dict[str, Callable[[Path], object]] = {
    "migrate --name": lambda root: migrate_by_name(local_checkout(root, "migrate"), "change", Wishes()),
    "migrate --name --empty": lambda root: write_empty(local_checkout(root, "migrate"), "change"),
    "verify": lambda root: verify_here(local_checkout(root, "verify"), ()),
    "push": lambda root: push_here(local_checkout(root, "push"), allow_destructive=False),
    "check": lambda root: check_here(local_checkout(root, "check"), base=None, lint_everything=False),
    "check --fix": lambda root: fix_here(local_checkout(root, "check"), base=None, lint_everything=False),
}


@pytest.fixture
def as_local(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """The checkout, with its database in DATABASE_URL."""
    monkeypatch.setenv("DATABASE_URL", checkout.local.reveal())
    monkeypatch.delenv("SHADOW_DATABASE_URL", raising=False)
    return checkout


@pytest.mark.parametrize("verb", LOCAL_ONLY)
def test_a_neon_compute_behind_a_tunnel_is_refused_before_anything_is_made(
    as_local: Checkout, server: PostgresServer, verb: str
) -> None:
    as_local.append('CREATE TABLE "Tag" (id int PRIMARY KEY);')
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE \"{as_local.local.database}\" SET neon.branch_id = 'br-some-branch-1'")
    names = as_local.names()
    with pytest.raises(NotLocal):
        LOCAL_ONLY[verb](as_local.root)
    assert as_local.names() == names
    assert shadows_on(server) == []


def test_the_verbs_generate_in_a_process_of_their_own(as_local: Checkout) -> None:
    as_local.append('CREATE TABLE "Tag" (id int PRIMARY KEY);')
    for arguments in (["push", "--dry-run"], ["migrate", "--name", "add_tag", "--dry-run"]):
        answer = subprocess.run(
            [sys.executable, "-m", "verbs", *arguments],
            cwd=as_local.root,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert answer.returncode == 0, answer.stderr
        assert 'CREATE TABLE "Tag"' in answer.stdout
        assert answer.stdout.endswith("a dry run: nothing was changed\n")


@pytest.mark.parametrize("verb", LOCAL_ONLY)
def test_another_machine_is_refused_without_connecting(
    as_local: Checkout, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody@db.example.org/shop")
    with pytest.raises(NotLocal):
        LOCAL_ONLY[verb](as_local.root)


def test_a_migration_is_generated_and_recorded_with_its_author(as_local: Checkout) -> None:
    as_local.append('CREATE TABLE "Tag" (id int PRIMARY KEY);')
    made = migrate_by_name(local_checkout(as_local.root, "migrate"), "tags", Wishes())
    assert [path.name for path in made.files] == ["0007_tags.sql"]
    comparison = diff(open_checkout(as_local.root, "local", "diff"))
    assert (comparison.applied, comparison.drift) == (7, ())


def test_check_fixes_what_is_not_applied_here_and_says_what_is_left(as_local: Checkout) -> None:
    change = 'CREATE INDEX "Message_name_idx" ON "Message" ("name");'
    as_local.append(change)
    for ending, sql in ((".sql", change), (".rollback.sql", 'DROP INDEX "Message_name_idx";')):
        (as_local.workbench.migrations / f"0101_names{ending}").write_text(f"-- Names are searched\n\n{sql}\n")
    fixed, checked = fix_here(local_checkout(as_local.root, "check"), base=None, lint_everything=False)
    assert [each.written for each in fixed] == [("0101_names",)]
    assert checked.findings == ()
    assert "INDEX CONCURRENTLY" in (as_local.workbench.migrations / "0101_names.sql").read_text()
    assert fix_here(local_checkout(as_local.root, "check"), base=None, lint_everything=False) == ([], checked)


def test_a_shadow_url_that_names_no_database_means_the_one_that_libpq_would_take(
    as_local: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHADOW_DATABASE_URL", as_local.local.copy_with(database=None).reveal())
    monkeypatch.setenv("PGDATABASE", str(as_local.local.database))
    with pytest.raises(Refused, match=f"leads to .*/{as_local.local.database}, which is not empty"):
        verify_here(local_checkout(as_local.root, "verify"), ())


def test_a_shadow_url_that_cannot_be_read_is_named(as_local: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHADOW_DATABASE_URL", "not a url")
    with pytest.raises(ConfigurationError, match="SHADOW_DATABASE_URL"):
        verify_here(local_checkout(as_local.root, "verify"), ())


class Notes(Observer):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


@pytest.mark.parametrize("check", [check_here, fix_here])
def test_check_says_when_it_proves_another_version_than_productions(
    as_local: Checkout, check: Callable[..., object]
) -> None:
    with psycopg.connect(as_local.local.reveal()) as connection:
        here = connection.info.server_version // 10_000
    for production, words in ((here, ""), (here + 1, f"on PostgreSQL {here}, and production's is {here + 1}")):
        (as_local.root / "Pulumi.prod.yaml").write_text(f'config:\n  shop:pgVersion: "{production}"\n')
        notes = Notes()
        check(local_checkout(as_local.root, "check", observer=notes), base=None, lint_everything=False)
        said = [each for each in notes.told if "production's is" in each]
        assert bool(said) == bool(words)
        assert all(words in each for each in said)
