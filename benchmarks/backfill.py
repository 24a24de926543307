"""What a backfill costs beside one UPDATE, what a writer notices of it, and whether a kill can make it lose or repeat a row.

    python -m benchmarks.backfill [--rows 1000000] [--kills 50] [--crashes 5] [--seconds 20]

Three parts, each on a server of its own with every commit on the disk. Speed: one UPDATE of all rows and a backfill, in turns.
Writer: 100 transactions a second on random rows, first alone, then beside the backfill; the server itself counts who waited for a
lock for more than 50 ms. Kills: SIGKILL at random instants, and crashes of the server; a row counts how often it was changed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.backfilling import backfill
from pipeline.deploy.checkout import Checkout
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.migrations import read_folder
from pipeline.postgres.embedded import EmbeddedServer
from services import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SETTINGS = {"max_wal_size": "4GB", "checkpoint_timeout": "1h", "deadlock_timeout": "50ms", "log_lock_waits": "on"}
_PER_SECOND = 100
_MIGRATIONS = {
    "0001_item": "CREATE TABLE item (id int PRIMARY KEY, seen int NOT NULL DEFAULT 0, other int NOT NULL DEFAULT 0, note text);",
    "0002_items": "INSERT INTO item SELECT n, 0, 0, repeat(md5(n::text), 3) FROM generate_series(1, {rows}) n;",
    "0003_seen": (
        "-- pipeline: batched=item key=id\n-- remaining: SELECT count(*) FROM item WHERE seen = 0\n"
        "UPDATE item SET seen = seen + 1 WHERE seen = 0 AND /* batch */ true;"
    ),
}


@dataclass(frozen=True)
class Speed:
    """Rows a second of one UPDATE, and of the backfill, in each round."""

    one_update: list[float]
    backfill: list[float]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.backfill) / statistics.median(self.one_update)


@dataclass(frozen=True)
class Writer:
    """Milliseconds of a writer's transactions, alone and beside the backfill, and how many waited over 50 ms for a lock."""

    alone_p50: float
    alone_p99: float
    beside_p50: float
    beside_p99: float
    beside_worst: float
    transactions: int
    backfill_seconds: float
    lock_waits_over_50_ms: int


@dataclass(frozen=True)
class Kills:
    """How often it was killed and the server crashed, and how often rows were changed then: {"1": rows} is right."""

    kills: int
    kills_that_hit: int
    crashes: int
    times_changed: dict[str, int]
    recorded: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print one document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 1_000_000), ("rounds", 2), ("kills", 50), ("crashes", 5), ("seconds", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args(arguments)
    speed = measure_speed(asked.rows, asked.rounds)
    writer = measure_writer(asked.rows, asked.seconds)
    kills = prove_kills(asked.rows, asked.kills, asked.crashes)
    found = {
        "load": os.getloadavg(),
        "speed": asdict(speed) | {"ratio": round(speed.ratio, 3)},
        "writer": asdict(writer),
        "kills": asdict(kills),
    }
    print(json.dumps(found, indent=2))


def measure_speed(rows: int, rounds: int) -> Speed:
    """One UPDATE, and the backfill, each on a fresh table without autovacuum, in turns."""
    speed = Speed([], [])
    with _server() as (server, folder):
        for number in range(rounds):
            for way in (speed.one_update, speed.backfill) if number % 2 == 0 else (speed.backfill, speed.one_update):
                url = _filled(server, folder, rows, f"speed_{number}_{len(speed.one_update)}_{len(speed.backfill)}")
                _run(url, "ALTER TABLE item SET (autovacuum_enabled = off)")
                began = time.perf_counter()
                if way is speed.one_update:
                    _run(url, "UPDATE item SET seen = seen + 1 WHERE seen = 0")
                else:
                    _go_on(url, folder)
                way.append(round(rows / (time.perf_counter() - began)))
    return speed


def measure_writer(rows: int, seconds: float) -> Writer:
    """The writer alone for so many seconds, then beside the backfill to its end."""
    with _server() as (server, folder):
        url = _filled(server, folder, rows, "writer")
        alone = _written(url, rows, lambda: time.sleep(seconds))
        before = _lock_waits(server)
        began = time.perf_counter()
        beside = _written(url, rows, lambda: _go_on(url, folder))
        took = time.perf_counter() - began
        waits = _lock_waits(server) - before
        done = _value(url, "SELECT count(*) FROM item WHERE seen = 1")
    if done != rows:
        raise AssertionError(f"{done} of {rows} rows are done")
    return Writer(
        _percentile(alone, 50),
        _percentile(alone, 99),
        _percentile(beside, 50),
        _percentile(beside, 99),
        round(max(beside), 1),
        len(beside),
        round(took, 1),
        waits,
    )


def prove_kills(rows: int, kills: int, crashes: int) -> Kills:
    """Kill what works at random instants, and crash the server in between; then let it come to its end."""
    chance = random.Random(19)  # noqa: S311 - instants are no secret
    hit = 0
    with _server() as (server, folder):
        url = _filled(server, folder, rows, "kills")
        crash_at = {round((number + 1) * kills / (crashes + 1)) for number in range(crashes)}
        for number in range(kills):
            process = _process(_go_on_quietly, url.reveal(), str(folder))
            _wait_until_at_work(url, process)
            time.sleep(chance.uniform(0, 0.7))  # a batch takes half a second
            if number in crash_at:
                _crash(server)
            process.kill()
            process.join()
            hit += process.exitcode == -signal.SIGKILL
        _go_on(url, folder)
        times = _rows(url, "SELECT seen::text, count(*) FROM item GROUP BY 1")
        recorded = _value(url, "SELECT changed FROM migration_history.backfills")
    return Kills(kills, hit, len(crash_at), dict(times), recorded)


@contextmanager
def _server() -> Iterator[tuple[EmbeddedServer, Path]]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)  # as root, another account runs the server
        (path / "server").mkdir()
        server = EmbeddedServer(path / "server", settings=_SETTINGS)
        try:
            server.start()
            yield server, path / "migrations"
        finally:
            server.destroy()


