"""Which local server is used, and what it takes to find it again."""

from __future__ import annotations

import socket
import subprocess
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.environments import resolve
from pipeline.environments.local import COMPOSE, EMBEDDED, LocalServers
from pipeline.errors import ConfigurationError
from services import DATABASE, OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from dbclient.url import DatabaseURL


def who(url: DatabaseURL) -> tuple[object, ...] | None:
    with psycopg.connect(url.reveal()) as connection:
        return connection.execute(
            "SELECT current_user, current_database(), rolsuper, rolcreaterole, rolcreatedb "
            "FROM pg_roles WHERE rolname = current_user"
        ).fetchone()


SHAPED_LIKE_NEONS = (OWNER, DATABASE, False, True, True)


@pytest.mark.usefixtures("without_docker")
def test_without_docker_the_embedded_server_is_started_and_found_again(checkout: Path) -> None:
    told: list[str] = []
    first = resolve("local", root=checkout, tell=told.append)
    assert first.source == EMBEDDED
    assert who(first.url) == SHAPED_LIKE_NEONS
    assert told == ["Making an embedded PostgreSQL 16 (once per checkout)"]
    assert resolve("local", root=checkout, tell=told.append) == first
    assert len(told) == 1


def test_with_compose_its_server_is_started_found_again_and_keeps_its_data(checkout: Path, with_compose: int) -> None:
    first = resolve("local", root=checkout)
    assert (first.source, first.url.port) == (COMPOSE, with_compose)
    assert who(first.url) == SHAPED_LIKE_NEONS
    with psycopg.connect(first.url.reveal()) as connection:
        connection.execute("CREATE TABLE kept ()")

    began = time.monotonic()
    assert resolve("local", root=checkout) == first
    assert time.monotonic() - began < 1

    servers = LocalServers(checkout)
    assert servers.serve("127.0.0.1", with_compose)
    assert not servers.serve("::1", with_compose)
    assert not servers.serve("127.0.0.1", 1)

    assert LocalServers(checkout).stop() == (COMPOSE,)
    assert LocalServers(checkout).running() is None
    again = resolve("local", root=checkout)
    with psycopg.connect(again.url.reveal()) as connection:
        connection.execute("SELECT FROM kept")


def test_another_server_than_the_last_time_is_told_of_with_where_the_rows_are(
    checkout: Path, with_compose: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_compose
    resolve("local", root=checkout)
    project = LocalServers(checkout).compose.project()
    told: list[str] = []
    with monkeypatch.context() as engine_down:
        engine_down.setenv("DOCKER_HOST", f"unix://{checkout}/nobody.sock")
        assert resolve("local", root=checkout, tell=told.append).source == EMBEDDED
        assert told[-1] == (
            f"this is another database than the last time: that was Docker Compose (project {project}), and its rows are "
            "there, not here (they are back when Docker runs, in the folder where it was started)"
        )
        told.clear()
        assert resolve("local", root=checkout, tell=told.append).source == EMBEDDED
        assert told == []
    assert resolve("local", root=checkout, tell=told.append).source == COMPOSE
    (note,) = told
    assert "that was the embedded server, and its rows are there, not here (LOCAL_SERVER=embedded)" in note


@pytest.mark.usefixtures("with_compose")
def test_a_checkout_that_has_an_embedded_server_keeps_it_when_docker_comes(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setenv("PATH", str(checkout))
        before = resolve("local", root=checkout)
        LocalServers(checkout).stop()
    assert resolve("local", root=checkout) == before


@pytest.mark.usefixtures("with_compose")
def test_the_variable_settles_which_one_it_is(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LocalServers(checkout).next() == COMPOSE
    monkeypatch.setenv("LOCAL_SERVER", "embedded")
    assert LocalServers(checkout).next() == EMBEDDED
    monkeypatch.setenv("LOCAL_SERVER", "both")
    with pytest.raises(ConfigurationError, match="LOCAL_SERVER=both is unknown"):
        LocalServers(checkout).next()


def test_a_port_that_is_taken_is_an_error_that_names_the_variable(
    checkout: Path, with_compose: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setenv("POSTGRES_PORT", str(taken))
        with pytest.raises(ConfigurationError) as error:
            resolve("local", root=checkout)
    assert f"port {taken} is taken" in error.value.message
    assert "POSTGRES_PORT=" in error.value.remedy
    # and on the free port it works after all
    monkeypatch.setenv("POSTGRES_PORT", str(with_compose))
    assert who(resolve("local", root=checkout).url) == SHAPED_LIKE_NEONS


def test_where_another_program_has_the_usual_port_the_next_one_is_used_and_remembered(
    checkout: Path, with_compose: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTGRES_PORT")
    told: list[str] = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        usual = other.getsockname()[1]
        monkeypatch.setattr("pipeline.postgres.compose._PORTS", (usual, with_compose))
        first = resolve("local", root=checkout, tell=told.append)
    assert told[-1] == f"port {usual} is taken by another program: using {with_compose}"
    assert who(first.url) == SHAPED_LIKE_NEONS
    assert resolve("local", root=checkout) == first


@pytest.mark.usefixtures("without_docker")
def test_compose_that_was_asked_for_and_is_not_there_is_an_error(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_SERVER", "compose")
    with pytest.raises(ConfigurationError, match="Docker is not installed"):
        resolve("local", root=checkout)


def test_an_engine_that_does_not_answer_means_the_embedded_server_and_a_line_that_says_so(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if subprocess.run(["docker", "--version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("there is no docker command on this machine")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{checkout}/nobody.sock")
    told: list[str] = []
    assert resolve("local", root=checkout, tell=told.append).source == EMBEDDED
    assert told[0] == "Docker is installed, but its engine does not answer: using the embedded server instead"


def test_an_image_that_cannot_be_pulled_means_the_embedded_server(
    checkout: Path, with_compose: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_compose
    monkeypatch.setenv("POSTGRES_IMAGE", "nowhere.invalid/postgres:16-alpine")
    told: list[str] = []
    assert resolve("local", root=checkout, tell=told.append).source == EMBEDDED
    assert "cannot be pulled: using the embedded server instead" in told[1]
