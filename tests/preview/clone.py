"""A clone whose environments `prod` and `dev` are branches of a project on the emulator, where verbs run as in CI."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.target import Target
from pipeline.migrations import read_folder
from services import DATABASE, OWNER, PROJECT, RUNTIME_ROLES
from tests.emulator.urls import uri
from tests.rehearsal.rehearsed import Rehearsed

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

ROOT = Path(__file__).parents[2]
SECRET = re.compile(r"\b[0-9a-f]{48}\b")  # a password that a verb makes up
Json = dict[str, Any]


@dataclass
class Clone(Rehearsed):
    """Neon's key and the ids of Pulumi.*.yaml, no DATABASE_URL and no pulumi."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.deploy()
        self.run(self.url, "INSERT INTO \"User\" (id, name) VALUES ('u1', 'canary')")
        self.dev = self.emulator.create_branch(self.project, name="dev")
        self.dev_url = DatabaseURL.parse(uri(self.dev))
        stack = f"config:\n  {PROJECT}:owns: branch\n  {PROJECT}:projectId: {self.project_id}\n"
        (self.path / "Pulumi.dev.yaml").write_text(stack)
        passwords = {role: f"of-dev-{role}" for role in RUNTIME_ROLES}
        target = Target("dev", self.project_id, self.dev["branch"]["id"], passwords=passwords)
        apply(self.dev_url, read_folder(self.path / "migrations"), target=target)
        self.commit()

    def verb(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb; without --show no password is in what it says."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.path,
            env=self.environment() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        said = done.stdout + done.stderr
        if "--show" not in words:
            assert not SECRET.search(said), said
        for password in self.passwords():
            assert password not in (done.stderr if "--show" in words else said)
        return done

    def ok(self, *words: str, **variables: str) -> str:
        done = self.verb(*words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @staticmethod
    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "verbs", *words]

    def passwords(self) -> set[str]:
        """Every password that Neon knows, of every branch."""
        found = {f"of-dev-{role}" for role in RUNTIME_ROLES}
        for branch in self.branches():
            path = f"/projects/{self.project_id}/branches/{branch['id']}/roles"
            for role in self.emulator.api.get(path).json().get("roles", []):
                answer = self.emulator.api.get(f"{path}/{role['name']}/reveal_password")
                if answer.is_success:
                    found.add(answer.json()["password"])
        return found

    def branch(self, name: str) -> Json:
        return next(branch for branch in self.branches() if branch["name"] == name)

    def owner_url(self, branch: Json) -> DatabaseURL:
        params = {"branch_id": branch["id"], "database_name": DATABASE, "role_name": OWNER}
        answer = self.emulator.answer("GET", f"/projects/{self.project_id}/connection_uri", params=params)
        return DatabaseURL.parse(answer.json()["uri"])

    @staticmethod
    def run(url: DatabaseURL | str, sql: str) -> list[tuple[Any, ...]]:
        dsn = url if isinstance(url, str) else url.reveal()
        with psycopg.connect(dsn, autocommit=True, connect_timeout=20) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


def clone(path: Path, emulator: Emulator) -> Clone:
    """One whose dev and prod have every migration, and a row of prod's that is in both."""
    branch = {"name": "main", "role_name": OWNER, "database_name": DATABASE}
    return Clone(path, emulator, emulator.create_project(name=PROJECT, branch=branch))


def variables_of(text: str) -> list[str]:
    """The connection strings that --show printed, in order."""
    return re.findall(r'^DATABASE_URL="(.*)"$', text, re.MULTILINE)
