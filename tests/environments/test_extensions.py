"""Extensions and the version of local servers: which server a checkout gets for what its files say."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import yaml  # type: ignore[import-untyped]

from pipeline.environments import resolve
from pipeline.environments.local import LocalServers, _needs_extensions
from pipeline.errors import ConfigurationError, UsageError
from pipeline.local import up
from pipeline.postgres.binaries import find_binary, install_complete
from servers.extensions import neon_extensions, remedy_of
from servers.installation import find_complete, find_installation
from servers.version import MAJORS, production_major, wanted_major
from tests.support import docker_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL

REPOSITORY = Path(__file__).parents[2]
COMPOSE_FILE = (REPOSITORY / "docker-compose.yml").read_text()


@pytest.fixture
def embedded(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout whose local server is embedded, of each version."""
    monkeypatch.setenv("LOCAL_SERVER", "embedded")
    yield checkout
    for major in MAJORS:
        monkeypatch.setenv("POSTGRES_MAJOR", str(major))
        LocalServers(checkout).embedded.destroy()


@pytest.fixture
def complete() -> None:
    try:
        install_complete(16)
    except ConfigurationError as error:
        pytest.skip(f"the complete server cannot be had: {error.message}")


def ask(url: DatabaseURL, statement: str) -> object:
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        found = connection.execute(statement)
        row = found.fetchone() if found.description else None
        return row[0] if row else None


def version(url: DatabaseURL) -> object:
    return ask(url, "SELECT current_setting('server_version_num')::int / 10000")


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("CREATE EXTENSION citext;", "citext of schema.sql"),
        ('create extension if not exists "uuid-ossp";', "uuid-ossp of schema.sql"),
        ("CREATE\n  EXTENSION PG_TRGM WITH SCHEMA x;", "pg_trgm of schema.sql"),
        ("CREATE COLLATION c (provider = icu, locale = 'und');", "a collation of schema.sql"),
        ("CREATE EXTENSION vector;", ""),
        ("CREATE EXTENSION plpgsql;", ""),
        ("CREATE EXTENSION postgis;", ""),  # it is on Neon alone
        ("CREATE EXTENSION file_fdw;", ""),  # Neon has it not
        ("COMMENT ON EXTENSION citext IS 'x'; SELECT 'icu';", ""),
    ],
)
def test_what_the_files_name_is_what_is_needed(text: str, needed: str, tmp_path: Path) -> None:
    (tmp_path / "schema.sql").write_text(text)
    assert _needs_extensions(tmp_path) == needed


def test_a_migration_is_read_as_well_and_a_file_that_is_none_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "migrations" / "0001_folder.sql").mkdir(parents=True)
    assert _needs_extensions(tmp_path) == ""
    (tmp_path / "migrations" / "0002_search.sql").write_bytes(b"-- \xff\nCREATE EXTENSION pg_trgm;")
    assert _needs_extensions(tmp_path) == "pg_trgm of 0002_search.sql"


