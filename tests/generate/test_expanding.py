"""A column that stands double: the files, both releases at work on them, and the way back to one column."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.check.checking import check
from pipeline.deploy.rolling_back import rollback
from pipeline.errors import InvalidPlan, UsageError
from pipeline.generate.expanding.columns import read_column
from pipeline.generate.expanding.contract import contract
from pipeline.generate.expanding.expand import expand
from pipeline.generate.expanding.requests import Request, column_named, rename_request, retype_request
from pipeline.generate.expanding.schema_editing import with_column, without_items, without_statements
from pipeline.generate.expanding.twins import twin_name
from pipeline.generate.expanding.writers import try_writers
from pipeline.generate.gate import folder_with
from pipeline.generate.new_migrations import NewMigration
from pipeline.migrations.expansions import Expansion
from pipeline.migrations.open_expansions import open_expansions
from tests.generate.conftest import catalog

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.generate.conftest import Checkout
    from tests.support.server import PostgresServer

RENAMES = {
    "a column that may be null": "Message.name=toolName",
    "a required one with a list of words": "Message.role=kind",
    "one with a unique index": "User.email=mail",
    "one that refers to another table, in an index with others": "Thread.userId=ownerId",
    "an array with a default and a rule": "Thread.activeScopeKeys=scopeKeys",
    "a column of a table whose key is a unique index": "Session.expires=endsAt",
    "a column of a table with a key of two": "Account.scope=scopes",
}


@pytest.mark.parametrize("rename", RENAMES.values(), ids=RENAMES)
def test_a_rename_keeps_every_row_and_every_rule_and_ends_with_the_new_name_alone(
    rename: str, with_rows: Checkout
) -> None:
    request = rename_request([rename])
    table, old, new = request.table, request.old, request.new
    before = with_rows.rows(f'SELECT "{old}"::text, count(*) FROM "{table}" GROUP BY 1 ORDER BY 1')
    shape = catalog(with_rows.local)

    generated = expand("both", with_rows.workbench, request, run=with_rows.run)
    assert not generated.findings
    assert with_rows.rows(f'SELECT count(*) FROM "{table}" WHERE "{old}" IS DISTINCT FROM "{new}"') == [(0,)]
    check(with_rows.workbench)
    assert [each.expansion for each in open_expansions(with_rows.folder.files)] == [Expansion(table, old, new)]

    contract("one", with_rows.workbench, table, old, run=with_rows.run)
    assert with_rows.rows(f'SELECT "{new}"::text, count(*) FROM "{table}" GROUP BY 1 ORDER BY 1') == before
    check(with_rows.workbench)
    assert not open_expansions(with_rows.folder.files)
    text = with_rows.workbench.schema.read_text()
    assert f'"{old}"' not in text.partition(f'CREATE TABLE "{table}"')[2].partition(";")[0]
    assert " both()" not in text

    first = min(file.id for file in with_rows.folder.files if file.id.endswith("_both"))
    ids = [file.id for file in with_rows.folder.files]
    rollback(with_rows.local, with_rows.folder, to=ids[ids.index(first) - 1])
    assert catalog(with_rows.local).differences(shape) == []
    assert with_rows.rows(f'SELECT "{old}"::text, count(*) FROM "{table}" GROUP BY 1 ORDER BY 1') == before


def test_another_type_is_proven_on_the_local_rows(with_rows: Checkout) -> None:
    with_rows.rows("""UPDATE "Message" SET "usage" = '{"tokens": 7}' RETURNING 1""")
    request = retype_request("Message.usage=text", '"usage"::text', '"usageText"::jsonb')
    generated = expand("usage_text", with_rows.workbench, request, run=with_rows.run)
    assert any("lead back to the same value" in note for note in generated.notes)
    assert with_rows.rows('SELECT DISTINCT "usageText"::jsonb = "usage" FROM "Message"') == [(True,)]
    contract("usage_goes", with_rows.workbench, "Message", "usage", run=with_rows.run)
    assert with_rows.rows("""SELECT DISTINCT "usageText" FROM "Message" """) == [('{"tokens": 7}',)]


def test_a_type_without_an_equal_sign_is_gone_through_by_what_has_no_value(with_rows: Checkout) -> None:
    with_rows.rows("""UPDATE "Message" SET "usage" = '{"tokens": 7}' RETURNING 1""")
    request = retype_request("Message.usage=json", '"usage"::json', '"asJson"::jsonb', "asJson")
    expand("usage_json", with_rows.workbench, request, run=with_rows.run)
    assert with_rows.rows("""SELECT count(*) FROM "Message" WHERE "asJson" IS NULL""") == [(0,)]
    contract("usage_goes", with_rows.workbench, "Message", "usage", run=with_rows.run)


@pytest.mark.parametrize(
    ("using", "back", "message"),
    [
        ('left("content", 1)', '"contentText"', "have another"),
        ('"content"::int::text', '"contentText"', "fails: invalid input syntax"),
    ],
)
def test_expressions_that_lose_a_local_value_are_refused(
    using: str, back: str, message: str, with_rows: Checkout
) -> None:
    names = with_rows.names()
    with_rows.rows("""UPDATE "Message" SET "content" = 'some words' RETURNING 1""")
    request = retype_request("Message.content=text", using, back)
    with pytest.raises(InvalidPlan, match=message) as refused:
        expand("content_text", with_rows.workbench, request, run=with_rows.run)
    assert with_rows.names() == names
    _, found_by, query = refused.value.remedy.partition("They are found by: ")
    assert not found_by or with_rows.rows(query)


def test_a_writer_whose_column_does_not_follow_is_found(
    checkout: Checkout, server: PostgresServer, migrated: DatabaseURL
) -> None:
    request = rename_request(["Message.name=toolName"])
    schema = checkout.workbench.schema.read_text()
    proposed = expand("tool_name", checkout.workbench, request, dry_run=True).proposed
    assert checkout.workbench.schema.read_text() == schema
    column = read_column(migrated, "Message", "name")
    change = request.change("tool_name", "tool_name", column)
    for line, who in (('NEW."name" := NEW."toolName";', "a new"), ('NEW."toolName" := NEW."name";', "an old")):
        deaf = NewMigration(proposed[0].id, proposed[0].forward.replace(line, "NULL;"), proposed[0].backward)
        clone = server.create_database(migrated)
        with folder_with(checkout.workbench.migrations, [deaf, *proposed[1:]]) as folder:
            ids = [each.id for each in proposed]
            tried = try_writers(clone, folder, ids, change, column, local=migrated, backfill=proposed[1].id)
        assert tried.problems == (f'behind 0007_tool_name "name" and "toolName" are not kept equal for {who} writer',)
        server.drop_database(clone)


def test_rows_that_a_backfill_leaves_out_are_found(
    checkout: Checkout, server: PostgresServer, migrated: DatabaseURL
) -> None:
    request = rename_request(["Message.name=toolName"])
    proposed = expand("tool_name", checkout.workbench, request, dry_run=True).proposed
    column = read_column(migrated, "Message", "name")
    # statement and `-- remaining:` agree, and leave out the same rows
    fewer = """IS DISTINCT FROM "name" AND "content" = 'x'"""
    idle = replace(proposed[1], forward=proposed[1].forward.replace('IS DISTINCT FROM "name"', fewer))
    clone = server.create_database(migrated)
    with folder_with(checkout.workbench.migrations, [proposed[0], idle]) as folder:
        ids = [each.id for each in proposed[:2]]
        change = request.change("tool_name", "tool_name", column)
        tried = try_writers(clone, folder, ids, change, column, local=migrated, backfill=idle.id)
    server.drop_database(clone)
    assert len(tried.problems) == 1
    assert 'have not their "toolName" yet' in tried.problems[0]


def test_an_edited_schema_is_proven_by_itself_first(checkout: Checkout) -> None:
    checkout.append('CREATE INDEX "Message_model_idx" ON "Message" ("model");')
    with pytest.raises(InvalidPlan, match="something else as well"):
        expand("tool_name", checkout.workbench, rename_request(["Message.name=toolName"]))


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ("Message.id=key", "primary key"),
        ("Nope.id=key", "no column 'id' of a table 'Nope'"),
        ("Message.nope=key", "no column 'nope'"),
        ("Message.name=content", "has a column 'content' already"),
    ],
)
def test_a_column_that_cannot_stand_double_is_said(rename: str, message: str, checkout: Checkout) -> None:
    with pytest.raises((InvalidPlan, UsageError), match=message):
        expand("key", checkout.workbench, rename_request([rename]))


@pytest.mark.parametrize(
    ("type_", "using", "back"),
    [
        ("jsonb", "", '"usageJsonb"'),
        ("jsonb", '"other"', '"usageJsonb"'),
        ("jsonb", '"usage"; DROP TABLE "Message"', '"usageJsonb"'),
        ("jsonb", 'lower("usage"', '"usageJsonb"'),
        ("jsonb", '\'"usage"', '"usageJsonb"'),
        ("jsonb; DROP TABLE x", '"usage"', '"usageJsonb"'),
    ],
)
def test_what_is_no_expression_or_type_is_refused_before_anything_runs(type_: str, using: str, back: str) -> None:
    with pytest.raises(UsageError):
        retype_request(f"Message.usage={type_}", using, back)


def test_the_new_column_of_another_type_is_called_by_it() -> None:
    assert retype_request("Message.usage=numeric(10, 2)", "usage", '"usageNumeric"').new == "usageNumeric"
    assert retype_request("token.expires_at=timestamptz(3)", "expires_at", "expires_at_timestamptz") == Request(
        "token", "expires_at", "expires_at_timestamptz", "timestamptz(3)", "expires_at", "expires_at_timestamptz"
    )
    assert column_named("billing.Invoice.total", "--contract") == ("billing.Invoice", "total")


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("Message_name_idx", "Message_toolName_idx"),
        ("name", "toolName"),
        ("some_idx", "some_idx_toolName"),
        ("names_idx", "names_idx_toolName"),
    ],
)
def test_a_twin_is_named_for_the_new_column(name: str, twin: str) -> None:
    assert twin_name(name, "name", "toolName") == twin


LAYOUTS = {
    "one line": "CREATE TABLE t (a int, b text);",
    "a comma in a comment": "CREATE TABLE t (\n  a int, -- one, two\n  b text -- three, four\n);",
    "commas in front": "CREATE TABLE t (\n    a int\n  , b text\n);",
    "a rule behind": "CREATE TABLE t (\n  a int,\n  b text,\n  CONSTRAINT c CHECK (a > 0 AND b <> ',')\n);",
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("beside", ["a", "b"])
def test_a_column_comes_and_goes_in_any_layout(text: str, beside: str, database: DatabaseURL) -> None:

    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        for edited, columns in (
            (with_column(text, "t", beside, "n", "int"), {"a", "b", "n"}),
            (without_items(text, "t", beside, {"c"}), {"a", "b"} - {beside}),
        ):
            connection.execute("DROP TABLE IF EXISTS t")
            connection.execute(edited.encode())
            rows = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0"
            ).fetchall()
            assert {row[0] for row in rows} == columns


def test_a_statement_goes_with_the_comments_directly_above_it() -> None:
    text = "-- the head\n\nCREATE TABLE t (a int);\n\n-- about i\n-- more\nCREATE INDEX i ON t (a);\n\nSELECT 1;\n"
    assert without_statements(text, lambda statement: " i " in statement.text) == (
        "-- the head\n\nCREATE TABLE t (a int);\n\nSELECT 1;\n"
    )
