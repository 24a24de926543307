"""What a statement's text says of its SET clauses, and what a plan's values say of columns."""

from __future__ import annotations

import pytest

from pipeline.rehearsal.compatibility.assigning import assignments
from pipeline.rehearsal.compatibility.plans import FOUND, ORDERED, WHOLE, Insert, is_null, parameter, read_plan

T = ("public", "t")


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1", []),
        ("UPDATE t SET a = $1", [("t", {"a": "$1"})]),
        (
            'UPDATE ONLY "public"."My T" AS x SET "A b" = $1, c = now() WHERE c = $2',
            [("My T", {"A b": "$1", "c": "now ( )"})],
        ),
        (
            "UPDATE t SET a = (SELECT b FROM u WHERE c = 1), d = 2 FROM u",
            [("t", {"a": "( SELECT b FROM u WHERE c = 1 )", "d": "2"})],
        ),
        ("UPDATE t SET (a, b) = ROW ($1, $2) RETURNING a", [("t", {"a": "ROW ( $1 , $2 )", "b": "ROW ( $1 , $2 )"})]),
        (
            "INSERT INTO s.t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = excluded.a",
            [("t", {"a": "excluded . a"})],
        ),
        ("WITH x AS (UPDATE t SET a = 1 RETURNING a) INSERT INTO u SELECT a FROM x", [("t", {"a": "1"})]),
        ("WITH x AS (UPDATE t SET a = 1) UPDATE u SET b = 2", [("t", {"a": "1"}), ("u", {"b": "2"})]),
        ("SELECT a FROM t FOR NO KEY UPDATE", []),
        ("SELECT 'UPDATE t SET a = 1', \"UPDATE\" FROM t -- UPDATE t SET a = 1", []),
        ("UPDATE t SET a[1] = $1", [("t", {"a": "$1"})]),
    ],
)
def test_what_columns_are_given_is_read(sql: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(table, dict(values)) for table, values in assignments(sql)] == found


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("$1", 1),
        ("($12)::text", 12),
        ("($2)::character varying(80)", 2),
        ("($2)::numeric(10,2)", 2),
        ("($3)::text[]", 3),
        ("NULL::text", None),
        ("lower($1)", None),
        ("($1 + $2)", None),
        ("'$1'::text", None),
        ("COALESCE($1, 'x'::text)", None),
    ],
)
def test_a_value_that_is_a_parameter_is_known(value: str, number: int | None) -> None:
    assert parameter(value) == number


def test_a_value_that_is_always_null_is_known() -> None:
    assert [is_null(each) for each in ("NULL::text", "(NULL::text)::citext", "'NULL::text'::text", "$1")] == [
        True,
        True,
        False,
        False,
    ]


def test_the_sequences_of_defaults_are_known_and_not_those_of_identities() -> None:
    values = ("nextval('t_id_seq'::regclass)", "nextval('\"T''s\"'::regclass)", "nextval('t_n_seq')")
    assert Insert(T, values).sequences == {"t_id_seq", '"T\'s"'}


@pytest.mark.parametrize(
    ("node", "how"),
    [
        ({"Node Type": "Seq Scan"}, WHOLE),
        ({"Node Type": "Index Scan", "Index Name": "i"}, ORDERED),
        ({"Node Type": "Index Only Scan", "Index Name": "i", "Index Cond": "(a = $1)"}, FOUND),
        ({"Node Type": "Index Scan", "Index Name": "i", "Order By": "(a <-> $1)"}, FOUND),
        ({"Node Type": "Tid Scan"}, FOUND),
        ({"Node Type": "Bitmap Heap Scan", "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "i"}]}, FOUND),
    ],
)
def test_how_a_table_is_read_is_its_worst_reading(node: dict[str, object], how: int) -> None:
    scan = {"Schema": "public", "Relation Name": "t", **node}
    found = {"Node Type": "Tid Scan", "Schema": "public", "Relation Name": "t"}
    work = read_plan([{"Plan": {"Node Type": "Append", "Plans": [found, scan]}}])
    assert work.reads[T].how == how