def _filled(server: EmbeddedServer, folder: Path, rows: int, name: str) -> DatabaseURL:
    """A database with the rows, and the backfill registered."""
    record = server.start()
    _run(record.superuser, f"CREATE DATABASE {name} OWNER {OWNER}")
    url = record.owner.copy_with(database=name)
    folder.mkdir(exist_ok=True)
    for id_, text in _MIGRATIONS.items():
        (folder / f"{id_}.sql").write_text(text.replace("{rows}", str(rows)), encoding="utf-8")
    apply(url, read_folder(folder), backfill_seconds=0)
    _run(url, "VACUUM ANALYZE item")
    _run(record.superuser, "CHECKPOINT")
    return url


def _go_on(url: DatabaseURL, folder: Path) -> None:
    checkout = Checkout(folder.parent, Environment(None, url, "a benchmark"), Target(), "backfill")
    if not backfill(checkout).is_complete:
        raise AssertionError("it did not come to its end")


def _go_on_quietly(url: str, folder: str) -> None:
    _go_on(DatabaseURL.parse(url), Path(folder))


def _wait_until_at_work(url: DatabaseURL, process: multiprocessing.Process) -> None:
    sql = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'db-pipeline backfill' AND query LIKE 'BEGIN;%'"
    )
    while process.is_alive() and not _value(url, sql):
        time.sleep(0.01)


def _crash(server: EmbeddedServer) -> None:
    server.stop(mode="immediate")
    server.start()


def _written(url: DatabaseURL, rows: int, meanwhile: Any) -> list[float]:
    """The milliseconds of each transaction that a writer makes while something else goes on."""
    ours, theirs = multiprocessing.Pipe()
    process = _process(_write, url.reveal(), rows, theirs)
    ours.recv()
    meanwhile()
    ours.send("stop")
    took: list[float] = ours.recv()
    process.join()
    return took


def _write(url: str, rows: int, other: Any) -> None:
    chance = random.Random(3)  # noqa: S311 - ids are no secret
    took = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT 1")
        other.send("ready")
        due = time.perf_counter()
        while not other.poll():
            due += 1 / _PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            connection.execute("UPDATE item SET other = other + 1 WHERE id = %s", (chance.randint(1, rows),))
            took.append(1000 * (time.perf_counter() - began))
    other.send(took)


def _process(target: Any, *arguments: object) -> multiprocessing.Process:
    process = multiprocessing.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def _lock_waits(server: EmbeddedServer) -> int:
    return server.start().log.read_text(encoding="utf-8", errors="replace").count("still waiting for")


def _percentile(took: Sequence[float], percent: int) -> float:
    return round(sorted(took)[min(len(took) - 1, len(took) * percent // 100)], 2)


def _run(url: DatabaseURL, *statements: str) -> None:
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _rows(url: DatabaseURL, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def _value(url: DatabaseURL, query: str) -> int:
    return int(_rows(url, query)[0][0])


if __name__ == "__main__":
    main()
