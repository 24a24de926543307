"""A checkout, with rows in its local database or as the repository is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.errors import ConfigurationError
from pipeline.generate import Workbench
from pipeline.generate.differ.pg_delta import FILES, PgDelta
from pipeline.migrations import read_folder
from pipeline.node import install
from pipeline.schema.catalog import read_catalog
from tests.generate.kept_differ import KeptProgram
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from pipeline.deploy import Report
    from pipeline.migrations import Folder
    from pipeline.schema.catalog import Catalog
    from tests.support.server import PostgresServer

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
DIFFER = REPOSITORY / ".local" / "differ"


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository's schema and migrations, with a local database of its own."""

    workbench: Workbench

    @property
    def root(self) -> Path:
        return self.workbench.root

    @property
    def local(self) -> DatabaseURL:
        return self.workbench.local

    @property
    def folder(self) -> Folder:
        return read_folder(self.workbench.migrations)

    def edit(self, text: str) -> None:
        self.workbench.schema.write_text(text)

    def append(self, sql: str) -> None:
        self.edit(f"{self.workbench.schema.read_text()}\n{sql}\n")

    def names(self) -> list[str]:
        return sorted(path.name for path in self.workbench.migrations.iterdir())

    def run(self, folder: Folder) -> Report:
        return apply(self.local, folder, verb="migrate")

    def run_on(self, database: DatabaseURL) -> Report:
        return apply(database, read_folder(self.workbench.migrations), verb="migrate")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.local.reveal(), autocommit=True) as connection:
            return connection.execute(sql).fetchall()


def copy_of_the_repository(root: Path, *, extras: bool, differ: Path = DIFFER) -> None:
    """Schema and migrations; with `extras`, one of each kind of object that the real schema has none of."""
    shutil.copytree(PRODUCT / "migrations", root / "migrations")
    shutil.copy(PRODUCT / "schema.sql", root / "schema.sql")
    (root / ".local").mkdir()
    (root / ".local" / "differ").symlink_to(differ)
    if extras:
        text = (HERE / "extras.sql").read_text()
        with (root / "schema.sql").open("a") as schema:
            schema.write(text)
        granted = (
            'GRANT SELECT, INSERT, UPDATE, DELETE ON "Note", "Event", "Ticket" TO server;'
            'GRANT USAGE ON SEQUENCE "Ticket_id_seq", "Ticket_copy_seq", "ticket_seq" TO server;'
            'GRANT SELECT ON "HappyNote" TO server;'
        )
        (root / "migrations" / "0900_extras.sql").write_text(f"-- One of each kind\n{text}\n{granted}")


@pytest.fixture(scope="session")
def template_with_rows(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> DatabaseURL:
    """A database with the extras and rows, to be copied."""
    root = tmp_path_factory.mktemp("template")
    copy_of_the_repository(root, extras=True)
    made = server.create_database()
    apply(made, read_folder(root / "migrations"))
    with psycopg.connect(made.reveal()) as connection:
        connection.execute((HERE / "rows.sql").read_bytes())
    return made


@pytest.fixture(scope="session")
def differ() -> Path:
    """The folder of the differ, installed once for all checkouts from the npm registry."""
    try:
        install(FILES, DIFFER)
    except ConfigurationError as error:
        pytest.skip(f"the differ is not here and cannot be installed: {error.message}")
    return DIFFER


@pytest.fixture(scope="session")
def kept_differ(differ: Path) -> Iterator[PgDelta]:
    """The differ, with its program running from one question to the next."""
    program = KeptProgram()
    yield PgDelta(differ, program.ask)
    program.stop()


@pytest.fixture
def with_rows(
    differ: Path, kept_differ: PgDelta, server: PostgresServer, template_with_rows: DatabaseURL, tmp_path: Path
) -> Iterator[Checkout]:
    """A checkout with the extras, whose local database has rows in every table."""
    copy_of_the_repository(tmp_path, extras=True, differ=differ)
    local = server.create_database(template_with_rows)
    yield Checkout(Workbench(tmp_path, local, chosen_differ=kept_differ))
    server.drop_database(local)


@pytest.fixture
def checkout(differ: Path, kept_differ: PgDelta, migrated: DatabaseURL, tmp_path: Path) -> Checkout:
    """A checkout of the repository as it is, migrated. The verbs, in tests of theirs, start the differ themselves."""
    copy_of_the_repository(tmp_path, extras=False, differ=differ)
    return Checkout(Workbench(tmp_path, migrated, chosen_differ=kept_differ))


@pytest.fixture(scope="session")
def shape(template_with_rows: DatabaseURL) -> Catalog:
    """What every change of `with_rows` starts from."""
    return catalog(template_with_rows)


def catalog(url: DatabaseURL) -> Catalog:
    with psycopg.connect(url.reveal()) as connection:
        return read_catalog(connection)
