import pytest

from pipeline.migrations.sql_text import Unterminated, statements, tokens


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
