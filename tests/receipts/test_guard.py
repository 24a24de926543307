"""Where an environment asks for it, pending files run only with a receipt that passed and fits."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy.checkout import Checkout
from pipeline.deploy.observer import Observer
from pipeline.deploy.past import read_past
from pipeline.deploy.reader import make_reader
from pipeline.deploy.status import dry_run, read_status
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.errors import ConfigurationError, Refused, UsageError
from pipeline.rehearsal.result import Applied, Origin
from pipeline.rehearsal.values import Failure
from tests.receipts.production import BASE, PENDING
from verbs.history import show_past
from verbs.status import show_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.receipts.production import Production

REMEDY = "Nothing was changed. Rehearse again: ./inv rehearse --env prod"


def refused(prod: Production, said: str, **how: object) -> Refused:
    """Deploy, which is refused with this; nothing is applied and nothing kept."""
    before = prod.db.applied()
    with pytest.raises(Refused, match=re.escape(said)) as caught:
        prod.deploy(**how)  # type: ignore[arg-type]
    assert caught.value.exit_code == 3
    assert caught.value.remedy.startswith("Nothing was changed.")
    assert "./inv rehearse --env prod" in caught.value.remedy
    assert prod.db.applied() == before
    assert prod.kept() == []
    return caught.value


def test_what_was_rehearsed_runs_and_the_history_keeps_the_receipt(prod: Production) -> None:
    path = prod.rehearse()
    report = prod.deploy()
    assert [each.id for each in report.applied] == list(PENDING)
    [(kind, environment, reason, digest)] = prod.kept()
    assert (kind, environment, reason) == ("receipt", "prod", "")
    assert prod.let_in_by() == dict.fromkeys(BASE, "") | dict.fromkeys(PENDING, digest)
    assert prod.db.value("SELECT document FROM migration_history.rehearsals") == path.read_text()
    assert prod.db.value("SELECT max(length(comment)) < 255 FROM migration_history._yoyo_log")


def test_nothing_pending_needs_no_receipt(prod: Production) -> None:
    prod.rehearse()
    prod.deploy()
    prod.root.joinpath(".local/rehearsals/prod.json").unlink()
    assert prod.deploy().applied == ()


def test_without_a_receipt_it_is_refused_with_what_to_run(prod: Production) -> None:
    error = refused(prod, "prod takes only what was rehearsed (Pulumi.prod.yaml), and there is no receipt")
    assert error.where == ".local/rehearsals/prod.json"
    assert "--receipt FILE" in error.remedy
    assert "--without-rehearsal" in error.remedy


def test_a_file_that_was_edited_since_is_refused(prod: Production) -> None:
    prod.rehearse()
    prod.folder.write("0005_toys", PENDING["0005_toys"] + " -- more")
    assert refused(prod, "0005_toys was edited since").remedy == REMEDY


def test_a_file_that_was_added_since_is_refused(prod: Production) -> None:
    prod.rehearse()
    prod.folder.write("0008_more", "SELECT 1;")
    refused(prod, "0008_more was added since, and was not rehearsed")


def test_a_file_that_was_taken_away_since_is_refused(prod: Production) -> None:
    prod.rehearse()
    (prod.folder.path / "0007_size.sql").unlink()
    refused(prod, "0007_size was rehearsed, and was taken away since")


def test_everything_that_differs_is_said_at_once(prod: Production) -> None:
    prod.rehearse(now=datetime.now(UTC) - timedelta(hours=25))
    prod.folder.write("0005_toys", "SELECT 2;").write("0008_more", "SELECT 1;")
    error = refused(prod, "the receipt does not fit this deploy")
    assert len(error.what.splitlines()) == 4


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"environment": "dev"}, "it is of dev, and this is prod"),
        ({"project_id": "quiet-sea-1"}, "it is of the Neon project quiet-sea-1, and this is no Neon project"),
        ({"branch_id": "br-1"}, "it is of the Neon branch br-1 (main), and this is no Neon branch"),
    ],
)
def test_a_receipt_of_another_place_is_refused(prod: Production, origin: dict[str, str], said: str) -> None:
    found = Origin("prod", "", "", "main", "0/1", datetime.now(UTC))
    path = prod.root / "other.json"
    prod.rehearse(origin=replace(found, **origin), path=path)  # type: ignore[arg-type]
    refused(prod, said, receipt=path)


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE person ADD COLUMN by_hand int",
        "CREATE INDEX by_hand ON pet (owner)",
        "GRANT SELECT ON person TO pg_monitor",
        "CREATE FUNCTION by_hand() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE RULE by_hand AS ON DELETE TO pet DO INSTEAD NOTHING",
        "CREATE POLICY by_hand ON pet USING (true)",
        "COMMENT ON TABLE pet IS 'by hand'",
        "ALTER TABLE pet SET (fillfactor = 70)",
        "ALTER TABLE person ALTER name SET DEFAULT 'by hand'",
        "DROP TABLE pet",
        "ALTER DATABASE {database} SET work_mem = '5MB'",
    ],
)
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_schema_that_was_changed_by_hand_since_is_refused(prod: Production, sql: str, when: str) -> None:
    prod.rehearse()
    statement = sql.format(database=prod.db.url.database)
    if when == "before":
        prod.db.run(statement)
    error = refused(
        prod,
        "the schema of the database is not the one that was rehearsed: somebody changed it by hand since",
        **({"before": lambda: prod.db.run(statement)} if when == "meanwhile" else {}),
    )
    assert "`./inv diff --env …`" in error.remedy


def test_a_history_that_moved_on_before_the_deploy_is_refused(prod: Production) -> None:
    prod.rehearse()
    prod.db.run("UPDATE migration_history._yoyo_log SET comment = 'sha256=' WHERE migration_id = '0002_pets'")
    refused(prod, "the history moved on: other migrations are applied")


def test_a_history_that_moves_on_meanwhile_is_refused_by_the_server(prod: Production) -> None:
    prod.rehearse()
    rows = "INSERT INTO migration_history._yoyo_migration VALUES ('x', 'by stock yoyo', now())"
    with pytest.raises(Refused, match="the history of the database is not the one that was rehearsed"):
        prod.deploy(before=lambda: prod.db.run(rows))
    assert prod.kept() == []


def test_a_receipt_that_expired_is_refused(prod: Production) -> None:
    prod.rehearse(now=datetime.now(UTC) - timedelta(hours=24, seconds=1))
    refused(prod, "it expired at")
    prod.rehearse(now=datetime.now(UTC) - timedelta(hours=23, minutes=50))
    assert len(prod.deploy().applied) == 5


def test_a_receipt_of_tomorrow_is_refused(prod: Production) -> None:
    prod.rehearse(now=datetime.now(UTC) + timedelta(hours=1))
    refused(prod, "which is not yet")


def test_a_rehearsal_that_found_a_break_is_refused(prod: Production) -> None:
    prod.rehearse(applied=Applied((), (), None, Failure("0003_age", "0003_age.sql", 1, "23502", "not_null_violation")))
    refused(prod, "the rehearsal found a break (apply)")


def test_a_rehearsal_that_could_not_measure_is_refused(prod: Production) -> None:
    prod.rehearse(not_measured=("what each statement does: no copy came about",))
    refused(prod, "could not measure what was asked for: what each statement does: no copy came about")


def test_a_receipt_that_was_tampered_with_is_refused(prod: Production) -> None:
    path = prod.rehearse(not_measured=("something",))
    path.write_text(path.read_text().replace('"NOT_MEASURED"', '"PASSED"'))
    assert refused(prod, "the receipt was changed since it was written").where == ".local/rehearsals/prod.json"


def test_a_receipt_is_taken_from_where_it_is_said_to_be(prod: Production) -> None:
    path = prod.rehearse(path=prod.root / "elsewhere.json")
    refused(prod, "there is no receipt")
    assert len(prod.deploy(receipt=path).applied) == 5


def test_a_receipt_that_is_named_and_not_there_is_refused(prod: Production) -> None:
    prod.rehearse()
    refused(prod, "there is no receipt", receipt=prod.root / "elsewhere.json")


def test_an_environment_that_does_not_ask_for_a_receipt_needs_none_and_records_none(prod: Production) -> None:
    prod.settings("off")
    assert len(prod.deploy().applied) == 5
    assert prod.kept() == []
    assert set(prod.let_in_by().values()) == {""}


def test_an_environment_that_does_not_ask_for_a_receipt_checks_one_that_is_given(prod: Production) -> None:
    prod.settings("off")
    path = prod.rehearse()
    prod.folder.write("0008_more", "SELECT 1;")
    refused(prod, "0008_more was added since", receipt=path)
    assert len(prod.deploy(receipt=prod.rehearse()).applied) == 6


def test_settings_that_cannot_be_read_are_an_error_and_never_no_settings(prod: Production) -> None:
    prod.rehearse()
    (prod.root / "Pulumi.prod.yaml").write_text("config: [")
    with pytest.raises(ConfigurationError, match="not YAML"):
        prod.deploy()
    assert len(prod.db.applied()) == len(BASE)


def test_a_bare_url_is_no_way_around_what_the_database_says_it_is(prod: Production) -> None:
    refused(prod, "prod takes only what was rehearsed", target=Target())
    prod.rehearse()
    assert len(prod.deploy(target=Target()).applied) == 5


def test_a_database_that_says_nothing_takes_a_bare_url_without_a_receipt(prod: Production) -> None:
    prod.db.run("DELETE FROM migration_history.environment_marker")
    assert len(prod.deploy(target=Target()).applied) == 5


def test_the_project_of_the_settings_has_to_be_the_servers(prod: Production) -> None:
    prod.rehearse()
    file = prod.root / "Pulumi.prod.yaml"
    file.write_text(
        file.read_text() + file.read_text().splitlines()[1].replace("rehearsal: required", "projectId: sea-1")
    )
    with pytest.raises(Refused, match="names the Neon project sea-1, and this is no Neon project"):
        prod.deploy()


def test_a_history_that_is_older_than_receipts_gets_their_table_with_the_first(prod: Production) -> None:
    prod.db.run("DROP TABLE migration_history.rehearsals")
    prod.rehearse()
    prod.deploy()
    assert [row[0] for row in prod.kept()] == ["receipt"]


def test_a_file_that_fails_keeps_no_receipt_and_the_next_run_takes_the_same(prod: Production) -> None:
    from pipeline.errors import MigrationFailed

    prod.folder.write("0003_age", "ALTER TABLE person ADD COLUMN age int; SELECT 1 / (SELECT count(*) FROM person);")
    prod.rehearse()
    with pytest.raises(MigrationFailed):
        prod.deploy()
    assert prod.kept() == []
    prod.db.run("INSERT INTO person VALUES (1, 'a')")
    assert len(prod.deploy().applied) == 5


class TestFirstDeploy:
    def test_an_empty_production_needs_no_receipt(self, empty_prod: Production) -> None:
        empty_prod.write(BASE)
        assert len(empty_prod.deploy().applied) == 2
        assert [row[:3] for row in empty_prod.kept()] == [("first", "prod", "")]

    def test_the_second_deploy_needs_one(self, empty_prod: Production) -> None:
        empty_prod.write(BASE)
        empty_prod.deploy()
        empty_prod.write(PENDING)
        with pytest.raises(Refused, match="there is no receipt"):
            empty_prod.deploy()
        empty_prod.rehearse()
        assert len(empty_prod.deploy().applied) == 5

    def test_a_database_with_a_table_and_no_history_is_not_empty(self, empty_prod: Production) -> None:
        empty_prod.write(BASE)
        empty_prod.db.run("CREATE TABLE rows_of_somebody (id int)")
        with pytest.raises(Refused, match="there is no receipt"):
            empty_prod.deploy()

    def test_an_empty_production_can_be_rehearsed_all_the_same(self, empty_prod: Production) -> None:
        empty_prod.write(BASE)
        path = empty_prod.rehearse()
        assert len(empty_prod.deploy(receipt=path).applied) == 2
        assert [row[0] for row in empty_prod.kept()] == ["receipt"]


class TestWithoutRehearsal:
    def test_the_reason_is_kept_and_names_the_files(self, prod: Production) -> None:
        assert len(prod.deploy(reason="the site is down").applied) == 5
        [(kind, environment, reason, digest)] = prod.kept()
        assert (kind, environment, reason) == ("skipped", "prod", "the site is down")
        assert set(prod.let_in_by().values()) == {"", digest}

    def test_with_nothing_pending_nothing_is_kept(self, prod: Production) -> None:
        prod.rehearse()
        prod.deploy()
        prod.deploy(reason="the site is down")
        assert [row[0] for row in prod.kept()] == ["receipt"]

    def test_it_does_not_go_with_a_receipt(self, prod: Production) -> None:
        with pytest.raises(UsageError):
            prod.deploy(reason="why", receipt=prod.rehearse())


class Retrying(Observer):
    """Does something when a file is tried again."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.then = then
        self.times = 0

    def retrying(self, migration: str, why: str, seconds: float) -> None:  # noqa: ARG002 - it is told more than it needs
        self.times += 1
        if self.times == 1:
            self.then()


