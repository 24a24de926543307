"""`team`: a repository on GitHub whose production is a project of the emulator, and whose dev is a database."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.checkout import Checkout
from pipeline.deploy.reader import make_reader
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.migrations import read_folder
from services import DATABASE, OWNER, PROJECT
from tests.emulator.urls import uri
from tests.support.databases import MIGRATIONS
from tests.support.repository import Repository
from tests.support.sample import Database
from tests.workflows.runner import Ran, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.emulator import Emulator
    from tests.support.server import PostgresServer

# What stands for a checkout's own environment: made by its first run, as the real one is, of the one that runs the tests.
INV = """#!/bin/sh
mkdir -p .venv/bin
[ -e .venv/bin/python ] || {{ printf '#!/bin/sh\\nexec {python} "$@"\\n' >.venv/bin/python; chmod +x .venv/bin/python; }}
[ "$1" = --version ] || exec .venv/bin/python -m verbs "$@"
"""
ADDITION = 'ALTER TABLE "Message" ADD COLUMN pinned boolean NOT NULL DEFAULT false;'


@dataclass
class Team:
    """The repository, its databases, and the secrets of its environments."""

    repository: Repository
    emulator: Emulator
    project_id: str
    prod: DatabaseURL
    dev: DatabaseURL
    secrets: dict[str, dict[str, str]]
    folder: Path
    runs: list[Run] = field(default_factory=list)

    def write(self, id_: str, sql: str) -> None:
        """A migration, committed."""
        (self.repository.migrations / f"{id_}.sql").write_text(f"-- {id_}\n{sql}\n")
        self.repository.commit()

    @property
    def commit(self) -> str:
        return self.repository.git("rev-parse", "HEAD").strip()

    def run(
        self,
        workflow: str,
        event: str,
        *,
        context: Mapping[str, str] | None = None,
        assumed: Mapping[str, str] | None = None,
        answers: Mapping[str, Any] | None = None,
        earlier: Run | None = None,
    ) -> dict[str, Ran]:
        """Run a workflow for the newest commit of main."""
        base = {
            "github.event_name": event,
            "github.ref": "refs/heads/main",
            "github.ref_name": "main",
            "github.sha": self.commit,
            "github.repository": "team/database",
            "github.event.repository.default_branch": "main",
        }
        run = Run(
            workflow,
            self.repository.root,
            self.folder / str(len(self.runs)),
            base | dict(context or {}),
            self.secrets,
            assumed={"ci": "success"} if assumed is None else assumed,
            variables={"NEON_API_URL": self.emulator.environment["NEON_API_URL"]},
            answers=answers or {},
            earlier=earlier.artifacts if earlier else None,
        )
        self.runs.append(run)
        return run.run()

    def branches(self) -> list[str]:
        found = self.emulator.api.get(f"/projects/{self.project_id}/branches").json()["branches"]
        return sorted(str(branch["name"]) for branch in found)

    def applied(self) -> list[str]:
        """What production has."""
        return Database(self.prod).applied()


def _team(emulator: Emulator, server: PostgresServer, folder: Path) -> Team:
    branch = {"name": "main", "role_name": OWNER, "database_name": DATABASE}
    project = emulator.create_project(name=PROJECT, branch=branch)
    project_id = str(project["project"]["id"])
    prod, dev = DatabaseURL.parse(uri(project)), server.create_database()
    repository = Repository.create(folder / "repository")
    shutil.copytree(MIGRATIONS, repository.migrations, dirs_exist_ok=True)
    (repository.root / "Pulumi.prod.yaml").write_text(
        f"config:\n  {PROJECT}:owns: project\n  {PROJECT}:projectId: {project_id}\n  {PROJECT}:rehearsal: required\n"
    )
    (repository.root / "inv").write_text(INV.format(python=sys.executable))
    (repository.root / "inv").chmod(0o755)
    (repository.root / ".gitignore").write_text(".venv\n.local\n")
    repository.commit("as it was deployed")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    for name, url in (("prod", prod), ("dev", dev)):
        apply(url, read_folder(repository.migrations), target=Target(name))
    reader = make_reader(Checkout(repository.root, Environment("prod", prod, "a test"), Target(), "reader"))
    secrets = {
        "dev": {"DATABASE_URL": dev.reveal()},
        "prod-plan": {"DATABASE_URL": reader.reveal()},
        "prod-rehearsal": {"NEON_API_KEY": emulator.environment["NEON_API_KEY"]},
        "prod": {"DATABASE_URL": prod.reveal()},
    }
    return Team(repository, emulator, project_id, prod, dev, secrets, folder / "runs")


@pytest.fixture
def team(emulator: Emulator, server: PostgresServer, tmp_path: Path) -> Iterator[Team]:
    made = _team(emulator, server, tmp_path)
    yield made
    emulator.delete_project(made.project_id)
    server.drop_database(made.dev)
