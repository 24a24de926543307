"""Stock yoyo 9 and the pipeline read one history and mean the same by it: bar (e)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply, inspect_server
from pipeline.errors import ConfigurationError
from pipeline.migrations.plan import make_plan
from tests.support.backfills import UPDATE, head, items, registered
from tests.support.sample import SAMPLE, SAMPLE_IDS, Database

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer

TABLES = (
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default "
    "FROM information_schema.columns WHERE table_name LIKE '%yoyo%' ORDER BY 1, 2"
)
KEYS = (
    "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE contype = 'p' AND conrelid::regclass::text LIKE '%yoyo%' ORDER BY 1"
)


def yoyo(url: DatabaseURL, folder: FolderBuilder, *arguments: str) -> str:
    """Run stock yoyo on our history, as docs/adopting.md says."""
    shown = url.copy_with(params=(("schema", "migration_history"),)).for_yoyo().dsn
    command = [
        sys.executable,
        "-m",
        "yoyo",
        *arguments,
        "--batch",
        "--no-config-file",
        "--database",
        shown,
        str(folder.path),
    ]
    # yoyo 9 warns of its own use of importlib_metadata; what it prints is what counts here
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def listed(url: DatabaseURL, folder: FolderBuilder) -> dict[str, str]:
    """What `yoyo list` says of each migration: A or U."""
    rows = (line.split() for line in yoyo(url, folder, "list").splitlines())
    return {row[1]: row[0] for row in rows if len(row) >= 2 and row[0] in {"A", "U"}}


def pending(url: DatabaseURL, folder: FolderBuilder) -> list[str]:
    history = inspect_server(url).history
    return [file.id for file in make_plan(folder.read(), history.applied).pending]


def test_yoyo_lists_a_registered_backfill_as_applied_and_does_the_whole_file_where_it_runs_it_itself(
    db: Database, folder: FolderBuilder
) -> None:
    items(folder, 10)
    registered(db.url, folder)
    assert listed(db.url, folder)["0003_done"] == "A"
    assert db.value("SELECT sum(done) FROM item") == 0
    # its sessions look for tables in the history's schema
    statement = UPDATE.replace("UPDATE item", "UPDATE public.item").replace("done = 0", "done < 2")
    folder.write("0004_again", head("id", "public.item").replace("done = 0", "done < 2") + statement)
    yoyo(db.url, folder, "apply")
    assert db.value("SELECT sum(done) FROM item") == 10


def test_yoyo_lists_what_a_deploy_applied(migrated_sample: Database, sample: FolderBuilder) -> None:
    sample.write("0006_more", "CREATE TABLE more ();")
    assert listed(migrated_sample.url, sample) == {**dict.fromkeys(SAMPLE, "A"), "0006_more": "U"}


def test_yoyos_mark_and_unmark_are_what_status_says(migrated_sample: Database, sample: FolderBuilder) -> None:
    sample.write("0006_more", "CREATE TABLE more ();")
    yoyo(migrated_sample.url, sample, "mark", "-m", "0006_more")
    assert pending(migrated_sample.url, sample) == []
    yoyo(migrated_sample.url, sample, "unmark", "-m", "0006_more")
    assert pending(migrated_sample.url, sample) == ["0006_more"]
    assert listed(migrated_sample.url, sample)["0006_more"] == "U"


def test_a_mark_of_yoyos_has_no_checksum_and_the_next_deploy_takes_it_as_applied(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    sample.write("0006_more", "CREATE TABLE more ();")
    yoyo(migrated_sample.url, sample, "mark", "-m", "0006_more")
    assert apply(migrated_sample.url, sample.read()).already == len(SAMPLE_IDS) + 1
    history = inspect_server(migrated_sample.url).history
    assert history.applied["0006_more"].checksum == ""


def test_tables_of_another_version_of_yoyo_are_not_touched(migrated_sample: Database, sample: FolderBuilder) -> None:
    migrated_sample.run("INSERT INTO migration_history._yoyo_version VALUES (3, now())")
    sample.write("0006_more", "CREATE TABLE more ();")
    with pytest.raises(ConfigurationError, match="schema version 3") as caught:
        apply(migrated_sample.url, sample.read())
    assert caught.value.exit_code == 2
    assert migrated_sample.applied() == SAMPLE_IDS


def test_yoyo_makes_no_tables_of_its_own_beside_ours(migrated_sample: Database, sample: FolderBuilder) -> None:
    listed(migrated_sample.url, sample)
    assert (
        migrated_sample.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE '%yoyo%'")
        == []
    )


def test_our_tables_are_column_for_column_those_that_yoyo_makes(
    migrated_sample: Database, server: PostgresServer, folder: FolderBuilder
) -> None:
    theirs = Database(server.create_database())
    stock = theirs.url.for_yoyo().dsn
    folder.write("0001_one", "CREATE TABLE one ();")
    subprocess.run(
        [sys.executable, "-m", "yoyo", "apply", "--batch", "--no-config-file", "--database", stock, str(folder.path)],
        check=True,
        capture_output=True,
    )
    assert migrated_sample.rows(TABLES) == theirs.rows(TABLES)
    with migrated_sample.connect() as ours:
        ours.execute("SET search_path = migration_history")
        assert ours.execute(KEYS).fetchall() == theirs.rows(KEYS)
    server.drop_database(theirs.url)


def test_the_order_of_dependencies_is_yoyos(folder: FolderBuilder) -> None:
    from yoyo.migrations import read_migrations, topological_sort

    folder.write("0001_a", "SELECT 1;").write("0002_b", "SELECT 2;").write("0003_c", "-- depends: 0001_a\nSELECT 3;")
    folder.write("0004_d", "SELECT 4;").write("0005_e", "-- depends: 0002_b 0004_d\nSELECT 5;")
    ours = [file.id for file in make_plan(folder.read(), {}).pending]
    assert ours == [migration.id for migration in topological_sort(read_migrations(str(folder.path)))]


@pytest.mark.parametrize("header", ["-- transactional: false\n", "--transactional:false\n", "  -- depends: 0001_a\n"])
def test_directives_mean_what_they_mean_to_yoyo(folder: FolderBuilder, header: str) -> None:
    from yoyo.migrations import read_migrations

    folder.write("0001_a", "SELECT 1;").write(
        "0002_b", f"{header}VACUUM;" if "false" in header else f"{header}SELECT 1;"
    )
    theirs = read_migrations(str(folder.path))[1]
    theirs.load()
    ours = folder.read().by_id["0002_b"].forward
    assert ours.transactional == theirs.use_transactions
    assert set(ours.depends) == {migration.id for migration in theirs.depends}
