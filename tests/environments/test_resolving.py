"""From a name to a database, by variables, by `.env`, and by what is refused before anything connects."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg import pq

from dbclient.url import DatabaseURL
from pipeline.environments import Environment, resolve
from pipeline.environments.completing import with_its_own_port
from pipeline.environments.guard import require_local, require_not_neon
from pipeline.errors import ConfigurationError, NotLocal
from pipeline.postgres import Identity

REMOTE = "postgresql://ada:s3cr3t-word@db.example.com/shop"
HERE = "postgresql://ada:s3cr3t-word@127.0.0.1:1/shop"  # nothing listens there, and nothing has to


@pytest.mark.parametrize("name", ["local", "dev", "prod", "anything", None])
def test_database_url_is_used_for_every_name(name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", HERE)
    found = resolve(name, root=tmp_path)
    assert found == Environment(name, DatabaseURL.parse(HERE), "DATABASE_URL")


def test_env_file_is_read_and_named_as_the_source(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f'DATABASE_URL="{HERE}"\n')
    found = resolve("local", root=tmp_path)
    assert (found.url, found.source) == (DatabaseURL.parse(HERE), "DATABASE_URL in .env")


def test_the_process_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"DATABASE_URL={REMOTE}\nPOSTGRES_PORT=5433\n")
    monkeypatch.setenv("DATABASE_URL", HERE)
    assert resolve("local", root=tmp_path).url == DatabaseURL.parse(HERE)
    assert os.environ["POSTGRES_PORT"] == "5433"


def test_local_with_a_database_url_of_another_machine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", REMOTE)
    with pytest.raises(NotLocal) as refused:
        resolve("local", root=tmp_path)
    assert "DATABASE_URL leads to db.example.com, which is not local" in str(refused.value)
    assert "./inv deploy --env" in refused.value.remedy
    assert "s3cr3t-word" not in str(refused.value)


def test_no_name_and_no_url_is_an_error_that_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        resolve(None, root=tmp_path)
    assert "--env" in error.value.remedy


@pytest.mark.parametrize("name", ["prod", "dev", None])
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_url_is_told_as_such_which_is_what_ci_makes_of_a_missing_secret(
    name: str | None, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", value)
    with pytest.raises(ConfigurationError, match="DATABASE_URL is set, and empty") as error:
        resolve(name, root=tmp_path)
    assert "secret" in error.value.remedy


def test_an_empty_url_in_the_env_file_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=\n")
    with pytest.raises(ConfigurationError, match="no environment was named"):
        resolve(None, root=tmp_path)


@pytest.mark.parametrize(
    ("name", "meant"), [("stagng", "; did you mean staging?"), ("prd", "; did you mean prod?"), ("x", "")]
)
def test_a_misspelt_environment_is_told_with_those_that_there_are(
    name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stack in ("prod", "staging"):
        (tmp_path / f"Pulumi.{stack}.yaml").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError) as error:
        resolve(name, root=tmp_path)
    assert error.value.message == f"the checkout has no environment {name}{meant}"
    assert "There are local, prod and staging" in error.value.remedy
    with pytest.raises(ConfigurationError, match="pulumi is not on PATH"):
        resolve("prod", root=tmp_path)


def test_what_only_looks_is_of_the_local_database_where_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_SERVER", "nonsense")  # refused once the local server is looked for
    with pytest.raises(ConfigurationError, match="LOCAL_SERVER"):
        resolve(None, root=tmp_path, or_local=True)
    monkeypatch.setenv("DATABASE_URL", REMOTE)
    assert resolve(None, root=tmp_path, or_local=True) == Environment(None, DatabaseURL.parse(REMOTE), "DATABASE_URL")


def test_an_unusable_url_is_an_error_without_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://ada:s3cr3t-word@127.0.0.1/shop")
    with pytest.raises(ConfigurationError) as error:
        resolve("dev", root=tmp_path)
    assert "s3cr3t-word" not in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("name", ["PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE"])
def test_a_variable_that_leads_libpq_elsewhere_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", HERE)
    monkeypatch.setenv(name, "192.0.2.1")
    with pytest.raises(ConfigurationError, match=name):
        resolve("local", root=tmp_path)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("postgresql://localhost/shop", True),
        ("postgresql://127.0.0.1:5432/shop", True),
        ("postgresql://127.9.9.9/shop", True),
        ("postgresql://[::1]/shop", True),
        ("postgresql:///shop?host=/var/run/postgresql", True),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/shop", True),
        ("postgresql://postgres:5432/shop", True),  # the Compose service, seen from a container beside it
        ("postgresql:///shop", False),  # wherever PGHOST leads
        ("postgresql://10.0.0.1/shop", False),
        ("postgresql://0.0.0.0/shop", False),
        ("postgresql://localhost.example.com/shop", False),
        ("postgresql://127.0.0.1.example.com/shop", False),
        ("postgresql://postgres.example.com/shop", False),
        ("postgresql://ep-calm-1.eu-central-1.aws.neon.tech/shop", False),
        ("postgresql://localhost/shop?hostaddr=10.0.0.1", False),
        ("postgresql://postgres/shop?hostaddr=10.0.0.1", False),
    ],
)
def test_what_counts_as_local(url: str, *, local: bool) -> None:
    environment = Environment("local", DatabaseURL.parse(url), "DATABASE_URL")
    assert environment.is_local is local
    if local:
        require_local(environment, "reset")
    else:
        with pytest.raises(NotLocal):
            require_local(environment, "reset")


@pytest.mark.parametrize(("verb", "instead"), [("migrate", "./inv deploy --env"), ("rollback", "Roll forward")])
def test_a_refusal_says_what_to_run_instead(verb: str, instead: str) -> None:
    with pytest.raises(NotLocal) as refused:
        require_local(Environment("prod", DatabaseURL.parse(REMOTE), "the Pulumi stack prod"), verb)
    assert instead in refused.value.remedy
    assert "Nothing was changed" in refused.value.remedy
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("setting", ["project_id", "branch_id", "endpoint_id"])
def test_any_setting_of_neon_makes_a_server_not_local(setting: str) -> None:
    plain = {"project_id": "", "branch_id": "", "endpoint_id": ""}
    here = Environment("local", DatabaseURL.parse(HERE), "DATABASE_URL")

    def identity(**ids: str) -> Identity:
        return Identity(
            **ids,
            in_recovery=False,
            read_only=False,
            version=160014,
            user="ada",
            database="shop",
            replication_role="origin",
            other_history="",
        )

    require_not_neon(here, identity(**plain), "reset")
    with pytest.raises(NotLocal):
        require_not_neon(here, identity(**(plain | {setting: "x-1"})), "reset")


def test_resolving_a_url_imports_no_server_and_no_dotenv(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.environments import resolve; "
        "resolve('prod', root=Path(sys.argv[1])); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DATABASE_URL": REMOTE},
        capture_output=True,
        text=True,
        check=True,
    )
    unwanted = {"dotenv", "subprocess", "psycopg", "rich", "asyncio", "json", "pipeline.postgres.embedded",
                "pipeline.postgres.compose", "pipeline.environments.stack"}  # fmt: skip
    assert unwanted.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    ("url", "variables", "meant"),
    [
        ("postgresql://ada@127.0.0.1:1/", {"PGDATABASE": "other"}, "postgresql://ada@127.0.0.1:1/other"),
        ("postgresql://ada@127.0.0.1:1/", {}, "postgresql://ada@127.0.0.1:1/ada"),
        ("postgresql://127.0.0.1:1", {"PGUSER": "eve"}, "postgresql://eve@127.0.0.1:1/eve"),
        ("postgresql://ada@127.0.0.1/shop", {"PGPORT": "5499"}, "postgresql://ada@127.0.0.1:5499/shop"),
        ("postgresql://ada@127.0.0.1/shop", {}, "postgresql://ada@127.0.0.1/shop"),
        ("postgresql://ada@/shop", {"PGHOST": "localhost"}, "postgresql://ada@localhost/shop"),
        ("postgresql://ada@/shop", {"PGHOST": "/run/pg"}, "postgresql://ada@/shop?host=/run/pg"),
        (HERE, {"PGSSLMODE": "require", "PGSSLROOTCERT": "/ca"}, f"{HERE}?sslmode=require&sslrootcert=/ca"),
        (f"{HERE}?sslmode=disable", {"PGSSLMODE": "require", "PGSSLROOTCERT": "/ca"}, f"{HERE}?sslmode=disable"),
        (HERE, {"PGHOST": "db.example.com", "PGPORT": "5499", "PGUSER": "eve", "PGDATABASE": "other"}, HERE),
    ],
)
def test_what_a_url_leaves_out_is_said_as_libpq_fills_it_in(
    url: str, variables: dict[str, str], meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    found = resolve("local", root=tmp_path).url
    assert found == DatabaseURL.parse(meant)
    assert _as_libpq(url) == _as_libpq(found.reveal())


def _as_libpq(url: str) -> tuple[bytes, ...]:
    """Where libpq would go: it says so before anybody has answered."""
    connection = pq.PGconn.connect_start(url.encode())
    try:
        return connection.host, connection.port, connection.user, connection.db
    finally:
        connection.finish()


def test_the_users_own_name_is_the_machines_where_nothing_says_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1")
    found = resolve("local", root=tmp_path).url
    assert found.user == pwd.getpwuid(os.geteuid()).pw_name == found.database
    assert _as_libpq("postgresql://127.0.0.1:1") == _as_libpq(found.reveal())


@pytest.mark.parametrize(("name", "value"), [("PGPORT", "5432,5433"), ("PGPORT", "x"), ("PGHOST", "one,two")])
def test_a_variable_that_no_url_could_say_is_refused(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@/shop")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError):
        resolve("dev", root=tmp_path)


@pytest.mark.parametrize(("port", "meant"), [("", None), (":6432", 6432)])
def test_a_stacks_url_is_not_led_to_the_port_of_a_local_server(port: str, meant: int | None) -> None:
    url = DatabaseURL.parse(f"postgresql://ada@ep-calm-1.eu.neon.tech{port}/shop")
    assert with_its_own_port(url, {}).port == meant
    assert with_its_own_port(url, {"PGPORT": "5499"}).port == (meant or 5432)
