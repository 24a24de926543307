"""A production on a server of the tests, with a history of two files, and receipts that are made for it without a copy.

What a rehearsal measures is tested with rehearsals (tests/rehearsal); here its result is made up, and the digests are real.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.deploy import apply
from pipeline.deploy.rehearsed import Evidence
from pipeline.deploy.target import Target
from pipeline.postgres.connect import open_session
from pipeline.receipts.digests import history_digest, read_digests
from pipeline.rehearsal.measuring import measure
from pipeline.rehearsal.receipt import keep_receipt
from pipeline.rehearsal.result import Applied, Origin, PendingFile, Rehearsal
from pipeline.rehearsal.values import FileMeasurement, Measured
from services import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.deploy import Report
    from pipeline.deploy.observer import Observer
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

BASE = {
    "0001_people": "CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL);",
    "0002_pets": "CREATE TABLE pet (id int PRIMARY KEY, owner int REFERENCES person);",
}
PENDING = {
    "0003_age": "ALTER TABLE person ADD COLUMN age int;",
    "0004_name": "-- transactional: false\nCREATE INDEX CONCURRENTLY person_name ON person (name);",
    "0005_toys": "CREATE TABLE toy (id int PRIMARY KEY, pet int REFERENCES pet);",
    "0006_colour": "ALTER TABLE pet ADD COLUMN colour text;",
    "0007_size": "ALTER TABLE toy ADD COLUMN size int;",
}


@dataclass
class Production:
    """An environment `prod` that asks for receipts, on a server that is no Neon compute: its project and branch are empty."""

    root: Path
    folder: FolderBuilder
    db: Database
    measured: dict[str, str] = field(default_factory=dict)

    def settings(self, rehearsal: str = "required") -> None:
        (self.root / "Pulumi.prod.yaml").write_text(f"config:\n  {PROJECT}:rehearsal: {rehearsal}\n")

    def write(self, files: dict[str, str] = PENDING) -> None:
        for id_, sql in files.items():
            self.folder.write(id_, sql)

    def rehearse(self, *, now: datetime | None = None, path: Path | None = None, **changed: object) -> Path:
        """Write the receipt of what is pending, as `rehearse` would where all is well, but for what is given."""
        found = self.rehearsal(now or datetime.now(UTC))
        return keep_receipt(replace(found, **changed), self.root, path=path, environ={})  # type: ignore[arg-type]

    def rehearsal(self, now: datetime) -> Rehearsal:
        from pipeline.deploy import inspect_server

        history = inspect_server(self.db.url).history
        pending = [file for file in self.folder.read().files if file.id not in history.applied]
        with open_session(self.db.url, application_name="test") as session:
            schema = read_digests(session, has_history=history.exists).schema
        return Rehearsal(
            origin=Origin("prod", "", "", "main", "0/1", now),
            began=now,
            ended=now,
            commit="",
            pending=tuple(PendingFile(file.id, file.path, file.checksum) for file in pending),
            history=history_digest(history.applied.values()),
            schema=schema,
            applied=Applied((), (), "3" * 64),
            measured=Measured(
                tuple(
                    FileMeasurement(file.id, file.path, file.checksum, (), schema=self.measured.get(file.id, ""))
                    for file in pending
                )
            ),
        )

    def measure_on(self, copy: DatabaseURL) -> None:
        """Measure what is pending on a copy: the next receipts have the schema behind each file."""
        found = measure(copy, self.folder.read())
        self.measured = {file.id: file.schema for file in found.files}

    def deploy(
        self,
        *,
        target: Target | None = None,
        receipt: Path | None = None,
        reason: str = "",
        observer: Observer | None = None,
        url: DatabaseURL | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> Report:
        """As `./inv deploy --env prod`; `before` is done between the look at the history and the query that applies."""
        evidence = Evidence(self.root, receipt, reason)

        def permit(*arguments: object) -> object:
            permitted = evidence.permit(*arguments)  # type: ignore[arg-type]
            before()
            return permitted

        target = replace(target or Target("prod"), permit=permit)  # type: ignore[arg-type]
        return apply(url or self.db.url, self.folder.read(), target=target, observer=observer)

    def kept(self) -> list[tuple[object, ...]]:
        """The rows of migration_history.rehearsals, without what differs from run to run."""
        return self.db.rows(
            "SELECT kind, environment, reason, digest FROM migration_history.rehearsals ORDER BY admitted_at"
        )

    def let_in_by(self) -> dict[str, str]:
        """The digest that each applied migration's log row has, or nothing."""
        rows = self.db.rows(
            "SELECT migration_id, coalesce(substring(comment FROM 'rehearsal=(\\S+)'), '') FROM migration_history._yoyo_log "
            "WHERE operation = 'apply' ORDER BY migration_id"
        )
        return {str(id_): str(digest) for id_, digest in rows}
