"""The embedded server: its address and passwords hold, whatever happens to its process, and nobody else gets in."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.environments.local import LocalServers
from pipeline.errors import ConfigurationError, DatabaseFailed
from pipeline.postgres.binaries import installation
from pipeline.postgres.embedded import EmbeddedServer
from pipeline.postgres.unprivileged import account_for_server, programs_for
from servers import pid_file
from servers.processes import process_exists, reason_in
from services import OWNER
from tests.support.run_folders import make_folder
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.postgres.record import Record

REPOSITORY = Path(__file__).parents[2]

START = """
import sys
from pathlib import Path
from pipeline.postgres.embedded import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1])).start().port)
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], EmbeddedServer]]:
    """Servers in folders of this test, removed afterwards."""
    made: list[EmbeddedServer] = []

    def make(name: str) -> EmbeddedServer:
        made.append(EmbeddedServer(tmp_path / name / ".local" / "postgres", settings={"fsync": "off"}))
        return made[-1]

    yield make
    for each in made:
        each.destroy()


@pytest.fixture
def embedded(make: Callable[[str], EmbeddedServer]) -> EmbeddedServer:
    return make("checkout")


def pid_of(record: Record) -> int:
    return int((record.data / "postmaster.pid").read_text().splitlines()[0])


def answers(record: Record) -> bool:
    with psycopg.connect(record.owner.reveal()) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_it_outlives_the_command_that_started_it_and_the_next_one_finds_it(embedded: EmbeddedServer) -> None:
    command = [sys.executable, "-c", START, str(embedded.folder)]
    ports = {
        subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout for _ in range(2)
    }
    record = embedded.running()
    assert record is not None
    assert ports == {f"{record.port}\n"}
    assert answers(record)


def test_address_passwords_and_data_are_the_same_after_a_stop(embedded: EmbeddedServer) -> None:
    before = embedded.start()
    with psycopg.connect(before.owner.reveal()) as connection:
        connection.execute("CREATE TABLE kept ()")
    assert embedded.stop()
    assert embedded.running() is None
    assert not embedded.stop()
    assert embedded.start() == before
    with psycopg.connect(before.owner.reveal()) as connection:
        connection.execute("SELECT FROM kept")


def same(found: Record, record: Record) -> bool:
    """Whether it is the same server. Another test may have installed the extensions meanwhile: then it has them."""
    return replace(found, extensions=record.extensions) == record


def test_one_that_was_killed_is_started_again(embedded: EmbeddedServer) -> None:
    record = embedded.start()
    os.kill(pid_of(record), signal.SIGKILL)
    until(lambda: not pid_file.is_alive(record.data))
    assert embedded.running() is None
    assert same(embedded.start(), record)
    assert answers(record)


def test_a_stale_pid_file_that_names_another_program_is_no_obstacle(embedded: EmbeddedServer) -> None:
    # After a reboot the number may be anybody's: here it is that of a process which the server's account runs.
    record = embedded.start()
    file = record.data / "postmaster.pid"
    lines = file.read_text().splitlines()
    embedded.stop()
    owner = record.data.stat()
    with subprocess.Popen(["sleep", "300"], user=owner.st_uid, group=owner.st_gid, extra_groups=[]) as other:
        file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        os.chown(file, owner.st_uid, owner.st_gid)
        file.chmod(0o600)
        assert embedded.running() is None
        try:
            assert not embedded.stop()
            assert same(embedded.start(), record)
            assert answers(record)
        finally:
            other.kill()


def test_when_its_port_was_taken_meanwhile_it_moves_and_remembers(embedded: EmbeddedServer) -> None:
    before = embedded.start()
    embedded.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", before.port))
        other.listen()
        told: list[str] = []
        moved = EmbeddedServer(embedded.folder, tell=told.append).start()
    assert moved.port != before.port
    assert told[-1].startswith(
        f"another program has taken port {before.port}: the embedded server is at {moved.port} from now on"
    )
    assert answers(moved)
    embedded.stop()
    assert embedded.start() == moved


def test_the_port_is_below_those_of_outgoing_connections(embedded: EmbeddedServer) -> None:
    assert 1024 < embedded.start().port < 32768


def test_two_checkouts_do_not_clash(make: Callable[[str], EmbeddedServer]) -> None:
    one, other = make("one").start(), make("other").start()
    assert one.port != other.port
    assert one.owner_password != other.owner_password
    assert answers(one)
    assert answers(other)


def test_two_starts_at_once_make_one_server(embedded: EmbeddedServer) -> None:
    with ThreadPoolExecutor(2) as pool:
        records = list(pool.map(lambda _: EmbeddedServer(embedded.folder).start(), range(2)))
    assert records[0] == records[1]
    assert answers(records[0])


def test_nobody_gets_in_without_the_password_and_only_from_this_machine(embedded: EmbeddedServer) -> None:
    record = embedded.start()
    for user in ("postgres", OWNER):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(record.owner.copy_with(user=user, password="guess").reveal())
    with psycopg.connect(record.superuser.reveal()) as connection:
        shown = {name: connection.execute(f"SHOW {name}").fetchone() for name in ("listen_addresses", "ssl")}
        rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    assert shown["listen_addresses"] == ("127.0.0.1",)
    assert rules == [("scram-sha-256",)]


