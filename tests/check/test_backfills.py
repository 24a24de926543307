"""A backfill is tried on local rows before it is merged: does it end, and does it change nothing when it runs again?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.check.rollbacks import unproven_rollbacks
from pipeline.deploy import apply
from tests.support.sample import Database

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer

UPDATE = 'UPDATE note SET "newText" = text WHERE "newText" IS DISTINCT FROM text AND /* batch */ true;'
LEFT = 'SELECT count(*) FROM note WHERE "newText" IS DISTINCT FROM text'


def head(key: str = "id", left: str = LEFT) -> str:
    return f"-- Texts\n-- pipeline: batched=note key={key}\n-- remaining: {left}\n"


@pytest.fixture
def local(server: PostgresServer, folder: FolderBuilder) -> DatabaseURL:
    """A local database on which the files before and the backfill are applied, and triggers do its work since."""
    folder.write(
        "0001_notes",
        "CREATE TABLE author (id int PRIMARY KEY);"
        "CREATE TABLE note (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, by int NOT NULL REFERENCES author, text text);",
        "DROP TABLE note; DROP TABLE author;",
    )
    folder.write(
        "0002_new_text",
        'ALTER TABLE note ADD COLUMN "newText" text;'
        'CREATE FUNCTION keep_both() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."newText" := NEW.text; RETURN NEW; END $$;'
        "CREATE TRIGGER keep_both BEFORE INSERT OR UPDATE ON note FOR EACH ROW EXECUTE FUNCTION keep_both();",
        'DROP TRIGGER keep_both ON note; DROP FUNCTION keep_both(); ALTER TABLE note DROP COLUMN "newText";',
    )
    made = server.create_database()
    apply(made, folder.read())
    Database(made).run(
        "INSERT INTO author VALUES (1); INSERT INTO note (by, text) SELECT 1, NULLIF('text ' || n % 5, 'text 3') "
        "FROM generate_series(1, 50) n"
    )
    return made


def messages(database: DatabaseURL, folder: FolderBuilder, local: DatabaseURL | None, text: str) -> list[str]:
    folder.write("0003_texts", text, "SELECT 1;")
    found = unproven_rollbacks(database, folder.read().files, local)
    assert {finding.rule for finding in found} <= {"backfill"}
    assert {finding.line for finding in found} <= {4}
    return [finding.message for finding in found]


def test_one_that_ends_is_proven_and_leaves_nothing(
    database: DatabaseURL, folder: FolderBuilder, local: DatabaseURL
) -> None:
    assert messages(database, folder, local, head() + UPDATE) == []
    assert Database(database).value("SELECT count(*) FROM note") == 0
    assert Database(database).value("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            head() + UPDATE.replace('"newText" IS DISTINCT FROM text AND', ""),
            "of 50 rows that it changes on local rows it changes 50 once more",
        ),
        # PostgreSQL says: NULL = NULL is not true, so rows without a text are never done
        (
            head(left='SELECT count(*) FROM note WHERE ("newText" = text) IS NOT TRUE') + UPDATE,
            "`-- remaining:` counts 10 rows when all are done",
        ),
        (head(key="by") + UPDATE, "by is no key of note"),
        (head().replace("=note", "=notes") + UPDATE, 'the table of `batched=`: relation "notes" does not exist'),
        (head(left="SELECT 'many' FROM author") + UPDATE, "gives no single number"),
        (head(left="SELECT count(*) FROM nowhere") + UPDATE, 'relation "nowhere" does not exist'),
        (head() + UPDATE.replace("AND /*", "OR /*"), "does not find its rows by the key's index note_pkey"),
    ],
)
def test_what_would_not_end_is_found(
    database: DatabaseURL, folder: FolderBuilder, local: DatabaseURL, text: str, message: str
) -> None:
    assert message in "\n".join(messages(database, folder, local, text))


def test_without_local_rows_it_is_asked_what_an_empty_table_can_tell(
    database: DatabaseURL, folder: FolderBuilder, local: DatabaseURL
) -> None:
    Database(local).run("TRUNCATE note")
    assert messages(database, folder, local, head() + UPDATE.replace('"newText" IS DISTINCT FROM text AND', "")) == []


@pytest.mark.parametrize(
    ("left", "statement", "message"),
    [
        (
            "SELECT count(*) FROM note WHERE text IS NULL",
            "DELETE FROM note WHERE text IS NULL AND /* batch */ true;",
            "",
        ),
        (
            "SELECT count(*) FROM note n WHERE NOT EXISTS (SELECT FROM copy c WHERE c.id = n.id)",
            (
                "INSERT INTO copy SELECT n.id FROM note n "
                "WHERE NOT EXISTS (SELECT FROM copy c WHERE c.id = n.id) AND /* batch n */ true;"
            ),
            "",
        ),
        (
            "SELECT count(*) FROM note n WHERE NOT EXISTS (SELECT FROM copy c WHERE c.id = n.id)",
            "INSERT INTO copy SELECT n.id FROM note n WHERE /* batch n */ true;",
            "of 50 rows that it changes on local rows it changes 50 once more",
        ),
    ],
    ids=["deleted", "copied", "copied again and again"],
)
def test_rows_that_go_or_are_copied_are_proven_too(
    database: DatabaseURL, folder: FolderBuilder, local: DatabaseURL, left: str, statement: str, message: str
) -> None:
    folder.write("0002a_copy", "CREATE TABLE copy (id int);", "DROP TABLE copy;")
    Database(local).run("CREATE TABLE copy (id int)")
    found = messages(database, folder, local, head(left=left) + statement)
    assert [text[: len(message)] for text in found] == ([message] if message else [])
