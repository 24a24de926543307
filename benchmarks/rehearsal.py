"""What a rehearsal says of six changes beside what an independent session sees, and what it costs beside the deploy alone.

    python -m benchmarks.rehearsal [--messages 1000000] [--rounds 3] [--folder DIR]

The table: each change is measured on a copy while another session polls pg_locks every millisecond, and its rows are those of
pg_stat_xact_user_tables in a transaction of its own on another copy. What is seen of a lock has the look behind the statement in
it, which what is measured leaves out. The ratio: ten files deployed to a branch, and rehearsed, on the emulator.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.branching import running_emulator
from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.environments.place import Place, find_parent
from pipeline.migrations import read_folder
from pipeline.neon import NeonClient
from pipeline.postgres.lock import APPLICATION
from pipeline.rehearsal.copies import Copies
from pipeline.rehearsal.measuring import measure
from pipeline.rehearsal.rehearsing import Asked, rehearse
from services import DATABASE, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BASE = """
CREATE TABLE thread (id int PRIMARY KEY, model text, title text NOT NULL);
CREATE TABLE message (id int PRIMARY KEY, thread int NOT NULL, role text NOT NULL, content text NOT NULL, name text);
CREATE INDEX message_thread ON message (thread);
"""
ROWS = """
INSERT INTO thread SELECT n, 'm', 'thread ' || n FROM generate_series(1, {messages} / 20) n;
INSERT INTO message SELECT n, n % ({messages} / 20) + 1, 'human', repeat('x', 100) || n, 'n' || n
  FROM generate_series(1, {messages}) n;
VACUUM ANALYZE thread, message;
"""
CHANGES = {
    "an index": "CREATE INDEX message_role ON message (role, name);",
    "a rewrite": "ALTER TABLE message ALTER id TYPE bigint;",
    "a NOT NULL": "ALTER TABLE message ALTER name SET NOT NULL;",
    "a foreign key": "ALTER TABLE message ADD CONSTRAINT of_thread FOREIGN KEY (thread) REFERENCES thread (id);",
    "a backfill": "UPDATE message SET name = 'nobody';",
    "a drop": "DROP TABLE message;",
}
TEN = (
    "CREATE TABLE note (id int PRIMARY KEY, message int NOT NULL, text text);",
    "ALTER TABLE message ADD COLUMN pinned boolean NOT NULL DEFAULT false;",
    CHANGES["an index"],
    CHANGES["a NOT NULL"],
    CHANGES["a foreign key"],
    "UPDATE message SET name = 'nobody' WHERE id % 4 = 0;",
    "ALTER TABLE thread ADD COLUMN part uuid NOT NULL DEFAULT gen_random_uuid();",
    "CREATE INDEX message_pinned ON message (pinned) WHERE pinned;",
    "INSERT INTO note SELECT id, id, 'a note' FROM message WHERE id % 10 = 0;",
    "ALTER TABLE thread DROP COLUMN model;",
)
_LOCKS = f"""
SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a USING (pid)
 WHERE a.application_name = '{APPLICATION} rehearse' AND a.datname = current_database() AND l.granted
   AND l.locktype = 'relation' AND l.database = a.datid AND c.relname IN ('message', 'thread')
