"""Shadow databases: what is left of crashed runs is dropped, what belongs to a run that goes on is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.errors import Refused
from pipeline.generate.generating import generate
from pipeline.schema.shadows import open_shadows
from tests.generate.conftest import REPOSITORY, copy_of_the_repository
from tests.support.databases import PRODUCT
from tests.support.until import until

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.generate.conftest import Checkout
    from tests.support.server import PostgresServer

TABLE = 'CREATE TABLE "Tag" ("id" uuid PRIMARY KEY);'
GENERATE = """
import sys
from pathlib import Path
from dbclient.url import DatabaseURL
from pipeline.deploy.signals import as_exceptions
from pipeline.generate.generating import generate
from pipeline.generate import Workbench
with as_exceptions():
    generate("change", Workbench(Path(sys.argv[1]), DatabaseURL.parse(sys.argv[2])))
"""


def shadows_on(server: PostgresServer) -> list[str]:
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'pipeline\\_shadow%'").fetchall()
    return [name for (name,) in found]


def start(checkout: Checkout) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", GENERATE, str(checkout.root), checkout.local.reveal()],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_generation_leaves_nothing(
    checkout: Checkout, server: PostgresServer, number: signal.Signals
) -> None:
    checkout.append(TABLE)
    names = checkout.names()
    process = start(checkout)
    until(lambda: bool(shadows_on(server)))
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert shadows_on(server) == []
    assert checkout.names() == names


def test_what_a_killed_generation_leaves_is_dropped_by_the_next(checkout: Checkout, server: PostgresServer) -> None:
    checkout.append(TABLE)
    process = start(checkout)
    until(lambda: bool(shadows_on(server)))
    process.kill()
    process.communicate(timeout=60)
    left = shadows_on(server)
    assert left
    until(lambda: sessions_of_shadows(server) == 0)
    generate("change", checkout.workbench)
    assert shadows_on(server) == []


def sessions_of_shadows(server: PostgresServer) -> int:
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'db-pipeline%'"
        ).fetchone()
    return int(row[0]) if row else 0


def test_shadows_of_a_run_that_goes_on_are_left_alone(database: DatabaseURL, server: PostgresServer) -> None:
    with open_shadows(database) as one:
        made = one.create("current")
        with open_shadows(database) as other:
            other.create("current")
            assert len(shadows_on(server)) == 2
        assert shadows_on(server) == [made.database]
    assert shadows_on(server) == []


def test_a_database_of_a_similar_name_is_not_ours_to_drop(database: DatabaseURL, server: PostgresServer) -> None:
    name = "pipeline_shadow_0123456789ab_mine_0"
    with psycopg.connect(server.owner.reveal(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"COMMENT ON DATABASE {name} IS 'somebody''s'")
    try:
        with open_shadows(database):
            assert shadows_on(server) == [name]
    finally:
        server.drop_database(database.copy_with(database=name))


def test_two_generations_in_one_checkout_write_one_migration(checkout: Checkout) -> None:
    checkout.append(TABLE)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda name: generate(name, checkout.workbench).files, ["one", "other"]))
    assert sorted(map(len, made)) == [0, 1]
    assert len(list(checkout.workbench.migrations.glob("0007*"))) == 2


def test_two_checkouts_generate_at_once_on_one_server(
    checkout: Checkout, tmp_path_factory: pytest.TempPathFactory, server: PostgresServer
) -> None:
    root = tmp_path_factory.mktemp("second")
    copy_of_the_repository(root, extras=False)
    workbenches = [checkout.workbench, replace(checkout.workbench, root=root)]
    for workbench in workbenches:
        with workbench.schema.open("a") as schema:
            schema.write(TABLE)
    barrier = threading.Barrier(2)

    def run(number: int) -> int:
        barrier.wait(timeout=30)
        return len(generate("change", workbenches[number]).files)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, [0, 1])) == [1, 1]
    assert shadows_on(server) == []


def test_a_shadow_url_that_holds_tables_is_refused(checkout: Checkout, migrated: DatabaseURL) -> None:
    checkout.append(TABLE)
    with pytest.raises(Refused, match="not empty"):
        generate("change", replace(checkout.workbench, shadow=migrated))
    assert checkout.names() == sorted(path.name for path in (PRODUCT / "migrations").iterdir())


def test_an_empty_shadow_url_is_marked_and_taken_again(
    checkout: Checkout, database: DatabaseURL, server: PostgresServer
) -> None:
    checkout.append(TABLE)
    workbench = replace(checkout.workbench, shadow=database)
    assert len(generate("change", workbench).files) == 1
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        connection.execute("CREATE TABLE left_over (id int)")
    assert generate("again", workbench).files == ()
    assert shadows_on(server) == []