def test_passwords_are_in_one_private_file_and_in_no_repr(embedded: EmbeddedServer) -> None:
    record = embedded.start()
    file = embedded.folder / "server.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for password in (record.superuser_password, record.owner_password):
        assert password not in repr(record)
        holders = [path for path in embedded.folder.glob("*") if path.is_file() and password in path.read_text()]
        assert holders == [file]
        assert password not in record.log.read_text()


def test_one_that_was_made_by_half_is_made_anew(embedded: EmbeddedServer) -> None:
    record = embedded.start()
    file = embedded.folder / "server.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"complete": False}))
    assert embedded.running() is None
    again = embedded.start()
    assert again == record
    assert answers(again)


def test_a_record_that_cannot_be_read_is_an_error_that_names_it(embedded: EmbeddedServer) -> None:
    embedded.start()
    file = embedded.folder / "server.json"
    text = file.read_text()
    file.write_text("{")
    with pytest.raises(ConfigurationError) as error:
        embedded.start()
    assert error.value.where == str(file)
    file.write_text(text)


def test_data_without_its_passwords_is_never_thrown_away(embedded: EmbeddedServer) -> None:
    record = embedded.start()
    file = embedded.folder / "server.json"
    text = file.read_text()
    file.unlink()
    with pytest.raises(ConfigurationError, match="passwords is gone"):
        embedded.start()
    assert (record.data / "PG_VERSION").exists()
    file.write_text(text)


@pytest.fixture
def in_place() -> Iterator[Callable[[str], EmbeddedServer]]:
    """As `make`, in a folder that the server's account can enter, root's tests too: data is in the checkout then."""
    folder = make_folder("checkouts")
    made: list[EmbeddedServer] = []

    def make(name: str) -> EmbeddedServer:
        made.append(EmbeddedServer(folder / name / ".local" / "postgres", settings={"fsync": "off"}))
        return made[-1]

    yield make
    for each in made:
        each.destroy()
    shutil.rmtree(folder)


def copy_checkout(original: EmbeddedServer, copy: EmbeddedServer) -> None:
    """Copy a checkout with everything in it."""
    subprocess.run(["cp", "-a", f"{original.folder.parents[1]}/.", copy.folder.parents[1]], check=True)


