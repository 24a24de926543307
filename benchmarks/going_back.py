"""The drill: three migrations of which one destroys, and how long production takes to be back at what it was.

    python -m benchmarks.going_back [--gigabytes 1] [--folder DIR]

It runs on an emulator of its own and prints what each step took. It fails where the schema's fingerprint or a table's count of
rows is not that of the moment before the migration.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg

from benchmarks.branching import Api, running_emulator
from pipeline.schema.fingerprint import Fingerprints

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
ROW_BYTES = 1000
TABLES = ("filler", "small")

Picture = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Drill:
    """Seconds, and what came back. `looking` is the look ahead of it, whose branch is there again when it goes back."""

    rows: int
    deploying: float
    looking: float
    going_back: float
    rows_back: int


class DrillFailed(Exception):
    """It did not come back as it was."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, and print a document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=None, help="on the file system to measure")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, another account runs the servers
        with running_emulator(folder / "emulator") as environment:
            print(json.dumps(asdict(drill(environment, folder, int(options.gigabytes * 2**30) // ROW_BYTES)), indent=2))


def drill(environment: Mapping[str, str], folder: Path, rows: int) -> Drill:
    """Run it in an empty folder with a project of its own, with so many rows of a kilobyte.

    Raises:
        DrillFailed: the database is not what it was, or a verb failed.
    """
    key = {"Authorization": f"Bearer {environment['NEON_API_KEY']}"}
    with httpx.Client(base_url=environment["NEON_API_URL"], headers=key, timeout=600, trust_env=False) as http:
        api = Api(http)
        branch = {"name": "main", "role_name": "owner", "database_name": "app"}
        made = api.call("POST", "/projects", json={"project": {"branch": branch}})
        try:
            return _drill(environment, folder, rows, made["connection_uris"][0]["connection_uri"])
        finally:
            api.call("DELETE", f"/projects/{made['project']['id']}")


def _drill(environment: Mapping[str, str], folder: Path, rows: int, url: str) -> Drill:
    text = "x" * (ROW_BYTES - 40)
    files = {
        "0001_tables": "CREATE TABLE filler (id int PRIMARY KEY, text text);\nCREATE TABLE small (name text);",
        "0002_rows": f"INSERT INTO filler SELECT n, '{text}' FROM generate_series(1, {rows}) n;\n"
        "INSERT INTO small SELECT 'name ' || n FROM generate_series(1, 1000) n;",
        "0003_destroys": "DELETE FROM filler WHERE id % 2 = 0;\nDROP TABLE small;\nALTER TABLE filler ADD COLUMN more int;",
    }
    (folder / "migrations").mkdir()
    shell = {**os.environ, **environment, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    shell.pop("HTTPS_PROXY", None)
    deploying = 0.0
    before: Picture = ("", ())
    for name, sql in files.items():
        if name == "0003_destroys":
            before = _picture(url)
        (folder / "migrations" / f"{name}.sql").write_text(sql)
        deploying += _inv(folder, shell, "deploy", "--env", "prod", "--uncommitted")
    looking = _inv(folder, shell, "restore", "--env", "prod", "--before", "3")
    going_back = _inv(
        folder, shell, "restore", "--env", "prod", "--before", "3", "--in-place", "--confirm", "prod", "--with-writers"
    )
    after = _picture(url)
    if after != before:
        raise DrillFailed(f"it was {before}, and is {after}")
    return Drill(rows, deploying, looking, going_back, sum(after[1]))


def _inv(folder: Path, environment: Mapping[str, str], *arguments: str) -> float:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "verbs", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DrillFailed(f"{' '.join(arguments)}: {done.stderr}")
    return time.monotonic() - begun


def _picture(url: str) -> Picture:
    """The fingerprint of the schema, and the rows of each table."""
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            fingerprint = Fingerprints(connection).take()
        counts = [connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() for table in TABLES]
    return fingerprint, tuple(int(row[0]) for row in counts if row)


if __name__ == "__main__":
    main()
