"""PostgreSQL's programs, put together: what the owner of a database may make, encryption, and that packages stay as they are."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from trustme import CA

from pipeline.errors import ConfigurationError
from pipeline.postgres.binaries import install_complete
from pipeline.postgres.embedded import EmbeddedServer
from pipeline.postgres.unprivileged import account_for_server
from servers import installation
from servers.extensions import PGVECTOR, POSTGRESQL, neon_extensions
from servers.installation import find_complete, find_installation, programs
from servers.version import MAJORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WITH_POSTGRESQL = {name for name, comes_with in neon_extensions().items() if comes_with == POSTGRESQL}
WITH_THE_WHEEL = {"plpgsql", *(name for name, comes_with in neon_extensions().items() if comes_with == PGVECTOR)}


@pytest.fixture
def make() -> Iterator[Callable[[int], EmbeddedServer]]:
    folder = Path(tempfile.mkdtemp(prefix="db-tests-installation-"))
    folder.chmod(0o755)  # as root, another account runs the server
    made: list[EmbeddedServer] = []

    def one(major: int) -> EmbeddedServer:
        made.append(EmbeddedServer(folder / str(len(made)), major=major, settings={"fsync": "off"}))
        return made[-1]

    yield one
    for each in made:
        each.destroy()
    shutil.rmtree(folder)


def need_complete(major: int) -> None:
    try:
        install_complete(major)
    except ConfigurationError as error:
        pytest.skip(f"the complete server cannot be had: {error.message}")


def offered(connection: psycopg.Connection[Any]) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions")}


def make_each(connection: psycopg.Connection[Any], names: set[str]) -> None:
    for name in sorted(names):
        connection.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE')


@pytest.mark.parametrize("major", MAJORS)
def test_the_owner_makes_pgvectors_extension_before_anything_was_had_from_npm(
    make: Callable[[int], EmbeddedServer], major: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.postgres.cluster.find_complete", lambda _: None)
    record = make(major).start()
    assert not record.extensions
    with psycopg.connect(record.owner.reveal(), autocommit=True) as connection:
        assert connection.info.server_version // 10_000 == major
        assert offered(connection) == WITH_THE_WHEEL
        make_each(connection, WITH_THE_WHEEL)
        assert connection.execute("SELECT '[3,4]'::vector <-> '[0,0]'").fetchone() == (5.0,)


@pytest.mark.parametrize("major", MAJORS)
def test_the_owner_makes_all_of_neons_that_come_with_postgresql(
    make: Callable[[int], EmbeddedServer], major: int
) -> None:
    need_complete(major)
    record = make(major).start()
    assert record.extensions
    with psycopg.connect(record.owner.reveal(), autocommit=True) as connection:
        assert connection.info.server_version // 10_000 == major
        assert offered(connection) == WITH_THE_WHEEL | WITH_POSTGRESQL
        make_each(connection, WITH_THE_WHEEL | WITH_POSTGRESQL)
        assert connection.execute(
            "SELECT 'A'::citext = 'a', similarity('abc', 'abd') > 0, '[3,4]'::vector <-> '[0,0]', unaccent('é'), "
            "encode(digest('', 'md5'), 'hex'), uuid_generate_v5(uuid_ns_url(), 'a') IS NOT NULL"
        ).fetchone() == (True, True, 5.0, "e", "d41d8cd98f00b204e9800998ecf8427e", True)
        assert connection.execute("SELECT count(*) > 0 FROM pg_stat_statements").fetchone() == (True,)
        connection.execute(
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
        assert connection.execute("SELECT 'ä' = 'Ä' COLLATE folded").fetchone() == (True,)


def test_rows_are_kept_when_a_server_gets_extensions_and_it_keeps_those(
    make: Callable[[int], EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_complete(16)
    embedded = make(16)
    with monkeypatch.context() as before:
        before.setattr("pipeline.postgres.cluster.find_complete", lambda _: None)
        first = embedded.start()
        with psycopg.connect(first.owner.reveal()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'kept' AS text")
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                connection.cursor().execute("SAVEPOINT s; CREATE EXTENSION pg_trgm")
    # that session is gone by the error: the table was not committed
    with psycopg.connect(first.owner.reveal(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'kept' AS text")
    second = embedded.start(extensions=True)
    assert (second.extensions, second.port, second.data) == (True, first.port, first.data)
    with psycopg.connect(second.owner.reveal(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_trgm; CREATE INDEX ON kept USING gin (text gin_trgm_ops)")
    assert embedded.start(extensions=True) == second
    assert embedded.start() == second
    embedded.stop()
    third = embedded.start()
    assert third.extensions
    with psycopg.connect(third.owner.reveal()) as connection:
        assert connection.execute("SELECT show_trgm(text) <> '{}' FROM kept").fetchone() == (True,)


def test_the_complete_server_encrypts(make: Callable[[int], EmbeddedServer]) -> None:
    need_complete(16)
    embedded = make(16)
    record = embedded.start()
    account = account_for_server()
    certificate = CA().issue_cert("localhost", "127.0.0.1")
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    parts = {
        "server.crt": certificate.cert_chain_pems[0].bytes(),
        "server.key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    for name, text in parts.items():
        account.write(record.data / name, text)
    with psycopg.connect(record.superuser.reveal(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET ssl = on")
    embedded.stop()
    url = embedded.start().owner.copy_merge_params({"sslmode": "require"})
    with psycopg.connect(url.reveal()) as connection:
        told = connection.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    assert told is not None
    assert told[0]
    assert told[1] >= "TLSv1.2"


def test_the_packages_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_complete(16)
    wheel, complete = find_installation(16), find_complete(16)
    assert wheel is not None
    assert complete is not None
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    controls = [*wheel.rglob("*.control"), *complete.rglob("*.control")]
    before = {control: (control.read_text(), control.stat().st_mode) for control in controls}
    made = programs(wheel, complete, account_for_server(), tmp_path / "copies")
    assert {control: (control.read_text(), control.stat().st_mode) for control in controls} == before
    assert "trusted" not in before[wheel / "share/postgresql/extension/vector.control"][0]
    assert "trusted = true" in (made.parent / "share/postgresql/extension/vector.control").read_text()
    assert programs(wheel, complete, account_for_server(), tmp_path / "copies") == made
    for name in ("postgres", "psql", "pg_dump", "pg_ctl"):
        said = subprocess.run([made / name, "--version"], capture_output=True, text=True, check=True).stdout
        assert " 16." in said


def test_another_package_is_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    wheel = find_installation(16)
    assert wheel is not None
    account = account_for_server()
    first = programs(wheel, None, account, tmp_path / "copies")
    changed = tmp_path / "site-packages" / wheel.parent.name / wheel.name
    shutil.copytree(wheel, changed, symlinks=True)
    control = changed / "share/postgresql/extension/vector.control"
    control.write_text(control.read_text().replace("default_version = '0", "default_version = '1"))
    second = programs(changed, None, account, tmp_path / "copies")
    assert first != second
    monkeypatch.setattr(installation, "_RECIPE", b"another")
    assert programs(wheel, None, account, tmp_path / "copies") not in {first, second}
