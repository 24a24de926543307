"""Our reader of SQL beside the server's own scanner and parser (pglast), over texts that nobody would write by hand."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pipeline.migrations.chunks import cut
from pipeline.migrations.sql_text import Statement, Token, Unterminated, statements, tokens

parser = pytest.importorskip("pglast.parser", reason="pglast has no wheel for this Python", exc_type=ImportError)

# What a scanner can stumble over, put together in any order. The vertical tab is white space since PostgreSQL 17 only.
PARTS = (
    *("a", "é", "Z", "\u00c0", "\U0001f600", "\u017f", "_", "\u00a0", "\u2028", "\x85", "SELECT", "UESCAPE", "BEGIN"),
    *("E'", "e'", "'", "''", "\\'", "\\", '"', '""', "U&'", 'u&"', "b'", "x'", "N'", "n", "'!'"),
    *("$$", "$a$", "$é$", "$b$", "$", "$1", "1", "1.", "1..", "1e", "1e5", ".5", "0x", "0xf", "0b1", "1_0"),
    *("--", "-", "/*", "*/", "/", "*", "+", "@", "!", "<", "=", "#", "%", "^", "&", "|", "~", "`", "?"),
    *(" ", "\n", "\r", "\r\n", "\t", "\f", "\x1c", ";", "(", ")", "[", "]", ",", ":", "::", ".", "{", "}"),
)
TEXTS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=14).map("".join)
OFTEN = settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])

STRINGS = {"SCONST", "USCONST", "BCONST", "XCONST"}
COMMENTS = {"SQL_COMMENT", "C_COMMENT"}
# the second: the message of the first cut inside a character
REFUSED = (parser.ParseError, UnicodeDecodeError)


def by_the_server(text: str) -> list[tuple[str, str, int]]:
    """Comments, strings, names and what separates statements, as (kind, text, offset)."""
    found = []
    for token in parser.scan(text):
        kind = "comment" if token.name in COMMENTS else "string" if token.name in STRINGS else ""
        spelled = text[token.start : token.end + 1]
        if spelled in ";()":
            kind = spelled
        elif not kind and (spelled[0].isalpha() or spelled[0] in '_"' or spelled[0] > "\x7f"):
            kind = "name"
        if kind:
            found.append((kind, spelled, token.start))
    return found


def by_us(text: str) -> list[tuple[str, str, int]]:
    kinds = {"comment": "comment", "string": "string", "dollar": "string", "word": "name", "quoted": "name"}
    found = []
    for token in tokens(text):
        kind = token.text if token.text in ";()" else kinds.get(token.kind, "")
        if kind:
            found.append((kind, token.text, token.start))
    return found


def scanned_apart(text: str) -> list[Token]:
    """The tokens that pglast's scanner takes apart and the server's does not: see the test of strings that go on."""
    return [
        token
        for token in tokens(text)
        if (token.kind == "string" and any(line.find("--") > line.rfind("'") for line in token.text.splitlines()[:-1]))
        or (token.kind == "quoted" and not token.text.endswith('"'))
    ]


@OFTEN
@given(TEXTS)
@example("SELECT 1 -- all of this\rDROP TABLE t")
@example("E'a'\n'b\\'c'")
@example("/* /* */ ; */ SELECT/**/1")
@example("+-- ;\n*/*;*/")
@example("$é$;$e$;$é$")
def test_every_token_is_the_servers(text: str) -> None:
    try:
        expected = by_the_server(text)
    except REFUSED:
        return  # the server runs nothing of it
    assume(not scanned_apart(text))
    assert by_us(text) == expected


@OFTEN
@given(TEXTS)
@example("SELECT E'a'\n'\\''")
def test_what_we_call_unclosed_the_server_does_not_take_either(text: str) -> None:
    try:
        statements(text)
    except Unterminated:
        with pytest.raises(REFUSED):
            parser.scan(text)


STATEMENTS = st.sampled_from(
    (
        "SELECT 1",
        "select ';', E'\\';', U&'\\003b', $$;$$, $é$;$é$, b'1', x'f', N';'",
        "SELECT E'a'\n';\\''",
        'SELECT ";" FROM "a"";"',
        "SELECT U&\"d!0061ta\" UESCAPE '!'",
        "SELECT 1 +-- ;\n 1 */*;*/ 2",
        "SELECT /* /* ; */ ; */ 1.5e3, .5, 0x1f",
        "DO $do$ BEGIN RAISE NOTICE ';'; END $do$",
        "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1;'",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
        "create or replace procedure p() begin atomic select 1 as end; select t.end from t; select 2 end; end",
        "CREATE TABLE atomic (a$b$c int, \u00a0x text, \u017fet text DEFAULT 'a;b')",
        "INSERT INTO t VALUES (1, 'it''s;'), (2, '--;')",
        "PREPARE s (int) AS SELECT $1",
        "COMMIT",
    )
)
BETWEEN = st.sampled_from(("", " ", "\n", "\r", "\r\n", "\f", "-- ;\n", "-- ;\r", "/* ; */", "/*;/*;*/;*/", ";"))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(BETWEEN, STATEMENTS, BETWEEN), max_size=5))
def test_statements_end_where_the_servers_do(pieces: list[tuple[str, str, str]]) -> None:
    text = "".join(f"{before}{statement}{after};" for before, statement, after in pieces)
    ours = [parser.fingerprint(statement.text) for statement in statements(text)]
    assert ours == [parser.fingerprint(statement) for statement in parser.split(text)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(BETWEEN, STATEMENTS, BETWEEN), max_size=5), st.data())
@example([("-- ", "SELECT 1", "")], None)
def test_a_wrong_cut_is_refused_by_the_server_or_changes_nothing(
    parts: list[tuple[str, str, str]], data: st.DataObject | None
) -> None:
    """As if our reading were wrong: cut behind any semicolons, those in strings, comments and bodies too."""
    text = "".join(f"{before}{statement}{after};" for before, statement, after in parts)
    stops = [offset for offset, character in enumerate(text, start=1) if character == ";"]
    chosen = [stop for stop in stops if data is None or data.draw(st.booleans())]
    chunks = cut(text, [Statement("", 0, 1, stop) for stop in chosen])
    assert "".join(chunk.text for chunk in chunks) == text
    try:
        whole = [parser.fingerprint(statement) for statement in parser.split(text)]
        apart = [parser.fingerprint(statement) for chunk in chunks for statement in parser.split(chunk.text)]
    except parser.ParseError:
        return
    assert apart == whole


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_tokens_and_statements_are_two_views_of_one_reading(text: str) -> None:
    try:
        every = [token for token in tokens(text) if token.kind != "comment" and token.text != ";"]
        found = statements(text)
    except Unterminated:
        return
    assert [token for statement in found for token in statement.tokens if token.text != ";"] == every
    assert [statement.line for statement in found] == [text.count("\n", 0, each.start) + 1 for each in found]
