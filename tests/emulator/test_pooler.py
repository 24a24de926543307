from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from servers.processes import command_line, process_exists
from tests.emulator.pooling import needs_pgbouncer, pooled
from tests.emulator.urls import branch_path, endpoint_path, uri
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

Json = dict[str, Any]


def test_the_pooled_door_refuses_settings_at_start_up(emulator: Emulator, shared: Json) -> None:
    with psycopg.connect(pooled(emulator, shared)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
        psycopg.connect(pooled(emulator, shared), options="-c statement_timeout=1s")


@needs_pgbouncer
def test_a_session_lock_means_nothing_behind_the_pooler(emulator: Emulator, shared: Json) -> None:
    url = pooled(emulator, shared)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as one:
        pids = set()
        with psycopg.connect(url, prepare_threshold=None) as other:
            pids.add(one.execute("SELECT pg_backend_pid()").fetchone())
            other.execute("SELECT 1")  # holds a server until the transaction ends
            pids.add(one.execute("SELECT pg_backend_pid()").fetchone())
            pids.add(other.execute("SELECT pg_backend_pid()").fetchone())

    assert len(pids) == 2


@needs_pgbouncer
def test_a_role_made_in_sql_comes_in_through_the_pooler(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        connection.execute("CREATE ROLE server LOGIN PASSWORD 'only-of-this-test'")

    with psycopg.connect(pooled(emulator, project), user="server", password="only-of-this-test") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("server",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(pooled(emulator, project), user="server", password="wrong")


@needs_pgbouncer
def test_a_pooled_connection_outlives_a_suspension(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(pooled(emulator, project), autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SELECT 1")
        emulator.ok("POST", f"{endpoint_path(project)}/suspend")
        try:
            found = connection.execute("SELECT 2").fetchone()
        except psycopg.OperationalError:
            pytest.fail("the pooler did not open another server connection")

    assert found == (2,)


@needs_pgbouncer
def test_a_reset_password_is_the_poolers_too(emulator: Emulator, project: Json) -> None:
    old = pooled(emulator, project)
    with psycopg.connect(old):
        pass
    emulator.ok("POST", f"{branch_path(project)}/roles/app_owner/reset_password")

    with psycopg.connect(pooled(emulator, project)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(old)


@needs_pgbouncer
def test_the_pooler_of_a_killed_emulator_is_replaced(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    with psycopg.connect(pooled(emulator, project)):
        pass
    emulator.kill()
    emulator.start()

    with psycopg.connect(pooled(emulator, project)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@needs_pgbouncer
def test_the_pooler_of_a_killed_emulator_ends_though_nobody_comes_to_it(
    another_emulator: Callable[..., Emulator],
) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    with psycopg.connect(pooled(emulator, project)):
        pass
    pid = int(next(emulator.data.glob("poolers/*/pid")).read_text())
    emulator.kill()
    assert process_exists(pid)
    forget = emulator.data / "state.json"
    forget.write_text('{"projects": []}')  # as if the kill had come while the project was deleted
    emulator.start()

    until(lambda: not runs(pid))
    assert list(emulator.data.glob("poolers/*")) == []


@needs_pgbouncer
def test_a_pooler_that_a_killed_emulator_left_is_something_to_take_down(
    another_emulator: Callable[..., Emulator],
) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    with psycopg.connect(pooled(emulator, project)):
        pass
    emulator.ok("POST", f"{endpoint_path(project)}/suspend")
    pid = int(next(emulator.data.glob("poolers/*/pid")).read_text())
    emulator.kill()
    command = [sys.executable, "-m", "emulator", "down", "--data", str(emulator.data)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr

    assert said == "stopped: the emulator\n"
    until(lambda: not runs(pid))


def runs(pid: int) -> bool:
    """Whether it is alive; one that nobody has waited for is not."""
    return command_line(pid) != ""