@pytest.mark.parametrize("change", ["", "ALTER TABLE pet ADD COLUMN by_hand int"], ids=["nothing", "by hand"])
def test_the_guard_is_asked_again_when_the_first_file_is_tried_again(prod: Production, change: str) -> None:
    prod.rehearse()
    with prod.db.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE person IN ROW EXCLUSIVE MODE")

        def let_go() -> None:
            holder.execute(f"COMMIT;{change}")

        observer = Retrying(let_go)
        if change:
            with pytest.raises(Refused, match="somebody changed it by hand"):
                prod.deploy(observer=observer)
            assert prod.kept() == []
        else:
            assert len(prod.deploy(observer=observer).applied) == 5
            assert [row[0] for row in prod.kept()] == ["receipt"]
        assert observer.times >= 1


def test_files_of_more_than_one_batch_are_guarded_once(prod: Production) -> None:
    for number in (8, 9):
        prod.folder.write(f"000{number}_large", f"-- {'x' * 700_000}\nCREATE TABLE t{number} ();")
    prod.rehearse()
    assert len(prod.deploy().applied) == 7
    assert len(prod.kept()) == 1


@pytest.mark.parametrize("first", ["0003_index", "0003_batched"])
def test_a_first_file_of_another_kind_is_guarded_as_well(prod: Production, first: str) -> None:
    for file in prod.folder.path.glob("000[3-7]*"):
        file.unlink()
    texts = {
        "0003_index": "-- transactional: false\nCREATE INDEX CONCURRENTLY pet_owner ON pet (owner);",
        "0003_batched": '-- pipeline: batched="person" key="id"\n'
        "-- remaining: SELECT count(*) FROM person WHERE name <> upper(name)\n"
        "UPDATE person SET name = upper(name) "
        "WHERE name <> upper(name) AND /* batch */ true;",
    }
    prod.folder.write(first, texts[first]).write("0004_more", "CREATE TABLE more ();")
    prod.rehearse()
    prod.db.run("GRANT SELECT ON pet TO pg_monitor")
    refused(prod, "somebody changed it by hand")
    prod.db.run("REVOKE SELECT ON pet FROM pg_monitor")
    assert len(prod.deploy().applied) == 2
    [row] = prod.kept()
    assert prod.let_in_by() == {**dict.fromkeys(BASE, ""), first: row[3], "0004_more": row[3]}


