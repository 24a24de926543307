"""The schema as files build it, and the statements inside of DO blocks and functions."""

from __future__ import annotations

import pytest

from pipeline.lint.bodies import body_of
from pipeline.lint.model import Schema
from pipeline.lint.source import Source
from pipeline.migrations.sql_text import statements


def built(*files: str) -> Schema:
    """The schema behind these files of one deploy."""
    schema = Schema()
    for text in files:
        schema = Source("migrations/0001_x.sql", text, before=schema.in_the_next_file()).after
    return schema


def test_a_table_has_its_columns_and_constraints_under_postgresqls_names() -> None:
    table = built(
        "CREATE TABLE public.\"T\" (id serial PRIMARY KEY, a varchar(10) NOT NULL DEFAULT 'x, y' CHECK (a <> ''), "
        "b int REFERENCES u (id), UNIQUE (a, b), CONSTRAINT named FOREIGN KEY (b) REFERENCES billing.v)"
    ).relation("T")
    assert {name: (column.type, column.not_null) for name, column in table.columns.items()} == {
        "id": ("serial", True),
        "a": ("varchar(10)", True),
        "b": ("int", False),
    }
    assert {name: (each.kind, each.columns) for name, each in table.constraints.items()} == {
        "T_pkey": ("primary key", ("id",)),
        "T_a_check": ("check", ("a",)),
        "T_b_fkey": ("foreign key", ("b",)),
        "T_a_b_key": ("unique", ("a", "b")),
        "named": ("foreign key", ("b",)),
    }
    assert table.constraints["named"].references == "billing.v"


def test_changes_are_followed() -> None:
    schema = built(
        "CREATE TABLE t (a int, b int); CREATE INDEX i ON t (a)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID, DROP COLUMN b, ADD d text",
        "ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t RENAME COLUMN a TO z; ALTER TABLE t ALTER z TYPE bigint",
        "ALTER TABLE t RENAME TO u; ALTER INDEX i RENAME TO j",
    )
    table = schema.relation("u")
    assert {name: column.type for name, column in table.columns.items()} == {"z": "bigint", "d": "text"}
    assert table.constraints["c"].valid
    assert schema.indexes["j"].table == "u"
    assert "t" not in schema.relations


def test_what_a_deploy_makes_is_in_use_from_the_next_one_on() -> None:
    schema = built("CREATE TABLE t (a int)", "CREATE TABLE IF NOT EXISTS u (a int)")
    assert (schema.in_use("t"), schema.in_use("u"), schema.in_use("unheard_of")) == (False, True, True)
    assert schema.deployed().in_use("t")


def test_partitions_and_dropped_tables_are_known() -> None:
    made = "CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p DEFAULT"
    assert built(made).is_partitioned("p")
    assert built(made).partitions("p") == ["p1"]
    assert not built(made, "DROP TABLE p").relations


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("DO $$ BEGIN TRUNCATE a; IF x THEN DELETE FROM b; ELSE UPDATE c SET d = 1; END IF; END $$",
         ["TRUNCATE a", "DELETE FROM b", "UPDATE c SET d = 1"]),
        ("DO $x$ DECLARE r record; BEGIN FOR r IN DELETE FROM a RETURNING id LOOP INSERT INTO b VALUES (r.id); END LOOP; END $x$",
         ["DELETE FROM a RETURNING id", "INSERT INTO b VALUES (r.id)"]),
        ("DO $$ BEGIN UPDATE a SET b = CASE WHEN c THEN 1 ELSE 2 END; EXCEPTION WHEN others THEN RAISE; END $$",
         ["UPDATE a SET b = CASE WHEN c THEN 1 ELSE 2 END"]),
        ("DO 'BEGIN PERFORM f(''x''); END'", ["SELECT  f('x')"]),
        ("DO $$ BEGIN EXECUTE 'TRUNCATE ' || quote_ident(t); EXECUTE format('DROP TABLE %I.%I', 'a', x) USING y; END $$",
         ['TRUNCATE  "?"', 'DROP TABLE "a"."?"']),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DELETE FROM a; SELECT 1 $$", ["DELETE FROM a", "SELECT 1"]),
        ("CREATE PROCEDURE f() BEGIN ATOMIC DELETE FROM a; INSERT INTO b VALUES (1); END",
         ["DELETE FROM a", "INSERT INTO b VALUES (1)"]),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS $$ DELETE $$", []),
        ("SELECT 'DO $$ BEGIN TRUNCATE a; END $$'", []),
    ],
)  # fmt: skip
def test_the_statements_of_a_body_are_found(text: str, inside: list[str]) -> None:
    assert [statement.text for statement in body_of(statements(text)[0])] == inside


def test_a_statement_of_a_body_has_its_place_in_the_file() -> None:
    text = "SELECT 1;\n\nDO $$\nBEGIN\n    NULL;\n    TRUNCATE a;\nEND\n$$;\n"
    (inner,) = body_of(statements(text)[1])
    assert (inner.line, text[inner.start : inner.stop]) == (6, "TRUNCATE a")
