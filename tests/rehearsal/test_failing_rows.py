"""What stops a file is counted and found, and no value of a row or of the file is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.errors import MigrationFailed
from pipeline.rehearsal.failing_rows import without_literals
from pipeline.rehearsal.measuring import measure
from pipeline.rehearsal.values import FailingRows
from tests.rehearsal.production import CANARY, MESSAGES, rows

if TYPE_CHECKING:
    from tests.rehearsal.production import Copies

MESSAGE, USER = 'public."Message"', 'public."User"'
NUMBER = 73829104  # a literal of the files, which nobody is told either

# Of a message's name each thousandth is NULL, and each hundredth the canary, from the first on.
NULLS, CANARIES = MESSAGES // 1000, MESSAGES // 100
VALIDATE = 'ALTER TABLE "Message" VALIDATE CONSTRAINT fits;'
DEFERRED = 'ALTER TABLE "Message" ADD COLUMN part text REFERENCES "User" (id) DEFERRABLE INITIALLY DEFERRED'
NOT_AN_INTEGER = f"SELECT * FROM {MESSAGE} AS t WHERE NOT pg_input_is_valid(\"name\"::text, 'integer')"
FAULTS: dict[str, tuple[str, FailingRows]] = {
    "NOT NULL": (
        'ALTER TABLE "Message" ALTER name SET NOT NULL;',
        FailingRows("not null", MESSAGE, "name", "", NULLS, f'SELECT * FROM {MESSAGE} AS t WHERE "name" IS NULL'),
    ),
    "NOT NULL of a new column": (
        'ALTER TABLE "Message" ADD COLUMN part int NOT NULL;',
        FailingRows("not null", MESSAGE, "part", "", MESSAGES, f"SELECT * FROM {MESSAGE} AS t"),
    ),
    "a unique index": (
        f"CREATE UNIQUE INDEX once ON \"Message\" (name) WHERE name <> '{NUMBER}';",
        FailingRows(
            "unique",
            MESSAGE,
            "",
            "once",
            CANARIES,
            f"SELECT name, count(*) FROM {MESSAGE} AS t WHERE (name <> $1::text) AND name IS NOT NULL "
            "GROUP BY name HAVING count(*) > 1",
        ),
    ),
    "a unique constraint whose nulls are alike": (
        'ALTER TABLE "Message" ADD CONSTRAINT once UNIQUE NULLS NOT DISTINCT (name, "toolCallId");',
        FailingRows(
            "unique",
            MESSAGE,
            "",
            "once",
            CANARIES + NULLS,
            f'SELECT name, "toolCallId", count(*) FROM {MESSAGE} AS t GROUP BY name, "toolCallId" HAVING count(*) > 1',
        ),
    ),
    "a unique index outside a transaction": (
        f"-- transactional: false\nCREATE UNIQUE INDEX CONCURRENTLY once ON \"Message\" ((coalesce(name, '{NUMBER}')));",
        FailingRows(
            "unique",
            MESSAGE,
            "",
            "once",
            CANARIES + NULLS,
            f"SELECT (COALESCE(name, $1::text)), count(*) FROM {MESSAGE} AS t WHERE (COALESCE(name, $2::text)) IS NOT NULL "
            "GROUP BY (COALESCE(name, $3::text)) HAVING count(*) > 1",
        ),
    ),
    "a foreign key": (
        'ALTER TABLE "Message" ADD CONSTRAINT of_whom FOREIGN KEY (name) REFERENCES "User" (id);',
        FailingRows(
            "foreign key",
            MESSAGE,
            "",
            "of_whom",
            MESSAGES - NULLS,
            f"SELECT * FROM {MESSAGE} AS t WHERE t.name IS NOT NULL AND NOT EXISTS (SELECT FROM {USER} AS r WHERE r.id = t.name)",
        ),
    ),
    "a check": (
        f"ALTER TABLE \"Message\" ADD CONSTRAINT fits CHECK (name <> '{CANARY}' AND length(name) < {NUMBER});",
        FailingRows(
            "check",
            MESSAGE,
            "",
            "fits",
            CANARIES,
            f"SELECT * FROM {MESSAGE} AS t WHERE (((name <> $1::text) AND (length(name) < $2))) IS FALSE",
        ),
    ),
    "a check that is validated later": (
        f"ALTER TABLE \"Message\" ADD CONSTRAINT fits CHECK (name <> '{CANARY}') NOT VALID;\n{VALIDATE}",
        FailingRows(
            "check", MESSAGE, "", "fits", CANARIES, f"SELECT * FROM {MESSAGE} AS t WHERE ((name <> $1::text)) IS FALSE"
        ),
    ),
    "a check of a new column": (
        f'ALTER TABLE "Message" ADD COLUMN part int DEFAULT {NUMBER} CONSTRAINT fits CHECK (part < 3);',
        FailingRows("check", MESSAGE, "", "fits", MESSAGES, f"SELECT * FROM {MESSAGE} AS t"),
    ),
    "a cast": (
        'ALTER TABLE "Message" ALTER COLUMN name TYPE integer USING name::integer;',
        FailingRows(
            "type",
            MESSAGE,
            "name",
            "",
            CANARIES,
            NOT_AN_INTEGER,
        ),
    ),
    "a shorter type": (
        'ALTER TABLE "Message" ADD COLUMN a int, ALTER name SET DATA TYPE varchar(8);',
        FailingRows(
            "type",
            MESSAGE,
            "name",
            "",
            CANARIES,
            f"SELECT * FROM {MESSAGE} AS t WHERE NOT pg_input_is_valid(\"name\"::text, 'character varying(8)')",
        ),
    ),
    "a cast of an expression": (
        f"ALTER TABLE \"Message\" ALTER name TYPE integer USING replace(name, '{NUMBER}', '')::integer + {NUMBER};",
        FailingRows("type", MESSAGE, "name", "", CANARIES, NOT_AN_INTEGER),
    ),
    "an expression that fails on other rows than its type": (  # the names of 100 to 999, but for each hundredth
        'ALTER TABLE "Message" ALTER name TYPE integer USING 1 / (length(name) - 3);',
        FailingRows("type", MESSAGE, "name", "", 891, ""),
    ),
    "an update to NULL": (
        'UPDATE "Message" SET content = NULL WHERE name IS NULL;',
        FailingRows(
            "not null",
            MESSAGE,
            "content",
            "",
            NULLS,
            f'SELECT * FROM {MESSAGE} AS t WHERE "content" IS NULL',
            after=True,
        ),
    ),
    "an update against a check": (
        f"UPDATE \"Message\" SET role = '{CANARY}' WHERE name IS NULL;",
        FailingRows(
            "check",
            MESSAGE,
            "",
            "Message_role_check",
            NULLS,
            f"SELECT * FROM {MESSAGE} AS t WHERE ((role = ANY (ARRAY[$1::text, $2::text, $3::text, $4::text]))) IS FALSE",
            after=True,
        ),
    ),
    "a deferred foreign key": (
        f"{DEFERRED};\nUPDATE \"Message\" SET part = '{CANARY}' WHERE name IS NULL;",
        FailingRows(
            "foreign key",
            MESSAGE,
            "",
            "Message_part_fkey",
            NULLS,
            f"SELECT * FROM {MESSAGE} AS t WHERE t.part IS NOT NULL AND NOT EXISTS (SELECT FROM {USER} AS r WHERE r.id = t.part)",
            after=True,
        ),
    ),
    "a cast of what is inserted": (
        f"CREATE TABLE counted (n int);\nINSERT INTO counted SELECT content::int FROM \"Message\" WHERE content <> '{NUMBER}';",
        FailingRows("type", ""),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_that_stop_a_file_are_counted_and_found(copies: Copies, fault: str) -> None:
    sql, expected = FAULTS[fault]
    copy, twin = copies.copy(), copies.copy()
    folder = copies.folder('ALTER TABLE "User" ADD COLUMN before_it int;', f"-- Why\n{sql}", "SELECT 1;")

    measured = measure(copy, folder)

    assert [file.id for file in measured.files] == ["0900_pending"]
    assert measured.failure is not None
    assert measured.failure.id == "0901_pending"
    assert measured.failure.line == (None if fault == "a deferred foreign key" else sql.count("\n") + 2)
    assert measured.failure.failing == expected
    assert CANARY not in repr(measured)
    assert str(NUMBER) not in repr(measured)
    if expected.rows and expected.query and "$" not in expected.query and not expected.after:
        found = rows(copy, expected.query)
        assert expected.rows == (sum(row[-1] for row in found) if expected.rule == "unique" else len(found))
    with pytest.raises(MigrationFailed):  # the deploy stops at the same file, and leaves the same
        apply(twin, folder)
    state = "SELECT migration_id FROM migration_history._yoyo_migration ORDER BY 1"
    assert rows(copy, state) == rows(twin, state)
    assert rows(copy, 'SELECT count(*) FROM "Message"') == [(MESSAGES,)]


def test_a_fault_that_is_not_of_the_data_is_named_without_the_servers_words(copies: Copies) -> None:
    failure = copies.measure(f"SELECT 1;\nINSERT INTO nowhere VALUES ('{CANARY}');").failure
    assert failure is not None
    assert (failure.line, failure.sqlstate, failure.condition, failure.failing) == (2, "42P01", "undefined_table", None)
    assert CANARY not in repr(failure)


def test_the_one_that_fails_of_many_in_a_row_is_named(copies: Copies) -> None:
    updates = [f"UPDATE \"User\" SET email = nullif('{CANARY}', '{CANARY}') WHERE id = 'u{n}';" for n in range(1, 31)]
    updates[17] = "UPDATE \"User\" SET \"createdAt\" = NULL WHERE id IN ('u1', 'u2');"
    failure = copies.measure("-- Many\n" + "\n".join(updates)).failure
    assert failure is not None
    assert failure.line == 19
    query = f'SELECT * FROM {USER} AS t WHERE "createdAt" IS NULL'
    assert failure.failing == FailingRows("not null", USER, "createdAt", "", 2, query, after=True)


def test_a_thousand_canaries_appear_nowhere(copies: Copies) -> None:
    canaries = [f"canary-{number:04}-x" for number in range(1000)]
    listed = ", ".join(f"'{each}'" for each in canaries)
    copy = copies.copy()
    with psycopg.connect(copy.reveal(), autocommit=True) as connection:
        connection.execute(f'UPDATE "User" SET name = (ARRAY[{listed}])[substr(id, 2)::int]'.encode())
    text = (
        f"ALTER TABLE \"User\" ADD COLUMN note text DEFAULT '{canaries[0]}';\n"
        f'ALTER TABLE "User" ADD CONSTRAINT known CHECK (name NOT IN ({listed}));'
    )
    measured = measure(copy, copies.folder(text))
    assert measured.failure is not None
    assert measured.failure.failing is not None
    assert measured.failure.failing.rows == 1000
    assert [each for each in canaries if each in repr(measured)] == []


def test_literals_of_every_kind_are_replaced() -> None:
    text = "a = 'x' || E'\\'y' || $$z$$ /* w */ AND b > 1.5e3 AND c = B'01' AND \"d1\" IS TRUE"
    assert without_literals(text) == 'a = $1 || $2 || $3  AND b > $4 AND c = $5 AND "d1" IS TRUE'