@pytest.mark.usefixtures("complete")
def test_a_running_server_gets_what_the_schema_begins_to_name_and_keeps_its_rows(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("pipeline.postgres.cluster.find_complete", lambda _: None)
        first = resolve("local", root=embedded).url
        ask(first, "CREATE TABLE kept AS SELECT 1 AS n")
        with pytest.raises(psycopg.errors.FeatureNotSupported) as refused:
            ask(first, "CREATE EXTENSION citext")
        assert "./inv up --extensions" in remedy_of(str(refused.value))
        (embedded / "schema.sql").write_text("-- nothing of the kind\n")
        assert resolve("local", root=embedded).url == first
    (embedded / "schema.sql").write_text("CREATE EXTENSION citext;\n")
    second = resolve("local", root=embedded).url
    assert second == first
    ask(second, "CREATE EXTENSION citext")
    assert ask(second, "SELECT n FROM kept WHERE 'A'::citext = 'a'") == 1


def test_where_extensions_cannot_be_had_the_server_is_used_as_it_is_and_that_is_told(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise ConfigurationError("the registry does not answer", remedy="Try later.")

    monkeypatch.setattr("pipeline.postgres.cluster.find_complete", lambda _: None)
    monkeypatch.setattr("servers.installation.find_complete", lambda _: None)
    monkeypatch.setattr("pipeline.postgres.binaries.install_complete", fails)
    (embedded / "schema.sql").write_text("CREATE EXTENSION citext;\n")
    told: list[str] = []
    assert ask(resolve("local", root=embedded, tell=told.append).url, "SELECT 1") == 1
    assert any("citext of schema.sql" in each and "the registry does not answer" in each for each in told)


@pytest.mark.usefixtures("complete")
def test_up_gives_extensions_by_a_flag(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = up(embedded, extensions=True, tell=lambda _: None).url
    assert ask(url, "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'") == 1
    monkeypatch.setenv("DATABASE_URL", url.reveal())
    with pytest.raises(UsageError, match="DATABASE_URL names the server"):
        up(embedded, extensions=True, tell=lambda _: None)


def test_the_version_is_productions_or_another_one_with_data_of_its_own(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (embedded / "Pulumi.prod.yaml").write_text('config:\n  shop:pgVersion: "18" # as in production\n')
    told: list[str] = []
    newer = resolve("local", root=embedded, tell=told.append).url
    assert version(newer) == 18
    assert "Making an embedded PostgreSQL 18 (once per checkout)" in told
    ask(newer, "CREATE TABLE of_18 ()")

    monkeypatch.setenv("POSTGRES_MAJOR", "16")
    older = resolve("local", root=embedded, tell=told.append).url
    assert version(older) == 16
    assert ask(older, "SELECT to_regclass('of_18')") is None
    assert any("another database than the last time" in each and "POSTGRES_MAJOR" in each for each in told)

    monkeypatch.setenv("POSTGRES_MAJOR", "")
    again = resolve("local", root=embedded, tell=told.append).url
    assert ask(again, "SELECT to_regclass('of_18')::text") == "of_18"
    LocalServers(embedded).stop()
    assert LocalServers(embedded).running() is None


def test_where_there_is_no_such_version_an_older_one_stands_in_and_says_so(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_MAJOR", "17")
    told: list[str] = []
    assert version(resolve("local", root=embedded, tell=told.append).url) == 16
    assert "there is no embedded PostgreSQL 17: 16 stands in for it" in told
    monkeypatch.setenv("POSTGRES_MAJOR", "sixteen")
    with pytest.raises(ConfigurationError, match="POSTGRES_MAJOR is 'sixteen'") as refused:
        resolve("local", root=embedded)
    assert ".env" in refused.value.remedy


@pytest.mark.parametrize(("wanted", "client"), [("", 16), ("14", 16), ("16", 16), ("17", 18), ("18", 18), ("19", 18)])
def test_clients_are_at_least_as_new_as_the_server(wanted: str, client: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_MAJOR", wanted)
    said = subprocess.run([find_binary("pg_dump"), "--version"], capture_output=True, text=True, check=True).stdout
    assert f" {client}." in said


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('config:\n  shop:pgVersion: "16"\n', 16),
        ("config:\n  shop:pgVersion: 18\n", 18),
        ("config:\n  # shop:pgVersion: 18\n", None),
        ("config:\n  shop:pgVersion:\n", None),
        ("", None),
    ],
)
def test_productions_version_is_read_without_pulumi(text: str, major: int | None, tmp_path: Path) -> None:
    assert production_major(tmp_path) is None
    (tmp_path / "Pulumi.prod.yaml").write_text(text)
    assert production_major(tmp_path) == major
    assert wanted_major(tmp_path) == (major or MAJORS[0])


def test_compose_by_hand_runs_productions_version_and_keeps_the_data_of_others_apart() -> None:
    file = yaml.safe_load(COMPOSE_FILE)
    assert (
        file["services"]["postgres"]["image"]
        == f"${{POSTGRES_IMAGE:-postgres:${{POSTGRES_MAJOR:-{production_major()}}}-alpine}}"
    )
    assert set(file["volumes"]) == {
        "data",
        "data-other",
        *(f"data-{each}" for each in range(14, 19) if each != MAJORS[0]),
    }


@pytest.mark.usefixtures("complete")
def test_compose_trusts_those_of_neons_that_postgresql_and_pgvector_do_not() -> None:
    found = re.search(r"for name in (.*?); do", COMPOSE_FILE, re.DOTALL)
    assert found is not None
    wheel, of_postgresql = find_installation(16), find_complete(16)
    assert wheel is not None
    assert of_postgresql is not None
    controls = [*wheel.rglob("*.control"), *of_postgresql.rglob("*.control")]
    left = {each.stem for each in controls if not re.search(r"^trusted *= *true", each.read_text(), re.MULTILINE)}
    assert set(found[1].replace("\\", "").split()) == left & neon_extensions().keys()


def test_in_compose_the_owner_makes_what_neons_owner_may(checkout: Path, with_compose: int) -> None:
    url = resolve("local", root=checkout).url
    assert url.port == with_compose
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        listed = connection.execute("SELECT name FROM pg_available_extensions WHERE name <> 'plpgsql' ORDER BY name")
        offered = [name for (name,) in listed if name in neon_extensions()]
        for name in offered:
            connection.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE')
    assert offered


def test_another_image_has_data_of_its_own(checkout: Path, with_compose: int, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "db-tests/postgres:other"
    subprocess.run(["docker", "tag", docker_server.IMAGE, other], check=True)
    try:
        first = resolve("local", root=checkout).url
        ask(first, "CREATE TABLE of_the_first ()")
        monkeypatch.setenv("POSTGRES_IMAGE", other)
        second = resolve("local", root=checkout).url
        assert second.port == with_compose
        assert ask(second, "SELECT to_regclass('of_the_first')") is None
        monkeypatch.delenv("POSTGRES_IMAGE")
        LocalServers(checkout).stop()
        assert ask(resolve("local", root=checkout).url, "SELECT to_regclass('of_the_first')::text") == "of_the_first"
        LocalServers(checkout).stop()
    finally:
        subprocess.run(["docker", "rmi", other], check=False, capture_output=True)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('extension "citext" is not available', "./inv up --extensions"),
        ('extension "vector" is not available', "POSTGRES_IMAGE=pgvector/pgvector:pg16"),
        ('extension "postgis" is not available', "on Neon alone"),
        ('extension "file_fdw" is not available', "Neon does not offer file_fdw either"),
        ('permission denied to create extension "file_fdw"', "Neon does not offer file_fdw either"),
        ('permission denied to create extension "vector"', "./inv down, then ./inv up"),
        ("ICU is not supported in this build", "./inv up --extensions"),
        ('relation "citext" does not exist', ""),
    ],
)
def test_a_refusal_says_where_the_extension_is_to_be_had(said: str, told: str) -> None:
    remedy = remedy_of(said)
    assert told in remedy if told else remedy == ""
