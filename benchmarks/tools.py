"""The tools that are compared, each as its users start it."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmarks.cases import forward, name_of
from benchmarks.process import Command
from pipeline.postgres.binaries import find_binary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.cases import Case
    from dbclient.url import DatabaseURL

Name = Literal["psql", "inv", "yoyo", "node-pg-migrate"]
NAMES: tuple[Name, ...] = ("psql", "inv", "yoyo")
PEERS: tuple[Name, ...] = ("node-pg-migrate",)  # measured where they are on PATH

# Whatever the caller's shell has set of these would change what is measured.
_FOREIGN = ("PG", "DATABASE_URL", "PYTHON", "INVOKE_", "GITHUB_", "CI_", "COVERAGE")


def found() -> tuple[Name, ...]:
    """The tools that can be measured here."""
    return (*NAMES, *(peer for peer in PEERS if shutil.which(peer)))


@dataclass(frozen=True)
class Tool:
    """One of the tools: psql -1 -f with all pending files in one script, ./inv deploy, yoyo apply, node-pg-migrate up."""

    name: Name

    def command(self, case: Case, checkout: Path, url: DatabaseURL) -> Command:
        """How it brings a database from the case's beginning to its end."""
        how = {"psql": self._psql, "inv": self._inv, "yoyo": self._yoyo, "node-pg-migrate": self._node_pg_migrate}
        arguments = how[self.name](case, checkout, url)
        given = {"DATABASE_URL": url.reveal()} if self.name in {"inv", "node-pg-migrate"} else {}
        environment = {**_environment(), **given}
        return Command(arguments, checkout, environment)

    def forget_sql(self, migration: str) -> str:
        """What takes a migration out of the tool's history."""
        if self.name == "psql":
            return ""
        if self.name == "node-pg-migrate":
            return f"DELETE FROM pgmigrations WHERE name = '{migration}';"
        schema = "migration_history" if self.name == "inv" else "public"
        return "".join(
            f"DELETE FROM {schema}.{table} WHERE migration_id = '{migration}';"
            for table in ("_yoyo_migration", "_yoyo_log")
        )

    def _psql(self, case: Case, checkout: Path, url: DatabaseURL) -> list[str]:
        # Its script does less than the others do: it records nothing.
        script = checkout / f"pending-{case.name}.sql"
        if not script.exists():
            script.write_text("".join(map(forward, range(case.applied + 1, case.files + 1))), encoding="utf-8")
        psql = str(find_binary("psql"))
        return [psql, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", url.for_psycopg().dsn, "-f", str(script)]

    @staticmethod
    def _inv(_case: Case, checkout: Path, _url: DatabaseURL) -> list[str]:
        return [str(checkout / "inv"), "deploy"]

    @staticmethod
    def _yoyo(_case: Case, checkout: Path, url: DatabaseURL) -> list[str]:
        yoyo = str(Path(sys.prefix) / "bin" / "yoyo")
        return [
            yoyo,
            "apply",
            "--batch",
            "--no-config-file",
            "--database",
            url.for_yoyo().dsn,
            str(checkout / "migrations"),
        ]

    @staticmethod
    def _node_pg_migrate(case: Case, checkout: Path, _url: DatabaseURL) -> list[str]:
        # A folder of its own, since it would take a rollback file for a migration.
        folder = checkout / "node-pg-migrate"
        if not folder.exists():
            folder.mkdir()
            for number in range(1, case.files + 1):
                (folder / f"{name_of(number)}.sql").write_text(forward(number), encoding="utf-8")
        program = shutil.which("node-pg-migrate")
        if program is None:
            raise ValueError("node-pg-migrate is not on PATH")
        return [program, "up", "--no-verbose", "-m", str(folder)]


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
