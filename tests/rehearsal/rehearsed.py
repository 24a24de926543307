"""A checkout whose environment `prod` is a project on the emulator, where `./inv rehearse` runs as a person runs it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.target import Target
from pipeline.migrations import read_folder
from services import DATABASE, OWNER, PROJECT, RUNTIME_ROLES
from tests.emulator.urls import uri
from tests.support.databases import MIGRATIONS

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


@dataclass
class Rehearsed:
    """A clone as CI has it: no DATABASE_URL, no pulumi, the project's id in Pulumi.prod.yaml."""

    path: Path
    emulator: Emulator
    project: Json
    url: DatabaseURL = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.url = DatabaseURL.parse(uri(self.project))
        shutil.copytree(MIGRATIONS, self.path / "migrations")
        (self.path / "Pulumi.prod.yaml").write_text(
            f"config:\n  {PROJECT}:owns: project\n  {PROJECT}:projectId: {self.project_id}\n"
            f"  {PROJECT}:rehearsal: required\n"
        )
        self.git("init", "-q", "-b", "main")
        self.commit()

    @property
    def project_id(self) -> str:
        return str(self.project["project"]["id"])

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=self.path, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "as it is")

    def deploy(self) -> None:
        """As a deploy with the stack does: the runtime roles have passwords."""
        passwords = {role: secrets.token_hex(24) for role in RUNTIME_ROLES}
        target = Target("prod", self.project_id, str(self.project["branch"]["id"]), passwords=passwords)
        apply(self.url, read_folder(self.path / "migrations"), target=target)

    def write(self, *files: str, first: int = 900) -> None:
        """Pending files 0900_pending, 0901_pending …, committed."""
        for number, text in enumerate(files, start=first):
            (self.path / "migrations" / f"{number:04}_pending.sql").write_text(text)
        self.commit()

    def forget(self) -> None:
        """Take the pending files away."""
        for file in (self.path / "migrations").glob("*_pending.sql"):
            file.unlink()

    def start(self, *flags: str, **variables: str) -> subprocess.Popen[str]:
        """Run the verb in the background."""
        return self.start_verb("rehearse", "--env", "prod", *flags, **variables)

    def start_verb(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Run a verb in the background."""
        return subprocess.Popen(
            [sys.executable, "-m", "verbs", *arguments],
            cwd=self.path,
            env=self.environment() | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def inv(self, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the verb to its end."""
        return self.run_verb("rehearse", "--env", "prod", *flags, **variables)

    def run_verb(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        process = self.start_verb(*arguments, **variables)
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def environment(self) -> dict[str, str]:
        """Neon's key, and neither DATABASE_URL nor pulumi."""
        left_out = ("PG", "GITHUB_", "DATABASE_URL", "NEON_", "PULUMI_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        neon = {name: self.emulator.environment[name] for name in ("NEON_API_KEY", "NEON_API_URL")}
        return kept | neon | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}

    def branches(self) -> list[Json]:
        found: list[Json] = self.emulator.api.get(f"/projects/{self.project_id}/branches").json()["branches"]
        return found

    def names(self) -> list[str]:
        return sorted(str(branch["name"]) for branch in self.branches())


def rehearsed(path: Path, emulator: Emulator) -> Rehearsed:
    """One with an empty production, whose owner and database are the product's."""
    branch = {"name": "main", "role_name": OWNER, "database_name": DATABASE}
    return Rehearsed(path, emulator, emulator.create_project(name=PROJECT, branch=branch))