def test_a_dry_run_refuses_what_the_deploy_would_refuse(prod: Production) -> None:
    checkout = Checkout(
        prod.root, Environment("prod", prod.db.url, "a test"), Target("prod"), "deploy", uncommitted=True
    )
    with pytest.raises(Refused, match="there is no receipt"):
        dry_run(checkout)
    assert len(dry_run(checkout, without_rehearsal="why").plan.pending) == 5
    prod.rehearse()
    assert len(dry_run(checkout).plan.pending) == 5
    prod.folder.write("0008_more", "SELECT 1;")
    with pytest.raises(Refused, match="0008_more was added since"):
        dry_run(checkout)
    assert prod.db.applied() == list(BASE)


class TestWhatIsShown:
    def test_status_and_history_show_what_let_files_in_for_ever(
        self, prod: Production, capsys: pytest.CaptureFixture[str]
    ) -> None:
        prod.deploy(reason="the site is down")
        prod.folder.write("0008_more", "SELECT 1;")
        prod.rehearse()
        prod.deploy()
        show_status(read_status(prod.db.url, prod.folder.read(), target=Target(), observer=Observer()))
        shown = capsys.readouterr().out
        assert re.search(r"skipped +\S+ \S+ UTC .*0003_age, .*0007_size without rehearsal: the site is down", shown)
        assert re.search(r"receipt +\S+ \S+ UTC .*1 migration receipt [0-9a-f]{12}\n", shown)
        checkout = Checkout(prod.root, Environment(None, prod.db.url, "a test"), Target(), "history")
        show_past(read_past(checkout), 1.0)
        lines = capsys.readouterr().out.splitlines()
        assert [("without rehearsal: the site is down" in line) for line in lines[1:-1]] == [
            *(False for _ in BASE),
            *(True for _ in PENDING),
            False,
        ]
        assert "receipt " in lines[-2]

    def test_a_role_of_a_service_cannot_see_it_and_the_one_that_looks_can(self, prod: Production) -> None:
        prod.deploy(reason="the site is down")
        url = make_reader(Checkout(prod.root, Environment(None, prod.db.url, "a test"), Target(), "reader"))
        seen = read_status(url, prod.folder.read(), target=Target(), observer=Observer())
        assert [each.reason for each in seen.admissions] == ["the site is down"]
        assert prod.db.value("SELECT has_schema_privilege('public', 'migration_history', 'USAGE')") is False
        rights = "SELECT count(*) FROM aclexplode((SELECT relacl FROM pg_class WHERE relname = 'rehearsals')) WHERE grantee = 0"
        assert prod.db.value(rights) == 0
