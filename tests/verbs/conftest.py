from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services import OWNER
from tests.support.sample import SAMPLE, Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Checkout:
    """A checkout with migrations of its own, where verbs run as a person runs them."""

    path: Path
    url: DatabaseURL

    def inv(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb with DATABASE_URL set; the answer's output never holds the password."""
        answer = subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if "--show" not in arguments:
            assert (self.url.password or "\0") not in answer.stdout + answer.stderr
        return answer

    def command(self, *arguments: str) -> list[str]:
        # its migrations are in no commit: tests/deploy/test_committed.py has those that are
        bare = ["--uncommitted"] if arguments[0] == "deploy" and "--help" not in arguments else []
        return [sys.executable, "-m", "verbs", *arguments, *bare]

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "GITHUB_", "DATABASE_URL"))
        }
        # the verbs of the copied tasks.py are the repository's
        return {**kept, "PYTHONPATH": str(REPOSITORY), "DATABASE_URL": self.url.reveal(), **variables}

    def on_github(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb as a job of GitHub Actions does."""
        return self.inv(*arguments, GITHUB_ACTIONS="true", **variables)

    def write(self, id_: str, sql: str, rollback: str | None = None) -> None:
        (self.path / "migrations" / f"{id_}.sql").write_text(sql)
        if rollback is not None:
            (self.path / "migrations" / f"{id_}.rollback.sql").write_text(rollback)


@pytest.fixture
def checkout(tmp_path: Path, db: Database, server: PostgresServer) -> Iterator[Checkout]:
    shutil.copy(REPOSITORY / "tasks.py", tmp_path)
    (tmp_path / "migrations").mkdir()
    # a password that stands in no other part of the output
    name = f"deployer_{db.url.database}"
    Database(server.superuser).run(f"CREATE ROLE {name} LOGIN PASSWORD 'unmistakable@pass' IN ROLE {OWNER}")
    made = Checkout(tmp_path, db.url.copy_with(user=name, password="unmistakable@pass"))
    Database(server.superuser).run(f"ALTER DATABASE {db.url.database} OWNER TO {name}")
    for id_, sql in SAMPLE.items():
        made.write(id_, sql)
    yield made
    server.drop_database(db.url)
    Database(server.superuser).run(f"DROP ROLE {name}")