"""
_CHANGED = (
    "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_xact_user_tables "
    "WHERE n_tup_ins + n_tup_upd + n_tup_del > 0"
)


@dataclass(frozen=True)
class Line:
    """One lock of one change: milliseconds that it is held, as measured and as seen, and the rows that were changed."""

    change: str
    relation: str
    mode: str
    measured: float
    seen: float
    rows_measured: tuple[int, int, int]
    rows_seen: tuple[int, int, int]
    table_rows: int | None = None

    @property
    def deviation(self) -> float:
        """By how much the measured time is another one, as a part of what was seen."""
        return abs(self.measured - self.seen) / self.seen if self.seen else 0.0


@dataclass(frozen=True)
class Cost:
    """Seconds of one round: the deploy alone, making two branches, deleting them, and the whole rehearsal."""

    deploy: float
    making: float
    deleting: float
    rehearsal: float

    @property
    def ratio(self) -> float:
        """What the rehearsal takes beside making the branches and deleting them, in deploys."""
        return (self.rehearsal - self.making - self.deleting) / self.deploy


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="on the file system to measure")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, another account runs the servers
        with running_emulator(folder / "emulator") as environment:
            production = Production.make(folder, environment, options.messages)
            with production.client:
                lines = [line for change in CHANGES for line in production.compare(change, options.rounds)]
                costs = [production.cost() for _ in range(options.rounds)]
    print(
        json.dumps(
            {
                "lines": [asdict(line) | {"deviation": round(line.deviation, 3)} for line in lines],
                "costs": [asdict(cost) | {"ratio": round(cost.ratio, 2)} for cost in costs],
            },
            indent=2,
        )
    )


@dataclass(frozen=True)
class Production:
    """A project on the emulator with its rows, and a checkout."""

    root: Path
    client: NeonClient
    project_id: str
    url: DatabaseURL

    @classmethod
    def make(cls, folder: Path, environment: dict[str, str], messages: int) -> Production:
        """Make it, and fill it."""
        client = NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"])
        branch = {"name": "main", "role_name": OWNER, "database_name": DATABASE}
        made = client._transport.call("POST", "/projects", json={"project": {"name": "bench", "branch": branch}})  # noqa: SLF001
        project_id = made["project"]["id"]
        client.settle(project_id, made["branch"]["id"])
        url = DatabaseURL.parse(made["connection_uris"][0]["connection_uri"])
        (folder / "migrations").mkdir()
        (folder / "migrations" / "0001_base.sql").write_text(BASE)
        apply(url, read_folder(folder / "migrations"))
        with psycopg.connect(url.reveal(), autocommit=True) as connection:
            for statement in ROWS.format(messages=messages).split(";\n"):
                if statement.strip():
                    connection.execute(statement.encode())
        return cls(folder, client, project_id, url)

    def compare(self, change: str, rounds: int) -> list[Line]:
        """What is measured of a change, and what another session sees of it, each the median of the rounds."""
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        with self._copy() as copy:
            rows = changed_rows(copy, CHANGES[change])
        for _ in range(rounds):
            with self._copy() as copy, self._pending(CHANGES[change]) as folder, watching(copy) as seen:
                [file] = measure(copy, read_folder(folder)).files
            [last] = file.statements
            held = {(lock.relation.removeprefix("public."), lock.mode): lock.held for lock in last.locks}
            for lock, seconds in seen.items():
                if lock in held:
                    found.setdefault(lock, []).append((held[lock], 1000 * seconds))
                elif lock[1] != "AccessShareLock":  # which the look takes itself where it counts
                    raise AssertionError(f"{change}: {lock[1]} of {lock[0]} was seen, and not measured")
        mine = {
            each.table.removeprefix("public."): (each.inserted, each.updated, each.deleted) for each in last.changed
        }
        sizes = {each.table.removeprefix("public."): each.rows for each in last.tables}
        return [
            Line(
                change,
                relation,
                mode,
                round(median(measured for measured, _ in times), 1),
                round(median(seconds for _, seconds in times), 1),
                mine.get(relation, (0, 0, 0)),
                rows.get(relation, (0, 0, 0)),
                sizes.get(relation),
            )
            for (relation, mode), times in sorted(found.items())
        ]

    def cost(self) -> Cost:
        """One round: the branches made and deleted, ten files deployed to one of them, and the same rehearsed."""
        place = Place("prod", self.project_id, branch_name="main")
        with self._pending(*TEN) as migrations:
            folder = read_folder(migrations)
            parent = find_parent(self.client, place, self.client.branches(self.project_id))
            began = time.perf_counter()
            with Copies(self.client, parent, print) as copies:
                first = copies.make("first")
                copies.make("second", first.lsn)
                made = time.perf_counter()
                apply(first.url, folder)
                deployed = time.perf_counter()
            deleted = time.perf_counter()
            found = rehearse(Asked(self.root, place), self.client, Observer())
            rehearsed = time.perf_counter()
        if found.result.value != "passed":
            print(f"it ended as {found.result.value}: {found.not_measured} {found.verdict}")
        return Cost(deployed - made, made - began, deleted - deployed, rehearsed - deleted)

    @contextmanager
    def _copy(self) -> Iterator[DatabaseURL]:
        """A copy of the database, on the server itself."""
        with psycopg.connect(self.url.copy_with(database="postgres").reveal(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE copied TEMPLATE {self.url.database} STRATEGY file_copy".encode())
            try:
                yield self.url.copy_with(database="copied")
            finally:
                connection.execute("DROP DATABASE copied WITH (FORCE)")

    @contextmanager
    def _pending(self, *files: str) -> Iterator[Path]:
        """The folder of migrations with these files behind the base."""
        paths = [self.root / "migrations" / f"{number:04}_pending.sql" for number in range(2, 2 + len(files))]
        for path, text in zip(paths, files, strict=True):
            path.write_text(f"-- pipeline: accept=exclusive-lock (measured)\n{text}\n")
        try:
            yield self.root / "migrations"
        finally:
            for path in paths:
                path.unlink()


@contextmanager
def watching(url: DatabaseURL) -> Iterator[dict[tuple[str, str], float]]:
    """For how many seconds another session sees each lock of the measured one; whole when this is left."""
    first: dict[tuple[str, str], float] = {}
    held: dict[tuple[str, str], float] = {}
    over = threading.Event()
    with psycopg.connect(url.reveal(), autocommit=True) as looking:

        def look() -> None:
            while not over.is_set():
                asked = time.perf_counter()
                for name, mode in looking.execute(_LOCKS.encode()).fetchall():
                    first.setdefault((name, mode), asked)
                    held[name, mode] = time.perf_counter() - first[name, mode]
                time.sleep(0.001)

        looker = threading.Thread(target=look)
        looker.start()
        try:
            yield held
        finally:
            over.set()
            looker.join()


def changed_rows(url: DatabaseURL, sql: str) -> dict[str, tuple[int, int, int]]:
    """Whose rows a change inserts, updates and deletes, as a session of its own sees it."""
    with psycopg.connect(url.reveal()) as connection:
        connection.execute(sql.encode())
        rows: list[tuple[Any, ...]] = connection.execute(_CHANGED).fetchall()
        connection.rollback()
    return {str(name): (int(one), int(two), int(three)) for name, one, two, three in rows}


if __name__ == "__main__":
    main()