def test_a_copied_checkout_leaves_the_originals_server_alone_and_has_one_of_its_own(
    in_place: Callable[[str], EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded, copy = in_place("checkout"), in_place("copy")
    original = embedded.start()
    with psycopg.connect(original.owner.reveal()) as connection:
        connection.execute("CREATE TABLE original ()")
    copy_checkout(embedded, copy)
    told: list[str] = []
    monkeypatch.setattr(copy, "_tell", told.append)
    assert copy.running() is None
    assert not copy.stop()
    own = copy.start()
    assert pid_of(own) != pid_of(original)
    assert own.port != original.port
    copied, moved = told[-2:]
    assert copied.startswith(f"its data was copied from {original.data} while a server ran there")
    assert moved.startswith(f"another program has taken port {original.port}: the embedded server is at {own.port}")
    with psycopg.connect(own.owner.reveal()) as connection:
        connection.execute("CREATE TABLE of_the_copy ()")

    # whose server is whose is proven, and not guessed from the port that a file names
    checkouts = [LocalServers(each.folder.parents[1]) for each in (embedded, copy)]
    for port, proven in ((original.port, [True, False]), (own.port, [False, True]), (1, [False, False])):
        assert [servers.serve("127.0.0.1", port) for servers in checkouts] == proven
    assert not checkouts[0].serve("::1", original.port)

    copy.destroy()
    assert embedded.running() == original
    with psycopg.connect(original.owner.reveal()) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert names == [("original",)]


def test_a_checkout_that_is_moved_while_its_server_runs_keeps_it(
    in_place: Callable[[str], EmbeddedServer],
) -> None:
    embedded, moved = in_place("checkout"), in_place("moved")
    pid = pid_of(embedded.start())
    embedded.folder.parents[1].rename(moved.folder.parents[1])
    record = moved.running()
    assert record is not None
    assert pid_of(record) == pid
    assert moved.stop()


def test_the_server_gets_nothing_of_the_callers_variables_but_what_it_needs(
    in_place: Callable[[str], EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEON_API_KEY", "unmistakable-key")
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:unmistakable-password@db.example.com/shop")
    pid = pid_of(in_place("checkout").start())
    kept = Path(f"/proc/{pid}/environ").read_bytes().decode()
    assert "unmistakable" not in kept
    names = {line.partition("=")[0] for line in kept.split("\0") if line}
    # what it sets itself is beside what it was given
    assert {name for name in names if not name.startswith("PG")} <= {"PATH", "TMPDIR", "LD_LIBRARY_PATH", "LC_ALL", "PWD",
                                                                      "OLDPWD", "SHLVL", "_"}  # fmt: skip


def test_a_setting_that_it_does_not_take_is_reported_with_its_log(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgres", settings={"max_connections": "200"})
    try:
        record = server.start()
        server.stop()
        with (record.data / "postgresql.auto.conf").open("a") as file:
            file.write("no_such_setting = 1\n")
        with pytest.raises(DatabaseFailed) as error:
            server.start()
        assert error.value.where == str(record.log)
        assert 'unrecognized configuration parameter "no_such_setting"' in error.value.message
    finally:
        server.destroy()


def test_a_failed_initdb_is_told_by_its_reason_and_not_by_its_last_line(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgres", settings={"shared_buffers": "nonsense"})
    with pytest.raises(DatabaseFailed) as failed:
        server.start()
    server.destroy()
    assert 'invalid value for parameter "shared_buffers": "nonsense"' in failed.value.message
    assert failed.value.where.endswith("/data")


def test_a_data_directory_that_the_server_refuses_is_told_by_its_reason_and_the_log(embedded: EmbeddedServer) -> None:
    record = embedded.start()
    embedded.stop()
    record.data.chmod(0o755)
    with pytest.raises(DatabaseFailed, match=r"FATAL:  data directory .* has invalid permissions") as failed:
        embedded.start()
    assert failed.value.where == str(record.log)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "LOG:  starting\nFATAL:  could not write lock file: No space left on device\nLOG:  database system is shut down\n",
            "FATAL:  could not write lock file: No space left on device",
        ),
        (
            'initdb: error: could not create directory "d/base": No space left on device\ninitdb: removing contents of "d"\n',
            'initdb: error: could not create directory "d/base": No space left on device',
        ),
        (
            'psql:owner.sql:9: ERROR:  syntax error at or near "x"\nLINE 1: CREATE ROLE x\n                    ^\n',
            'psql:owner.sql:9: ERROR:  syntax error at or near "x"',
        ),
        ("one\ntwo\n", "two"),
        ("", ""),
    ],
)
def test_what_a_program_says_is_searched_for_why_it_failed(said: str, reason: str) -> None:
    assert reason_in(said) == reason


def test_removed_it_leaves_no_process_and_no_file(embedded: EmbeddedServer) -> None:
    record = embedded.start()
    pid = pid_of(record)
    embedded.destroy()
    until(lambda: not process_exists(pid) or "postgres" not in Path(f"/proc/{pid}/cmdline").read_text())
    assert not embedded.folder.exists()
    assert not record.place.exists()
    embedded.destroy()


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL runs as root's stand-in only when we are root")
class TestAsRoot:
    def test_the_server_is_run_by_an_account_without_rights(self, embedded: EmbeddedServer) -> None:
        record = embedded.start()
        assert record.data.stat().st_uid != 0
        assert Path(f"/proc/{pid_of(record)}").stat().st_uid == record.data.stat().st_uid

    def test_below_a_private_folder_data_goes_elsewhere_and_no_mode_is_changed(
        self, make: Callable[[str], EmbeddedServer], tmp_path: Path
    ) -> None:
        private = tmp_path / "private"
        private.mkdir(mode=0o700)
        before = {path: path.stat().st_mode for path in (private, *private.parents)}
        server = make("private/checkout")
        record = server.start()
        assert answers(record)
        assert not record.place.is_relative_to(private)
        assert {path: path.stat().st_mode for path in before} == before
        assert server.running() == record

    def test_a_copy_whose_data_is_elsewhere_does_not_take_the_originals(
        self, make: Callable[[str], EmbeddedServer], tmp_path: Path
    ) -> None:
        (tmp_path / "private").mkdir(mode=0o700)
        embedded = make("private/checkout")
        original = embedded.start()
        copy = make("private/copy")
        copy_checkout(embedded, copy)
        assert copy.running() is None
        assert not copy.stop()
        assert copy.start().place != original.place
        copy.destroy()
        assert embedded.running() == original
        moved = make("private/moved")
        embedded.folder.parents[1].rename(moved.folder.parents[1])
        assert moved.start() == original
        again = make("private/copy")
        copy_checkout(moved, again)
        assert again.running() is None
        assert moved.running() == original

    def test_programs_that_the_account_cannot_reach_are_copied_and_run(self, tmp_path: Path) -> None:
        account = account_for_server()
        assert account.uid is not None
        packages = tmp_path / "private" / "site-packages"
        package = installation(16).parent
        for part in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.parent / part, packages / part, symlinks=True)
        (tmp_path / "private").chmod(0o700)
        programs = programs_for(packages / package.name / installation(16).name, None, account)
        assert not programs.is_relative_to(tmp_path)
        for name in ("postgres", "psql"):
            said = subprocess.run(
                [programs / name, "--version"],
                user=account.uid, group=account.gid, extra_groups=[], cwd="/", capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            assert "16." in said
        assert programs_for(packages / package.name / installation(16).name, None, account) == programs
