"""The small functions underneath, as tables of input and expected output."""

from __future__ import annotations

import pytest

from pipeline.generate.new_migrations import without_mark
from pipeline.generate.style import spelled
from pipeline.lint.column_types import casts_by_itself, rewrites, widens
from pipeline.schema.dump import Key, deviations, lost_grants, parse_dump


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('ALTER TABLE "public"."User" ADD COLUMN "a" text', 'ALTER TABLE "User" ADD COLUMN "a" text'),
        ('ALTER TABLE "billing"."User" ADD COLUMN "a" text', 'ALTER TABLE "billing"."User" ADD COLUMN "a" text'),
        ('CREATE INDEX i ON public.t USING btree (a, "B")', 'CREATE INDEX i ON t ("a", "B")'),
        ("CREATE INDEX i ON public.t USING gin (a)", "CREATE INDEX i ON t USING gin (a)"),
        ("CREATE INDEX i ON public.t USING btree (lower(a))", "CREATE INDEX i ON t (lower(a))"),
        ('ALTER TABLE "t" ADD COLUMN "a" timestamp(3) with time zone', 'ALTER TABLE "t" ADD COLUMN "a" timestamptz(3)'),
        ('ALTER TABLE "t" ADD COLUMN "a" character varying(9)', 'ALTER TABLE "t" ADD COLUMN "a" varchar(9)'),
        ("SELECT 'public.x character varying'", "SELECT 'public.x character varying'"),
        ("SELECT $$ public.x $$, public.x", "SELECT $$ public.x $$, x"),
        (
            'ALTER TABLE "t" ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES public."User"(id) ON UPDATE CASCADE ON DELETE CASCADE',
            'ALTER TABLE "t" ADD CONSTRAINT f FOREIGN KEY ("a") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE',
        ),
        (
            'CREATE TABLE "public"."t" ("id" integer NOT NULL, "price" real, CONSTRAINT "p" PRIMARY KEY (id))',
            'CREATE TABLE "t" (\n    "id"    integer NOT NULL,\n    "price" real,\n    CONSTRAINT "p" PRIMARY KEY ("id")\n)',
        ),
    ],
)
def test_sql_is_written_as_people_here_do(given: str, expected: str) -> None:
    assert spelled(given).replace("\n    ADD", " ADD") == expected


@pytest.mark.parametrize(
    ("old", "new", "is_wide", "by_itself", "is_free"),
    [
        ("integer", "bigint", True, True, False),
        ("bigint", "integer", False, True, False),
        ("character varying(10)", "character varying(20)", True, True, True),
        ("character varying(20)", "character varying(10)", False, True, False),
        ("character varying(20)", "text", True, True, True),
        ("text", "character varying(20)", False, True, False),
        ("text", "integer", False, False, False),
        ("integer", "text", True, True, False),
        ("numeric(8,2)", "numeric(10,2)", True, True, True),
        ("numeric(8,2)", "numeric(8,4)", False, True, False),
        ("numeric(8,2)", "numeric(12, 4)", True, True, False),
        ("numeric(8,2)", "numeric(12, 2)", True, True, True),
        ("numeric(8,2)", "numeric", True, True, True),
        ("timestamp(3) with time zone", "timestamp with time zone", True, True, True),
        ("timestamp with time zone", "timestamp(3) with time zone", False, True, False),
        ("timestamp with time zone", "date", False, True, False),
        ("json", "jsonb", False, False, False),
        ("text", "uuid", False, False, False),
    ],
)
def test_what_a_change_of_type_means(old: str, new: str, is_wide: bool, by_itself: bool, is_free: bool) -> None:
    assert (widens(old, new), casts_by_itself(old, new), not rewrites(old, new)) == (is_wide, by_itself, is_free)


DUMP = """--
-- Name: T; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."T" (
    {columns}
)
WITH ({options});


--
-- Name: TABLE "T"; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public."T" TO server;
"""


def test_the_order_of_columns_and_of_options_is_no_difference() -> None:
    one = parse_dump(DUMP.format(columns="a integer,\n    b text", options="fillfactor='70', x='1'"))
    other = parse_dump(DUMP.format(columns="b text,\n    a integer", options="x='1', fillfactor='70'"))
    assert deviations(one, other, grants=True) == []


def test_a_column_more_is_a_difference_that_names_it() -> None:
    one = parse_dump(DUMP.format(columns="a integer", options="x='1'"))
    other = parse_dump(DUMP.format(columns="a integer,\n    b text", options="x='1'"))
    (found,) = deviations(one, other, grants=False)
    assert (found.verdict, "+ b text" in str(found)) == ("changed", True)


def test_a_grant_is_lost_only_with_a_table_that_is_still_there() -> None:
    before = parse_dump(DUMP.format(columns="a integer", options="x='1'"))
    acl = Key("ACL", "public", 'TABLE "T"')
    after = {key: text for key, text in before.items() if key != acl}
    assert [lost.key for lost in lost_grants(before, after)] == [acl]
    assert lost_grants(before, {}) == []


def test_a_grant_on_a_function_or_a_column_is_lost_with_what_it_is_on() -> None:
    function, column = Key("ACL", "public", 'FUNCTION "add"(n integer)'), Key("ACL", "public", 'COLUMN "T".a')
    there = {Key("FUNCTION", "public", "add(integer)"): "x", Key("TABLE", "public", "T"): "x"}
    before = {**there, function: "GRANT", column: "GRANT"}
    assert {lost.key for lost in lost_grants(before, there)} == {function, column}


def test_taking_the_mark_off_leaves_the_rest() -> None:
    text = "-- Title\n-- pipeline: draft\n-- ! one\n-- ! two\n-- depends: 0001_a\n\nSELECT 1;\n"
    assert without_mark(text) == "-- Title\n-- depends: 0001_a\n\nSELECT 1;\n"
