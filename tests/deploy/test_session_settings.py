"""What surrounds a deploy has no say in its session: the same files give the same database from every machine."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.postgres.connect import open_session

if TYPE_CHECKING:
    from chatdb.url import DatabaseURL
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

NAMES = ("TimeZone", "DateStyle", "client_encoding", "geqo")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PGTZ", "Asia/Tokyo"), ("PGDATESTYLE", "German"), ("PGCLIENTENCODING", "LATIN1"), ("PGGEQO", "off")],
)
def test_a_variable_of_libpqs_changes_nothing(
    db: Database, folder: FolderBuilder, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    settings = ", ".join(f"current_setting('{name}')" for name in NAMES)
    folder.write(
        "0001_probe", f"CREATE TABLE probe AS SELECT concat_ws(' ', {settings}) AS settings, 'ä€'::text AS text;"
    )
    with monkeypatch.context() as environment:
        environment.setenv(variable, value)
        apply(db.url, folder.read())
        assert apply(db.url, folder.read()).already == 1  # the history's instants are read back
        assert os.environ[variable] == value
    assert db.rows("SELECT settings, text FROM probe") == [("UTC ISO, MDY UTF8 on", "ä€")]


def test_an_encoding_in_the_url_changes_nothing(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_probe", "CREATE TABLE probe AS SELECT 'ä€'::text AS text;")
    apply(db.url.copy_with(params=(("client_encoding", "LATIN1"),)), folder.read())
    assert db.rows("SELECT text FROM probe") == [("ä€",)]


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system does not show a connection's keepalives")
def test_a_silent_connection_is_kept_alive_and_a_dead_one_noticed(db: Database) -> None:
    def idle_before_the_first_probe(url: DatabaseURL) -> int:
        with (
            open_session(url, application_name="test") as session,
            socket.socket(fileno=os.dup(session.connection.socket)) as connection,
        ):
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)

    assert idle_before_the_first_probe(db.url) == 30
    assert idle_before_the_first_probe(db.url.copy_with(params=(("keepalives_idle", "7"),))) == 7
