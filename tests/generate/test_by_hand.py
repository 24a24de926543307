"""verify, push, and the drift of a live database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.adopt.baseline import baseline
from pipeline.deploy import apply
from pipeline.deploy.checkout import deploy, local_checkout
from pipeline.deploy.rolling_back import rollback
from pipeline.errors import InvalidPlan, Refused, UsageError
from pipeline.generate.drift import Comparison, Drift, compare
from pipeline.generate.entry import migrate_by_name
from pipeline.generate.generating import generate_empty
from pipeline.generate.proposals import Wishes
from pipeline.generate.pushing import push
from pipeline.generate.verifying import verify
from pipeline.migrations import read_folder
from services import OWNER
from verbs.diff import show_comparison

if TYPE_CHECKING:
    from pathlib import Path

    from tests.generate.conftest import Checkout
    from tests.support.server import PostgresServer

COLUMN = '    "metaJson"   jsonb,\n    "pinned"     boolean,\n'


def with_pinned(checkout: Checkout) -> Path:
    """A schema with a column more, and an empty draft for it."""
    checkout.edit(checkout.workbench.schema.read_text().replace('    "metaJson"   jsonb,\n', COLUMN))
    (path,) = generate_empty("pinned", checkout.workbench)
    return path


def finish(path: Path, forward: str, backward: str) -> None:
    for file, sql in ((path, forward), (path.with_name(f"{path.stem}.rollback.sql"), backward)):
        file.write_text(f"{file.read_text()}{sql}\n")


ADD, DROP = 'ALTER TABLE "Message" ADD COLUMN "pinned" boolean;', 'ALTER TABLE "Message" DROP COLUMN "pinned";'


def test_a_draft_that_is_finished_is_proven_and_becomes_a_migration(checkout: Checkout) -> None:
    path = with_pinned(checkout)
    finish(path, ADD, DROP)
    verified = verify(checkout.workbench)
    assert verified.were_drafts == verified.proven == ("0007_pinned",)
    assert path.read_text() == f"-- Pinned\n-- depends: 0006_what_both_clients_can_read_validate\n\n{ADD}\n"
    apply(checkout.local, read_folder(checkout.workbench.migrations))


@pytest.mark.parametrize(
    ("forward", "backward", "said"),
    [
        ("", "", "no statement"),
        ('ALTER TABLE "Message" ADD COLUMN "pinned" text;', DROP, "changed: table Message"),
        (ADD, "SELECT 1;", "rollback of 0007_pinned does not lead back"),
        (ADD, "DROP TABLE nothing;", "does not exist"),
        (f'{ADD} REVOKE SELECT ON "Message" FROM server;', DROP, "grants are not what they were"),
    ],
)
def test_a_draft_that_is_not_right_stays_one(checkout: Checkout, forward: str, backward: str, said: str) -> None:
    path = with_pinned(checkout)
    finish(path, forward, backward)
    with pytest.raises(InvalidPlan, match=said):
        verify(checkout.workbench)
    assert "-- pipeline: draft" in path.read_text()


def test_without_a_draft_the_last_migration_is_proven(checkout: Checkout) -> None:
    assert verify(checkout.workbench).proven == ("0006_what_both_clients_can_read_validate",)
    assert verify(checkout.workbench, ["0005"]).proven == (
        "0005_what_both_clients_can_read",
        "0006_what_both_clients_can_read_validate",
    )
    with pytest.raises(UsageError, match="no migration 0009"):
        verify(checkout.workbench, ["0009"])


def test_push_makes_the_local_database_what_the_schema_says(checkout: Checkout) -> None:
    checkout.edit(checkout.workbench.schema.read_text().replace('    "metaJson"   jsonb,\n', COLUMN))
    checkout.append('CREATE TABLE "Tag" ("id" uuid PRIMARY KEY); CREATE INDEX "x" ON "Message" ("model");')
    names = checkout.names()
    assert any("pinned" in sql for sql in push(checkout.workbench).statements)
    assert push(checkout.workbench).statements == ()
    assert checkout.names() == names
    assert checkout.rows("SELECT has_table_privilege('server', '\"Tag\"', 'INSERT')") == [(True,)]


def test_what_was_pushed_is_recorded_when_its_migration_is_written_and_not_run_again(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", checkout.local.reveal())
    checkout.append('CREATE TABLE "Tag" ("id" uuid PRIMARY KEY);')
    push(checkout.workbench)
    local = local_checkout(checkout.root, "migrate")
    made = migrate_by_name(local, "add_tag", Wishes())
    assert (made.recorded, made.report) == (("0007_add_tag",), None)
    assert deploy(local).already == 7
    assert compare(checkout.local, checkout.workbench).drift == ()
    rollback(checkout.local, checkout.folder, to="0006")
    assert checkout.rows("SELECT to_regclass('\"Tag\"')") == [(None,)]


def test_what_was_pushed_and_changed_again_is_told_and_the_proven_file_is_no_draft(
    checkout: Checkout, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", checkout.local.reveal())
    schema = checkout.workbench.schema.read_text()
    checkout.append('CREATE TABLE "Tag" ("id" uuid PRIMARY KEY);')
    push(checkout.workbench)
    checkout.edit(f'{schema}\nCREATE TABLE "Tag" ("id" uuid PRIMARY KEY, "name" text);\n')
    local = local_checkout(checkout.root, "migrate")
    with pytest.raises(InvalidPlan, match="not what its migrations build") as told:
        migrate_by_name(local, "add_tag", Wishes())
    assert "./inv baseline --env local --through 0007" in told.value.remedy
    assert "draft" not in (checkout.workbench.migrations / "0007_add_tag.sql").read_text()
    push(checkout.workbench)
    scratch = server.create_database()
    recorded = baseline(checkout.local, checkout.folder, through="0007", scratch=scratch).recorded
    server.drop_database(scratch)
    assert recorded == ("0007_add_tag",)
    assert deploy(local).already == 7


def test_a_dry_run_of_push_gives_the_statements_and_runs_none(checkout: Checkout) -> None:
    checkout.append('CREATE TABLE "Tag" ("id" uuid PRIMARY KEY);')
    told = push(checkout.workbench, dry_run=True).statements
    assert checkout.rows("SELECT to_regclass('\"Tag\"')") == [(None,)]
    assert push(checkout.workbench).statements == told


def test_push_loses_nothing_without_leave(checkout: Checkout) -> None:
    schema = checkout.workbench.schema.read_text()
    checkout.edit(schema.replace('    "provider"   text,\n', ""))
    with pytest.raises(Refused, match=r'column "Message"."provider"'):
        push(checkout.workbench)
    assert push(checkout.workbench, allow_destructive=True).losses == ('column "Message"."provider" with its contents',)


def test_a_database_as_its_migrations_left_it_has_no_drift(checkout: Checkout) -> None:
    comparison = compare(checkout.local, checkout.workbench)
    assert (comparison.applied, comparison.pending, comparison.drift) == (6, (), ())


def test_what_the_owner_has_set_for_itself_is_no_drift(checkout: Checkout) -> None:
    with psycopg.connect(checkout.local.reveal(), autocommit=True) as connection:
        for setting in (
            "quote_all_identifiers = on",
            "IntervalStyle = iso_8601",
            "DateStyle = German",
            "TimeZone = Japan",
        ):
            connection.execute(f"ALTER ROLE {OWNER} IN DATABASE {checkout.local.database} SET {setting}".encode())
    assert compare(checkout.local, checkout.workbench).drift == ()


def test_drift_is_told_object_by_object_and_a_pending_migration_is_none(checkout: Checkout) -> None:
    (checkout.workbench.migrations / "0007_pinned.sql").write_text(f"-- Pinned\n\n{ADD}\n")
    with psycopg.connect(checkout.local.reveal()) as connection:
        connection.execute(
            'DROP INDEX "Message_threadId_createdAt_idx"; CREATE TABLE by_hand (id int); '
            'ALTER TABLE "User" ALTER "name" SET NOT NULL; GRANT DELETE ON "ScopeConsent" TO server;'
        )
    comparison = compare(checkout.local, checkout.workbench)
    verdicts = {(each.verdict, each.kind) for each in comparison.drift}
    assert comparison.pending == ("0007_pinned",)
    assert {("missing", "index"), ("unexpected", "table"), ("changed", "column")} <= verdicts
    assert any(
        ("ScopeConsent" in each.name and each.verdict == "changed") or each.kind == "privilege"
        for each in comparison.drift
    )


def test_what_takes_the_roles_limits_away_is_drift(checkout: Checkout, server: PostgresServer) -> None:
    """What no grant on an object of the schema shows. Roles belong to the whole server, so it is taken back."""
    name = checkout.local.database
    with psycopg.connect(server.as_superuser(checkout.local).reveal(), autocommit=True) as superuser:
        superuser.execute(
            f"GRANT server TO ai_service; ALTER ROLE ai_service CONNECTION LIMIT 7; GRANT USAGE ON SCHEMA migration_history "
            f"TO server; ALTER ROLE ai_service SET work_mem = '1GB'; ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo'; "
            f"ALTER DATABASE {name} SET search_path = mine".encode()
        )
        try:
            drift = compare(checkout.local, checkout.workbench).drift
        finally:
            superuser.execute(
                "REVOKE server FROM ai_service; ALTER ROLE ai_service CONNECTION LIMIT -1; "
                "ALTER ROLE ai_service RESET work_mem"
            )
    assert {(each.kind, each.name, each.expected, each.found) for each in drift} == {
        ("role", "ai_service: member of server", None, "granted by postgres"),
        ("role", "ai_service: CONNECTION LIMIT", None, "7"),
        ("role", "ai_service: setting work_mem", None, "1GB"),
        ("role", "server: rights on SCHEMA migration_history", None, "USAGE"),
        ("setting", "database: timezone", None, "Asia/Tokyo"),
        ("setting", "database: search_path", None, "mine"),
    }


def test_a_setting_of_the_database_that_a_migration_made_is_no_drift(checkout: Checkout) -> None:
    (checkout.workbench.migrations / "0007_utc.sql").write_text(
        "-- UTC for everybody\n\nDO $$ BEGIN EXECUTE format("
        "'ALTER DATABASE %I SET TimeZone = %L', current_database(), 'UTC'); END $$;\n"
    )
    apply(checkout.local, read_folder(checkout.workbench.migrations))
    assert compare(checkout.local, checkout.workbench).drift == ()


def test_a_migration_that_only_the_database_has_stops_the_comparison(checkout: Checkout) -> None:
    for path in checkout.workbench.migrations.glob("0006*"):
        path.unlink()
    with pytest.raises(InvalidPlan, match="0006_what_both_clients_can_read_validate"):
        compare(checkout.local, checkout.workbench)


def test_the_value_of_a_setting_that_should_not_be_there_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show_comparison(Comparison("h/d", 6, (), (Drift("setting", "database: search_path", None, "mine"),)))
    assert [line.split() for line in capsys.readouterr().out.splitlines()[:3]] == [
        ["unexpected", "setting", "database:", "search_path"],
        ["expected:", "none"],
        ["found:", "mine"],
    ]
