"""What a branch of the emulator costs beside a plain copy of its parent's files, of now and of a past position.

    python -m benchmarks.branching [--gigabytes 1] [--rounds 3] [--folder DIR]

`cp --reflink=auto` is the peer: it clones blocks where the file system of the folder can, as a branch of now does.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROW_BYTES = 1000


@dataclass(frozen=True)
class Round:
    """Seconds of one round."""

    copy: float
    branch_of_now: float
    branch_of_the_past: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a document with every round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="on the file system to measure")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        Path(folder).chmod(0o755)  # as root, another account runs the servers
        rounds = measure(Path(folder), int(options.gigabytes * 2**30) // ROW_BYTES, options.rounds)
    print(json.dumps([asdict(each) for each in rounds], indent=2))


def measure(folder: Path, rows: int, rounds: int) -> list[Round]:
    """Fill a project's main with so many rows of a kilobyte, and measure its branches."""
    data = folder / "emulator"
    with (
        running_emulator(data) as environment,
        httpx.Client(
            base_url=environment["NEON_API_URL"],
            headers={"Authorization": f"Bearer {environment['NEON_API_KEY']}"},
            timeout=600,
            trust_env=False,
        ) as api,
    ):
        return _measure(Api(api), data, rows, rounds)


@contextmanager
def running_emulator(data: Path) -> Iterator[dict[str, str]]:
    """An emulator in a folder of its own, and what it exports."""
    emulator = [sys.executable, "-m", "emulator"]
    subprocess.run([*emulator, "up", "--data", str(data)], check=True, capture_output=True)
    try:
        yield _environment(Path(f"{data}.env"))
    finally:
        subprocess.run([*emulator, "down", "--data", str(data)], check=True, capture_output=True)


class Api:
    """Calls that return when Neon's operations have ended."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """The answer, once its operations have ended."""
        answer: dict[str, Any] = self._http.request(method, path, **body).raise_for_status().json()
        for operation in answer.get("operations", []):
            where = f"/projects/{operation['project_id']}/operations/{operation['id']}"
            while self._http.get(where).json()["operation"]["status"] in {"scheduling", "running"}:
                time.sleep(0.02)
        return answer


def _measure(api: Api, data: Path, rows: int, rounds: int) -> list[Round]:
    made = api.call("POST", "/projects", json={"project": {"branch": {"role_name": "owner", "database_name": "app"}}})
    project, main = made["project"]["id"], made["branch"]["id"]
    with psycopg.connect(made["connection_uris"][0]["connection_uri"], autocommit=True) as connection:
        connection.execute("CREATE TABLE filler (id int, text text)")
        connection.execute(
            f"INSERT INTO filler SELECT n, repeat('x', {ROW_BYTES - 40}) FROM generate_series(1, {rows}) n"
        )
        found = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        connection.execute("INSERT INTO filler VALUES (0, 'later')")
    lsn = str(found[0]) if found else ""
    path = f"/projects/{project}/branches"
    measured = []
    files, copy = data / "branches" / main / "data", data / "copy"
    for _ in range(rounds):
        begun = time.monotonic()
        subprocess.run(["cp", "-a", "--reflink=auto", files, copy], check=False)  # a file may vanish meanwhile
        took = [time.monotonic() - begun]
        shutil.rmtree(copy)
        for wanted in ({}, {"parent_lsn": lsn}):
            begun = time.monotonic()
            branch = api.call("POST", path, json={"branch": wanted})["branch"]["id"]
            took.append(time.monotonic() - begun)
            api.call("DELETE", f"{path}/{branch}", params={"hard_delete": "true"})
        measured.append(Round(*took))
    return measured


def _environment(file: Path) -> dict[str, str]:
    lines = (shlex.split(line) for line in file.read_text().splitlines() if line.startswith("export "))
    return dict(word.split("=", 1) for _, *words in lines for word in words if "=" in word)


if __name__ == "__main__":
    main()
