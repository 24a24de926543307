"""A file that runs batch by batch: what its head says, where the range goes, and what is refused with its line."""

from __future__ import annotations

import pytest

from pipeline.errors import MigrationFileError
from pipeline.migrations.script import Kind, Script, read_script

HEAD = '-- Names\n-- pipeline: batched="Message" key="id"\n-- remaining: SELECT count(*) FROM "Message" WHERE a IS NULL\n\n'
UPDATE = 'UPDATE "Message" SET a = 1 WHERE a IS NULL AND /* batch */ true;\n'


def read(text: str) -> Script:
    return read_script(text.encode(), "migrations/0008_names.sql")


def test_the_head_names_table_key_and_what_is_left() -> None:
    script = read(HEAD + UPDATE)
    assert (script.kind, script.title) == (Kind.BATCHED, "Names")
    batched = script.batched
    assert batched is not None
    assert (batched.table, batched.key, batched.line) == ('"Message"', ('"id"',), 5)
    assert batched.remaining == 'SELECT count(*) FROM "Message" WHERE a IS NULL'
    assert batched.statement("id > 5") == 'UPDATE "Message" SET a = 1 WHERE a IS NULL AND (id > 5)'
    assert batched.columns() == ('"Message"."id"',)


@pytest.mark.parametrize(
    ("head", "table", "key"),
    [
        ('batched="Message" key="threadId","createdAt"', '"Message"', ('"threadId"', '"createdAt"')),
        ("batched=message key=thread_id, id", "message", ("thread_id", "id")),
        ('batched=billing."Invoice lines" key="no ""1"""', 'billing."Invoice lines"', ('"no ""1"""',)),
    ],
)
def test_names_are_those_of_sql(head: str, table: str, key: tuple[str, ...]) -> None:
    batched = read(HEAD.replace('batched="Message" key="id"', head) + UPDATE).batched
    assert batched is not None
    assert (batched.table, batched.key) == (table, key)


def test_the_marker_says_what_the_statement_calls_the_table() -> None:
    batched = read(HEAD + "DELETE FROM \"Message\" m WHERE '/* batch */ true' = m.a AND /* batch m */ TRUE").batched
    assert batched is not None
    assert batched.columns() == ('m."id"',)
    assert batched.statement("x") == "DELETE FROM \"Message\" m WHERE '/* batch */ true' = m.a AND (x)"


def test_what_is_left_may_go_on_in_further_lines() -> None:
    batched = read(HEAD.replace(" WHERE a IS NULL", "\n-- remaining: WHERE a IS NULL;") + UPDATE).batched
    assert batched is not None
    assert batched.remaining == 'SELECT count(*) FROM "Message"\nWHERE a IS NULL'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (HEAD + UPDATE.replace("/* batch */ ", ""), 5, "the marker of the batch's range is missing"),
        (HEAD + UPDATE.replace(";", " OR /* batch */ true;"), 5, "2 markers of the batch's range"),
        (HEAD + UPDATE.replace("true", "false"), 5, "without `true` behind it"),
        (HEAD + UPDATE + UPDATE, 6, "2 statements in a file with `batched=`"),
        (HEAD + "SELECT /* batch */ true;", 5, "holds one UPDATE, DELETE or INSERT"),
        (HEAD + UPDATE.replace("1", "$1"), 5, "$1 has no value here"),
        (HEAD.replace(' key="id"', "") + UPDATE, 2, "without `key=` behind it"),
        (HEAD.replace("-- remaining: ", "-- rest ") + UPDATE, 2, "without `-- remaining:`"),
        (HEAD.replace("SELECT count", "DELETE count") + UPDATE, 3, "`-- remaining:` is one SELECT"),
        (HEAD.replace("a IS NULL", "a = 'x") + UPDATE, 3, "string in `-- remaining:` that is never closed"),
        (HEAD.replace("-- pipeline:", "-- unread:") + UPDATE, 3, "`-- remaining:` without `batched=`"),
        ("-- transactional: false\n" + HEAD + UPDATE, 3, "with `-- transactional: false`"),
        ("-- pipeline: lock-timeout=1s\n" + HEAD + UPDATE, 3, "lock-timeout in a file with `batched=`"),
        (HEAD.replace('key="id"', 'key="id" key="x"') + UPDATE, 2, "unknown key 'key'"),
        (HEAD + UPDATE.replace("UPDATE", '-- remaining: SELECT 1\nUPDATE "A" SET b = 1; UPDATE'), 6, "2 statements"),
    ],
)
def test_a_fault_is_named_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(MigrationFileError) as fault:
        read(text)
    assert fault.value.where == f"migrations/0008_names.sql:{line}"
    assert message in fault.value.message
