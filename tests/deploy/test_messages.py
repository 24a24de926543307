"""What the server says while a file runs: shown, capped, and not paid for with the file's text each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.deploy.notices import LIMIT
from pipeline.deploy.observer import Observer
from pipeline.errors import MigrationFailed
from tests.support.counting_proxy import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.support.counting_proxy import Link
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

MESSAGES = 1_000
PADDING = "-- " + "x" * 100_000 + "\n"
TRIGGER = """
CREATE TABLE noisy (id int, label text);
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'row %', NEW.id; RETURN NEW; END $$;
CREATE TRIGGER say BEFORE INSERT ON noisy FOR EACH ROW EXECUTE FUNCTION say();
"""
LOOP = f"BEGIN FOR i IN 1..{MESSAGES} LOOP RAISE NOTICE 'the number % of them', i; END LOOP; {PADDING} END"
NOISY = [
    pytest.param("".join(f"DROP TABLE IF EXISTS some_table_{n:05};\n" for n in range(MESSAGES)), id="many statements"),
    pytest.param(
        f"DROP TABLE IF EXISTS {', '.join(f'some_table_{n:05}' for n in range(MESSAGES))};", id="one statement"
    ),
    pytest.param(f"DO $$ {LOOP} $$;", id="a loop"),
    pytest.param(
        f"DO $$BEGIN FOR i IN 1..{MESSAGES} LOOP RAISE NOTICE 'number %', i; END LOOP; END$$;", id="a short loop"
    ),
    pytest.param(f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ {LOOP} $$;\nSELECT f();", id="a function"),
    pytest.param(
        f"{TRIGGER}INSERT INTO noisy VALUES {', '.join(f'({n}, $x$the label$x$)' for n in range(MESSAGES))};",
        id="a trigger",
    ),
]


class Listener(Observer):
    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, text: str) -> None:
        self.said.append(text)


def traffic(url: DatabaseURL, work: Callable[[DatabaseURL], object]) -> int:
    """Bytes in both directions."""
    total = 0

    def count(_: Link, data: bytes) -> None:
        nonlocal total
        total += len(data)

    with CountingProxy(url.host, url.port or 5432) as proxy:
        proxy.heard = proxy.sent = count
        work(url.copy_with(host="127.0.0.1", port=proxy.port))
    return total


@pytest.mark.parametrize("text", NOISY)
def test_a_file_with_many_messages_costs_at_most_twice_the_traffic_of_a_plain_query(
    db: Database, folder: FolderBuilder, text: str
) -> None:
    def as_a_plain_query(url: DatabaseURL) -> None:
        with psycopg.connect(url.reveal()) as connection:
            connection.execute(text.encode())
            connection.rollback()

    folder.write("0001_first", "SELECT 1;")
    apply(db.url, folder.read())
    folder.write("0002_noisy", text)
    plain = traffic(db.url, as_a_plain_query)
    listener = Listener()
    assert traffic(db.url, lambda url: apply(url, folder.read(), observer=listener)) <= 2 * plain
    assert len(listener.said) == LIMIT + 1
    assert listener.said[-1] == f"({MESSAGES - LIMIT} more messages of this file, {MESSAGES} in all)"


def test_each_file_has_its_own_messages(db: Database, folder: FolderBuilder) -> None:
    for number in (1, 2):
        folder.write(f"000{number}_a", "".join(f"DROP TABLE IF EXISTS t{n};" for n in range(LIMIT)))
    folder.write("0003_fails", "DO $$ BEGIN FOR i IN 1..100 LOOP RAISE NOTICE '%', i; END LOOP; END $$; SELECT 1 / 0;")
    listener = Listener()
    with pytest.raises(MigrationFailed):
        apply(db.url, folder.read(), observer=listener)
    assert len(listener.said) == 3 * LIMIT + 1
    assert listener.said[-1] == f"({100 - LIMIT} more messages of this file, 100 in all)"


LONG = "x" * 2_000


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param("CREATE TABLE t (a int);\n\nSELECT 1 / 0;\nSELECT 1;", 3, "division by zero", id="at run time"),
        pytest.param("SELECT 1;\nSELECT 1;\n\nSELECT 1,\n 1 1;\nSELECT 1;", 5, "syntax error", id="of syntax"),
        pytest.param(
            "-- transactional: false\nCREATE INDEX CONCURRENTLY i\n    ON nowhere (a);",
            2,
            "does not exist",
            id="outside",
        ),
        pytest.param(
            "-- transactional: false\nVACUUM\n    pg_catalog.pg_class (nowhere,,);",
            3,
            "syntax",
            id="outside, its syntax",
        ),
        pytest.param("SELECT 1;\n-- why; not\nSELECT\n none;", 4, "does not exist", id="in analysis"),
        pytest.param(f"SELECT 1;\n\nSELECT '{LONG}'::int;", 3, "invalid input syntax", id="in a long statement"),
        pytest.param(f"SELECT 1;\nSELECT '{LONG}',\n\n none;", 4, "does not exist", id="in the analysis of a long one"),
        pytest.param(f"SELECT 1;\nSELECT '{LONG}',\n 1 1;", 3, "syntax error", id="of syntax in a long one"),
        pytest.param(f"SELECT 1;\n\nDO $$ BEGIN COMMIT; END; -- {LONG}\n$$;", 3, "invalid transaction", id="a COMMIT"),
        pytest.param(
            f"SELECT 1;\nDO $$ BEGIN EXECUTE 'COMMIT'; END; -- {LONG}\n$$;", 2, "not implemented", id="hidden"
        ),
        pytest.param(
            f"CREATE TABLE t (a int);\nDO $$ BEGIN EXECUTE 'CREATE INDEX CONCURRENTLY ON t (a)'; END; -- {LONG}\n$$;",
            2,
            "cannot be executed from a function|cannot run inside",
            id="CONCURRENTLY",
        ),
    ],
)
def test_an_error_has_the_line_of_its_statement(
    db: Database, folder: FolderBuilder, text: str, line: int, message: str
) -> None:
    folder.write("0001_text", text)
    with pytest.raises(MigrationFailed, match=message) as caught:
        apply(db.url, folder.read())
    assert caught.value.where.endswith(f"0001_text.sql:{line}")
    assert db.applied() == []
    assert db.value("SELECT to_regclass('t')") is None


def test_a_long_statement_is_like_any_other(db: Database, folder: FolderBuilder) -> None:
    """Its own function is of no consequence to the file, whichever role and settings the file has then."""
    db.run("DROP ROLE IF EXISTS reader_of_long_files")
    folder.write(
        "0001_long",
        "CREATE ROLE reader_of_long_files; GRANT reader_of_long_files TO CURRENT_USER;\n"
        f"CREATE TABLE t (a text DEFAULT '{LONG}');\n"
        f"INSERT INTO t VALUES ('{LONG}'), ('it''s'), (E'\\\\');\n"
        "SET check_function_bodies = off;\n"
        f"COMMENT ON TABLE t IS '{LONG}';\n"
        "CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT a FROM not_there_yet';\n"
        "SET ROLE reader_of_long_files;\n"
        f"DO $$ BEGIN IF current_user <> 'reader_of_long_files' THEN RAISE EXCEPTION 'who?'; END IF; END; -- {LONG}\n$$;\n",
    )
    try:
        apply(db.url, folder.read())
        assert db.value("SELECT string_agg(length(a)::text, ',' ORDER BY length(a)) FROM t") == "1,4,2000"
        assert db.rows("SELECT proname FROM pg_proc WHERE pronamespace = 'migration_history'::regnamespace") == []
    finally:
        db.run("DROP ROLE reader_of_long_files")
