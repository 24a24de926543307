"""up, down, url, psql, reset and doctor, on a database that DATABASE_URL names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from dbclient.url import DatabaseURL
from pipeline.deploy.checkout import local_checkout
from pipeline.environments import Environment
from pipeline.errors import ConfigurationError, NotLocal, Refused, UsageError
from pipeline.local import down, up
from pipeline.local import psql as psql_module
from pipeline.local.doctor import doctor
from pipeline.local.psql import command_for, psql
from pipeline.local.reset import reset
from pipeline.local.url import CLIENTS, url
from pipeline.postgres.binaries import find_binary
from services import OWNER
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from tests.support.server import PostgresServer

REPOSITORY = Path(__file__).parents[2]


def silent(_: str) -> None:
    """Hears nothing."""


def yes(_: str) -> bool:
    """Agrees to everything."""
    return True


@pytest.fixture
def local(migrated: DatabaseURL, monkeypatch: pytest.MonkeyPatch) -> DatabaseURL:
    """A migrated database that DATABASE_URL names."""
    monkeypatch.setenv("DATABASE_URL", migrated.reveal())
    return migrated


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> str:
    """A DATABASE_URL of another machine."""
    text = "postgresql://ada:s3cr3t-word@db.example.com/shop"
    monkeypatch.setenv("DATABASE_URL", text)
    return text


def tables(database: DatabaseURL) -> set[str]:
    with psycopg.connect(database.reveal()) as connection:
        return {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


class TestReset:
    def test_drops_everything_and_builds_it_from_the_migrations(self, local: DatabaseURL) -> None:
        with psycopg.connect(local.reveal()) as connection:
            connection.execute("CREATE TABLE left_over ()")
        with psycopg.connect(local.reveal()):  # somebody is connected meanwhile
            report = reset(local_checkout(PRODUCT, "reset"), confirm=yes)
        assert len(report.applied) == len(list((PRODUCT / "migrations").glob("*.rollback.sql")))
        assert "left_over" not in tables(local)
        assert "Message" in tables(local)

    def test_changes_nothing_when_the_answer_is_no(self, local: DatabaseURL) -> None:
        asked: list[str] = []
        before = tables(local)

        def no(text: str) -> bool:
            asked.append(text)
            return False

        with pytest.raises(Refused):
            reset(local_checkout(PRODUCT, "reset"), confirm=no)
        assert tables(local) == before
        server = f"{local.host}:{local.port}"
        assert asked == [f"Drop the database {local.database} on {server} (DATABASE_URL) with everything in it?"]

    def test_is_refused_elsewhere_without_a_question(self, remote: str) -> None:
        assert remote
        with pytest.raises(NotLocal):
            reset(local_checkout(PRODUCT, "reset"), confirm=_never_asked)

    def test_is_refused_where_a_tunnel_leads_to_neon(self, local: DatabaseURL, server: PostgresServer) -> None:
        before = tables(local)
        with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
            connection.execute(f"ALTER ROLE {OWNER} SET neon.branch_id = 'br-quiet-1'")
            try:
                with pytest.raises(NotLocal, match="leads to the Neon branch br-quiet-1"):
                    reset(local_checkout(PRODUCT, "reset"), confirm=_never_asked)
            finally:
                connection.execute(f"ALTER ROLE {OWNER} RESET neon.branch_id")
        assert tables(local) == before

    def test_does_not_drop_the_servers_own_databases(
        self, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", server.superuser.reveal())
        with pytest.raises(ConfigurationError, match="belongs to the server itself"):
            reset(local_checkout(PRODUCT, "reset"), confirm=_never_asked)


def _never_asked(_: str) -> bool:
    raise AssertionError("it asked")


class TestUrl:
    def test_is_masked_unless_it_is_to_be_shown(self, local: DatabaseURL) -> None:
        assert url(REPOSITORY, "local", tell=silent).text == local.masked()
        assert url(REPOSITORY, "local", show=True, tell=silent).text == local.reveal()

    @pytest.mark.parametrize("client", CLIENTS)
    def test_for_a_client_is_masked_too(self, client: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://ada:s3cr3t-word@127.0.0.1/shop?connection_limit=5")
        rendered = url(REPOSITORY, "local", client=client, tell=silent)
        assert "s3cr3t-word" not in f"{rendered!r} {rendered.text} {rendered.notes}"
        assert "s3cr3t-word" in url(REPOSITORY, "local", client=client, show=True, tell=silent).text

    def test_for_yoyo_reads_our_history(self, local: DatabaseURL, tmp_path: Path) -> None:
        text = url(REPOSITORY, "local", client="yoyo", show=True, tell=silent).text
        (tmp_path / "empty").mkdir()
        listed = subprocess.run(
            ["yoyo", "list", "--no-config-file", "--batch", "--database", text, str(PRODUCT / "migrations")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split()[:2] for line in listed.stdout.splitlines() if line.startswith(("A", "U"))]
        assert rows[0] == ["A", "0001_threads_and_messages"]
        assert {status for status, _ in rows} == {"A"}
        assert not any(name.startswith("_yoyo") for name in tables(local))

    def test_says_what_the_client_must_be_told_beside_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(
            "DATABASE_URL", "postgresql://ada@127.0.0.1/shop?connection_limit=5&single_use_connections=1"
        )
        notes = url(REPOSITORY, "local", client="asyncpg", tell=silent).notes
        assert any("max_size=5" in note for note in notes)

    def test_a_client_that_nobody_knows_is_a_usage_error(self) -> None:
        with pytest.raises(UsageError, match="no rendering for oracle"):
            url(REPOSITORY, "local", client="oracle", tell=silent)


class TestPsql:
    def test_runs_on_the_local_database(self, local: DatabaseURL, tmp_path: Path) -> None:
        out = tmp_path / "out"
        arguments = ["-X", "-A", "-t", "-o", str(out), "-c", "SELECT current_database()"]
        assert psql(REPOSITORY, "local", arguments, tell=silent) == 0
        assert out.read_text() == f"{local.database}\n"

    def test_gives_its_exit_code(self, local: DatabaseURL, capfd: pytest.CaptureFixture[str]) -> None:
        assert local
        assert psql(REPOSITORY, "local", ["-X", "-c", "SELECT nonsense"], tell=silent) == 1
        assert "nonsense" in capfd.readouterr().err

    def test_is_read_only_on_anything_but_the_local_database(
        self, local: DatabaseURL, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert psql(REPOSITORY, "dev", ["-X", "-c", "CREATE TABLE mine ()"], tell=silent) == 1
        assert "read-only transaction" in capfd.readouterr().err
        assert "mine" not in tables(local)

    def test_the_password_is_not_in_the_list_of_processes(self) -> None:
        secret = DatabaseURL.parse("postgresql://ada:s3cr3t-word@127.0.0.1/shop?sslpassword=0ther-w0rd")
        command = command_for(Environment("local", secret, "test"), Path("psql"), ["-c", "SELECT 1"], read_only=False)
        assert "s3cr3t-word" not in " ".join(command.arguments)
        assert "0ther-w0rd" not in " ".join(command.arguments)
        assert "s3cr3t-word" not in repr(command)
        assert command.secrets == {"PGPASSWORD": "s3cr3t-word"}

    def test_a_pooled_host_is_replaced_since_it_takes_no_settings(self) -> None:
        pooled = DatabaseURL.parse("postgresql://ada:s3cr3t-word@ep-calm-1-pooler.eu.neon.tech/shop")
        command = command_for(Environment("dev", pooled, "test"), Path("psql"), [], read_only=True)
        assert "-pooler" not in command.arguments[2]
        assert "default_transaction_read_only" in command.arguments[2]

    def test_a_machine_without_psql_uses_the_embedded_servers(
        self, local: DatabaseURL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert local
        monkeypatch.setenv("PATH", str(tmp_path))
        assert psql_module._program() == find_binary("psql")
        assert psql(REPOSITORY, "local", ["-X", "-o", os.devnull, "-c", "SELECT 1"], tell=silent) == 0


class TestUpAndDown:
    def test_up_leaves_a_server_that_somebody_else_runs_alone(self, local: DatabaseURL) -> None:
        assert up(REPOSITORY, tell=silent) == Environment("local", local, "DATABASE_URL")

    def test_both_are_refused_elsewhere(self, remote: str) -> None:
        assert remote
        with pytest.raises(NotLocal):
            up(REPOSITORY, tell=silent)

    def test_down_says_that_it_does_not_stop_somebody_elses_server(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1/shop")
        with pytest.raises(UsageError, match="names a server that somebody else started"):
            down(tmp_path, tell=silent)

    def test_down_with_nothing_running_does_nothing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("DATABASE_URL", raising=False)
        assert down(tmp_path, tell=silent) == ()


class TestDoctor:
    def test_says_of_everything_whether_it_is_there_and_what_for(self, local: DatabaseURL) -> None:
        found = {each.name: each for each in doctor(REPOSITORY)}
        assert set(found) == {
            "Python", "Packages", "Docker", "Docker Compose", "psql", "pulumi", "Node.js", "Local database",
        }  # fmt: skip
        assert all(each.found and each.needed_for for each in found.values())
        assert found["Local database"].found == f"{local.masked()} (DATABASE_URL)"

    def test_survives_a_machine_that_has_nothing(
        self, local: DatabaseURL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert local
        monkeypatch.setenv("PATH", str(tmp_path))
        absent = {each.name for each in doctor(REPOSITORY) if not each.present}
        assert {"Docker", "Docker Compose", "psql", "pulumi", "Node.js"} <= absent

    def test_says_that_local_verbs_are_refused(self, remote: str) -> None:
        assert remote
        (found,) = [each for each in doctor(REPOSITORY) if each.name == "Local database"]
        assert not found.present
        assert "db.example.com, which is not local: local verbs are refused" in found.found
        assert "s3cr3t-word" not in found.found

    def test_starts_nothing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("DATABASE_URL", raising=False)
        (found,) = [each for each in doctor(tmp_path) if each.name == "Local database"]
        assert found.found.endswith("started by the next local verb")
        assert not (tmp_path / ".local").exists()
