"""`place`: an environment on the emulator with three migrations, of which the last one destroys."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.checkout import Checkout
from pipeline.deploy.observer import Observer
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.history.record import Author
from pipeline.neon import NeonClient
from tests.emulator.urls import uri
from tests.neon.conftest import QUICK
from tests.support.folders import FolderBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.deploy import Report
    from tests.support.emulator import Emulator

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
NOBODY = Author("somebody", "a machine", "c" * 40)

FILES = {
    "0001_people": 'CREATE TABLE "Person" (id int PRIMARY KEY, name text NOT NULL, note text);\nCREATE TABLE tag (name text);',
    "0002_rows": "INSERT INTO \"Person\" SELECT n, 'name ' || n, 'note ' || n FROM generate_series(1, 1000) n;\n"
    "INSERT INTO tag SELECT 'tag ' || n % 10 FROM generate_series(1, 100) n;",
    "0003_fewer": 'DELETE FROM "Person" WHERE id > 900;\n'
    "UPDATE \"Person\" SET note = 'overwritten' WHERE id <= 50;\nDELETE FROM tag WHERE name = 'tag 1';",
}


class Listener(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class Place:
    """An environment `prod` on a project of the emulator, and a checkout that is deployed to it."""

    emulator: Emulator
    project: Json
    folder: FolderBuilder
    told: Listener = field(default_factory=Listener)

    @property
    def url(self) -> DatabaseURL:
        return DatabaseURL.parse(uri(self.project))

    @property
    def project_id(self) -> str:
        return str(self.project["project"]["id"])

    @property
    def branch_id(self) -> str:
        return str(self.project["branch"]["id"])

    @property
    def environ(self) -> Mapping[str, str]:
        """What a shell has that works with the emulator."""
        return {name: self.emulator.environment[name] for name in ("NEON_API_KEY", "NEON_API_URL")}

    @property
    def checkout(self) -> Checkout:
        environment = Environment("prod", self.url, "a test")
        return Checkout(self.folder.path.parent, environment, Target("prod"), "restore", self.told, uncommitted=True)

    def client(self) -> NeonClient:
        return NeonClient(self.environ["NEON_API_KEY"], base_url=self.environ["NEON_API_URL"], policy=QUICK)

    def deploy(self) -> Report:
        return apply(self.url, self.folder.read(), target=Target("prod"), author=lambda: NOBODY)

    def inv(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb as a person does, whose shell has the environment's URL and the key. No password is in what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "verbs", *arguments],
            cwd=self.folder.path.parent,
            env=self.variables() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert str(self.url.password) not in done.stdout + done.stderr
        return done

    def variables(self) -> dict[str, str]:
        """The environment of `inv`."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PRODUCT_FILE") if name in os.environ}
        return kept | dict(self.environ) | {"PYTHONPATH": str(ROOT), "DATABASE_URL": self.url.reveal()}

    def rows(self, sql: str, url: DatabaseURL | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect((url or self.url).for_psycopg().dsn, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, url: DatabaseURL | None = None) -> Any:
        return self.rows(sql, url)[0][0]

    def branches(self) -> dict[str, Json]:
        path = f"/projects/{self.project_id}/branches"
        return {branch["name"]: branch for branch in self.emulator.ok("GET", path)["branches"]}


def make_place(emulator: Emulator, path: Path) -> Place:
    """A project with FILES deployed to its branch main."""
    folder = FolderBuilder(path / "migrations")
    for id_, text in FILES.items():
        folder.write(id_, text)
    place = Place(emulator, emulator.create_project(), folder)
    place.deploy()
    return place


@pytest.fixture(scope="module")
def shared_place(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for the tests of a module that only look."""
    made = make_place(emulator, tmp_path_factory.mktemp("place"))
    yield made
    emulator.delete_project(made.project_id)


@pytest.fixture
def place(emulator: Emulator, tmp_path: Path) -> Iterator[Place]:
    """One of the test's own."""
    made = make_place(emulator, tmp_path)
    yield made
    emulator.admin.delete("/faults")
    emulator.delete_project(made.project_id)
