"""What a deploy keeps before it destroys something, on the emulator; and that nothing else pays for it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.deploy.keeping import Keeper
from pipeline.deploy.observer import Observer
from pipeline.errors import DatabaseFailed, NeonFailed
from pipeline.migrations import read_folder
from pipeline.neon import NeonClient
from services import DATABASE, OWNER, PROJECT
from tests.deploy.test_round_trips import NOTHING_PENDING
from tests.neon.conftest import QUICK
from tests.rehearsal.rehearsed import Rehearsed
from tests.support.counting_proxy import CountingProxy
from tests.support.mortal_client import Killed, MortalClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.deploy import Report
    from tests.support.emulator import Emulator
    from tests.support.folders import FolderBuilder
    from tests.support.neon_cli import NeonCli
    from tests.support.sample import Database

DROP = 'ALTER TABLE "Message" DROP COLUMN "provider";'
REQUIRED = f"config:\n  {PROJECT}:rehearsal: required\n"


class Told(Observer):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Production(Rehearsed):
    """One whose stack asks for rehearsals and keeps points for three days."""

    def __post_init__(self) -> None:
        super().__post_init__()
        file = self.path / "Pulumi.prod.yaml"
        file.write_text(f"{file.read_text()}  {PROJECT}:keepPointsDays: '3'\n")
        self.deploy()

    def client(self) -> NeonClient:
        environment = self.emulator.environment
        return NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=QUICK)

    def run(self, told: Observer, changed: dict[str, int] | None = None) -> Report:
        keeper = Keeper(self.path, "prod", told, changed or {}, client=self.client)
        return apply(self.url, read_folder(self.path / "migrations"), observer=told, keep=keeper)

    def points(self) -> list[str]:
        return [name for name in self.names() if name.startswith("kept/")]


@pytest.fixture
def prod(tmp_path: Path, emulator: Emulator) -> Iterator[Production]:
    branch = {"name": "main", "role_name": OWNER, "database_name": DATABASE}
    made = Production(tmp_path, emulator, emulator.create_project(name=PROJECT, branch=branch))
    yield made
    emulator.admin.delete("/faults")
    emulator.delete_project(made.project_id)


@pytest.fixture
def told() -> Told:
    return Told()


def test_what_is_destroyed_is_in_a_branch_without_a_compute_that_neons_own_client_sees(
    prod: Production, told: Told, neon_cli: NeonCli
) -> None:
    with psycopg.connect(prod.url.reveal(), autocommit=True) as connection:
        connection.execute('INSERT INTO "Thread" DEFAULT VALUES')
        connection.execute(
            "INSERT INTO \"Message\" (\"threadId\", role, content, provider) SELECT id, 'ai', '', 'canary' FROM \"Thread\""
        )
    prod.write("CREATE TABLE note (id int);", DROP)
    report = prod.run(told)
    [name] = prod.points()
    assert re.fullmatch(r"kept/prod-before-0901_pending-\d{8}T\d{6}Z", name)
    assert report.kept == name
    [note] = [each for each in told.notes if name in each]
    assert 'destroys column "Message"."provider" with its contents; the state before it is kept as' in note
    assert "./inv restore --env prod" in note

    branch = next(each for each in prod.branches() if each["name"] == name)
    left = datetime.fromisoformat(branch["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)
    listed = neon_cli.ok("branches", "list", "--project-id", prod.project_id)
    assert {each["name"] for each in listed} == {"main", name}
    with prod.client() as client:
        assert client.endpoints(prod.project_id, branch["id"]) == []
        back = client.create_branch(prod.project_id, "back", compute=None).branch
        client.restore_branch(prod.project_id, back.id, source_id=branch["id"])
    body = {"endpoint": {"branch_id": back.id, "type": "read_write"}}
    prod.emulator.ok("POST", f"/projects/{prod.project_id}/endpoints", json=body)
    params = {"branch_id": back.id, "database_name": prod.url.database or "", "role_name": prod.url.user or ""}
    uri = prod.emulator.answer("GET", f"/projects/{prod.project_id}/connection_uri", params=params).json()["uri"]
    with psycopg.connect(uri) as connection:
        assert connection.execute('SELECT provider FROM "Message"').fetchall() == [("canary",)]
        assert connection.execute("SELECT to_regclass('note')").fetchall() == [(None,)]


def test_what_a_rehearsal_let_in_is_deployed_behind_a_point_by_the_documented_lines(prod: Production) -> None:
    prod.write("DELETE FROM \"VerificationToken\" WHERE identifier = 'x';")
    rehearsed = prod.run_verb("rehearse", "--env", "prod")
    assert rehearsed.returncode == 0, rehearsed.stdout + rehearsed.stderr
    done = prod.run_verb("deploy", "--env", "prod", DATABASE_URL=prod.url.reveal())
    assert done.returncode == 0, done.stderr
    [name] = prod.points()
    assert f"the state before it is kept as {name}" in done.stdout
    assert name in prod.run_verb("restore", "--env", "prod", DATABASE_URL=prod.url.reveal()).stdout


def test_a_deploy_that_fails_and_is_run_again_does_not_pile_points_up(prod: Production, told: Told) -> None:
    prod.write(DROP, "SELECT 1 / 0;")
    (prod.path / "migrations" / "0900_pending.sql").write_text(f"{DROP} SELECT 1 / 0;")
    for _ in range(3):
        with pytest.raises(DatabaseFailed, match="division by zero"):
            prod.run(told)
        assert len(prod.points()) == 1
    (prod.path / "migrations" / "0900_pending.sql").write_text(DROP)
    with pytest.raises(DatabaseFailed, match="division by zero"):
        prod.run(told)
    (prod.path / "migrations" / "0901_pending.sql").write_text("SELECT 1;")
    assert prod.run(told).kept == ""
    [name] = prod.points()
    assert name.startswith("kept/prod-before-0900_pending-")


def test_killed_behind_each_call_to_neon_nothing_was_run_and_the_next_deploy_has_one_point(
    prod: Production, told: Told
) -> None:
    prod.write(DROP)
    for lives in count(1):
        environment = prod.emulator.environment
        mortal = MortalClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=QUICK)
        keeper = Keeper(prod.path, "prod", told, client=lambda mortal=mortal, lives=lives: mortal.mortal_for(lives))  # type: ignore[misc]
        try:
            report = apply(prod.url, read_folder(prod.path / "migrations"), observer=told, keep=keeper)
        except Killed:
            with psycopg.connect(prod.url.reveal()) as connection:
                assert connection.execute('SELECT count(provider) FROM "Message"').fetchall() == [(0,)]
        else:
            break
    assert (lives, prod.points()) == (3, [report.kept])


def test_a_position_that_the_storage_does_not_have_yet_is_no_fault(prod: Production, told: Told) -> None:
    prod.emulator.fault(moment="not-yet")
    prod.write(DROP)
    assert prod.run(told).kept in prod.points()


def test_rows_that_a_rehearsal_saw_changed_count_where_the_text_shows_none(prod: Production, told: Told) -> None:
    prod.write("DO $$ BEGIN EXECUTE chr(85) || 'PDATE \"User\" SET name = NULL'; END $$;")
    assert prod.run(told, {"0900_pending": 12}).kept in prod.points()
    assert any("destroys what was in 12 rows, as its rehearsal saw" in note for note in told.notes)


def test_where_neon_refuses_nothing_was_run(prod: Production, told: Told) -> None:
    prod.write(DROP)
    prod.emulator.fault(
        route="POST /projects/*/branches", status=422, code="BRANCHES_LIMIT_EXCEEDED", message="branches limit exceeded"
    )
    with pytest.raises(NeonFailed, match="Neon's plan allows no more branches") as refused:
        prod.run(told)
    assert "./inv branches --clean" in refused.value.remedy
    with psycopg.connect(prod.url.reveal()) as connection:
        assert connection.execute('SELECT count(provider) FROM "Message"').fetchall() == [(0,)]


def test_without_a_key_it_is_said_what_will_not_be_possible(
    prod: Production, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod.write(DROP)
    monkeypatch.delenv("NEON_API_KEY", raising=False)
    report = apply(prod.url, read_folder(prod.path / "migrations"), observer=told, keep=Keeper(prod.path, "prod", told))
    assert ([each.id for each in report.applied], report.kept, prod.points()) == (["0900_pending"], "", [])
    assert any(
        "no point is kept: NEON_API_KEY is not set. The way back is the project's history" in n for n in told.notes
    )


def test_nothing_that_destroys_nothing_pays(
    migrated_sample: Database, sample: FolderBuilder, tmp_path: Path, told: Told
) -> None:
    (tmp_path / "Pulumi.prod.yaml").write_text(REQUIRED)

    def no_client() -> NeonClient:
        raise AssertionError("Neon is asked")

    def waits() -> int:
        with CountingProxy(migrated_sample.url.host, migrated_sample.url.port or 5432) as proxy:
            url = migrated_sample.url.copy_with(host="127.0.0.1", port=proxy.port)
            keeper = Keeper(tmp_path, "prod", told, {}, client=no_client)
            apply(url, sample.read(), observer=told, keep=keeper)
        return proxy.waits

    assert waits() == NOTHING_PENDING
    sample.write("0006_more", 'CREATE TABLE more (id int); ALTER TABLE "Pet" ADD COLUMN age int;')
    assert waits() == NOTHING_PENDING + 1
    sample.write("0007_less", "ALTER TABLE more DROP COLUMN id;")
    assert waits() == NOTHING_PENDING + 1
    [note] = [note for note in told.notes if "no point is kept" in note]
    assert note.startswith(
        '0007_less destroys column "more"."id" with its contents, and no point is kept: this is no Neon branch.'
    )
