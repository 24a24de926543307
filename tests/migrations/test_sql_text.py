from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.migrations.script import read_script
from pipeline.migrations.sql_text import Unterminated, statements, tokens

if TYPE_CHECKING:
    from tests.support.server import PostgresServer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1", ["SELECT 1"]),
        ("-- a; b\nSELECT 1;", ["SELECT 1"]),
        ("SELECT 1 -- no newline; here", ["SELECT 1"]),
        ("/* a /* nested; */ ; */ SELECT 1;", ["SELECT 1"]),
        ("SELECT ';', 'it''s;';", ["SELECT ';', 'it''s;'"]),
        ("SELECT E'a\\';b';", ["SELECT E'a\\';b'"]),
        ('SELECT ";" FROM "a"";b";', ['SELECT ";" FROM "a"";b"']),
        ("DO $$ BEGIN; END $$; SELECT 1", ["DO $$ BEGIN; END $$", "SELECT 1"]),
        ("SELECT $a$ $$ ; $a$;", ["SELECT $a$ $$ ; $a$"]),
        ("SELECT $1; SELECT a$b$c", ["SELECT $1", "SELECT a$b$c"]),
        (";;", []),
        ("-- only a comment", []),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
            [
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
                "SELECT 3",
            ],
        ),
        (
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"],
        ),
        ("SELECT 'ä', \"ö\", ü FROM ß;", ["SELECT 'ä', \"ö\", ü FROM ß"]),
    ],
)
def test_a_semicolon_ends_a_statement_only_where_postgresql_says_so(text: str, expected: list[str]) -> None:
    assert [statement.text for statement in statements(text)] == expected


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("SELECT 1;\nSELECT 'a", "string", 2),
        ("SELECT E'a\\'", "string", 1),
        ('\n\nSELECT "a', "quoted identifier", 3),
        ("SELECT 1; /* /* */", "block comment", 1),
        ("SELECT\n$x$ a $y$", "dollar-quoted string $x$", 2),
    ],
)
def test_what_is_left_open_is_named_with_the_line_where_it_starts(text: str, what: str, line: int) -> None:
    with pytest.raises(Unterminated) as caught:
        statements(text)
    assert (caught.value.what, caught.value.line) == (what, line)


def test_statements_know_their_lines() -> None:
    found = statements("-- title\n\nSELECT 1;\n  SELECT\n 2;")
    assert [statement.line for statement in found] == [3, 4]


def test_an_identifier_is_folded_or_unquoted() -> None:
    assert [token.identifier for token in tokens('Abc "A""b"')] == ["abc", 'A"b']


def test_only_ascii_letters_are_folded_as_by_the_server() -> None:
    assert [token.identifier for token in tokens("ÄbC \u0130D")] == ["Äbc", "\u0130d"]
    assert [token.upper for token in tokens("\u0131ndex concurrently")] == ["\u0131NDEX", "CONCURRENTLY"]


def test_the_escapes_of_an_identifier_are_undone() -> None:
    names = 'U&"d\\0061t\\+000061" u&"a\\\\b" U&"d!0061ta" UESCAPE \'!\' U&"\\zzzz"'
    assert [token.identifier for token in tokens(names)] == ["data", "a\\b", "data", "\\zzzz"]


@pytest.mark.parametrize(
    "literal",
    [
        "E'a'\n'b\\'c'",
        "E'a' -- why\r'\\'b'",
        "'a'  -- ;\n  -- ' again\n\n\t'b'",
        "U&'\\0061' --\r\n '\\0062'",
        "b'01'\n'10'",
        "$é$a$e$b$é$",
        "'a\\'",
    ],
)
def test_a_string_that_goes_on_after_a_line_break_is_one(server: PostgresServer, literal: str) -> None:
    assert [token.text for token in tokens(literal)] == [literal]
    with psycopg.connect(server.owner.reveal()) as connection:
        assert connection.execute(f"SELECT {literal}").fetchone() is not None


def test_a_title_ends_where_the_servers_line_does() -> None:
    assert read_script(b"-- Drop it\rDROP TABLE t;", "0001_x.sql").title == "Drop it"
    assert read_script("-- One\u2028line\nSELECT 1;".encode(), "0001_x.sql").title == "One\u2028line"


def test_setting_what_strings_mean_to_what_it_is_already_is_no_fault() -> None:
    dump = b"SET standard_conforming_strings = on;\nSET SESSION standard_conforming_strings TO 'on';\nSELECT 1;"
    assert len(read_script(dump, "0001_dump.sql").statements) == 3


def test_reading_takes_time_linear_in_the_length() -> None:
    def seconds(rows: int) -> float:
        text = "".join(f"INSERT INTO item (id, label) VALUES ({row}, 'it''s; label {row}');\n" for row in range(rows))
        data = text.encode()
        taken = []
        for _ in range(3):
            started = time.process_time()
            read_script(data, "0001_rows.sql")
            taken.append(time.process_time() - started)
        return min(taken)

    # 8 times as long for 8 times as much; 64 times where each statement counts the lines before it
    assert seconds(16_000) < 20 * seconds(2_000)
