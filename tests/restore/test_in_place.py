"""Going back in place: what comes back, what is held, what stays as it was, and what is refused before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dbclient.url import DatabaseURL
from pipeline.deploy import apply, inspect_server
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.errors import InvalidPlan, Refused, UsageError
from pipeline.postgres.lock import KEY
from pipeline.restore.consent import consent_of
from pipeline.restore.holding import release
from pipeline.restore.in_place import Loss, go_back
from pipeline.restore.looking import look
from pipeline.restore.points import read_points
from tests.history.test_yoyo import listed
from tests.restore.conftest import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.restore.in_place import WentBack
    from tests.restore.conftest import Place

PICTURE = """
SELECT (SELECT count(*) FROM "Person"), (SELECT sum(id) FROM "Person"),
       (SELECT count(*) FROM "Person" WHERE note = 'overwritten'), (SELECT count(*) FROM tag)
"""


def agree(_: Loss) -> None:
    """Nobody minds."""


def back(place: Place, before: str = "0003", consent: Callable[[Loss], None] = agree) -> WentBack:
    return go_back(place.checkout, before, place.environ, consent=consent)


def parents(place: Place) -> dict[str, str | None]:
    found = place.branches()
    names = {branch["id"]: name for name, branch in found.items()}
    return {name: names.get(branch.get("parent_id", "")) for name, branch in found.items()}


def test_the_environment_is_what_it_was_and_the_old_state_is_kept(place: Place) -> None:
    place.rows("INSERT INTO \"Person\" VALUES (2001, 'somebody new', NULL)")
    dev = place.emulator.create_branch(place.project, name="dev")
    told: list[Loss] = []
    done = back(place, consent=told.append)

    assert place.rows(PICTURE) == [(1000, 500500, 0, 100)]
    assert place.value("SELECT current_setting('neon.branch_id')") == place.branch_id
    old = done.old_state.name
    assert old.startswith("kept/prod-undone-0003-at-0_")
    assert parents(place) == {"main": None, old: None, "dev": old}, "and no branch of a look is left"
    assert place.branches()["dev"]["id"] == dev["branch"]["id"]
    assert done.old_state.expires_at is None

    (loss,) = told
    person = next(each for each in loss.tables if each.table == "Person")
    assert (person.new, person.gone, person.changed) == (1, 100, 50)
    assert ([each.id for each in loss.undone], bool(loss.writers)) == (["0003_fewer"], False)


def test_a_branch_that_was_cut_from_another_one_does_not_go_back_in_place(place: Place) -> None:
    made = place.emulator.create_branch(place.project, name="dev")
    url = DatabaseURL.parse(made["connection_uris"][0]["connection_uri"])
    dev = replace(place.checkout, environment=Environment("dev", url, "a test"), target=Target("dev"))
    before = place.branches().keys()
    with pytest.raises(Refused, match="which was cut from main: Neon lets root branches alone go back"):
        go_back(dev, "0003", place.environ, consent=agree)
    assert place.branches().keys() == before


def test_the_undone_file_is_held_until_it_is_edited_or_released(place: Place) -> None:
    assert back(place).held == ("0003_fewer",)
    with pytest.raises(InvalidPlan, match="it is held: a restore undid it") as refused:
        place.deploy()
    assert "kept/prod-undone-0003" in refused.value.remedy
    assert listed(place.url, place.folder) == {"0001_people": "A", "0002_rows": "A", "0003_fewer": "U"}
    assert [each.id for each in read_points(place.checkout, place.environ).held] == ["0003_fewer"]

    place.folder.write("0003_fewer", "SELECT 1;")
    assert [each.id for each in place.deploy().applied] == ["0003_fewer"]
    assert place.rows(PICTURE) == [(1000, 500500, 0, 100)]
    assert read_points(place.checkout, place.environ).held == ()


def test_the_files_behind_it_are_held_too_and_each_is_released_by_its_number(place: Place) -> None:
    place.folder.write("0004_more", "CREATE TABLE more ();")
    place.deploy()
    assert back(place).held == ("0003_fewer", "0004_more")
    place.folder.write("0003_fewer", "SELECT 1;")
    with pytest.raises(InvalidPlan, match=r"0004_more.sql: it is held"):
        place.deploy()
    with pytest.raises(UsageError, match="0001 is not held; 0003_fewer, 0004_more is"):
        release(place.checkout, ["0004", "0001"])
    assert release(place.checkout, ["0004"]) == ("0004_more",)
    assert [each.id for each in place.deploy().applied] == ["0003_fewer", "0004_more"]


def test_an_environment_can_go_back_again_and_be_looked_at_after_it(place: Place) -> None:
    back(place)
    place.folder.write("0003_fewer", 'DELETE FROM "Person" WHERE id > 500;')
    place.deploy()
    seen = look(place.checkout, "0003", place.environ)
    assert {each.table: each.gone for each in seen.tables} == {"Person": 500, "tag": 0}
    back(place)
    assert place.rows(PICTURE) == [(1000, 500500, 0, 100)]
    assert sum(name.startswith("kept/prod-undone-0003") for name in place.branches()) == 2


def test_what_an_earlier_restore_held_is_held_anew_also_where_it_was_edited_or_released_since(place: Place) -> None:
    place.folder.write("0004_more", "CREATE TABLE more ();")
    place.deploy()
    back(place)
    place.folder.write("0003_fewer", 'DELETE FROM "Person" WHERE id > 500;')
    release(place.checkout, ["0004"])
    place.deploy()
    assert back(place, "0004").held == ("0004_more",)
    assert set(inspect_server(place.url).history.held) == {"0004_more"}, "the state that came back knows of its release"
    assert back(place, "0003").held == ("0003_fewer",)
    with pytest.raises(InvalidPlan, match=r"0003_fewer.sql: it is held"):
        place.deploy()


def test_the_same_command_once_more_changes_nothing(place: Place) -> None:
    done = back(place)
    place.rows("INSERT INTO \"Person\" VALUES (2001, 'after it', NULL)")
    log = "SELECT count(*) FROM migration_history._yoyo_log"
    before, branches = place.value(log), set(place.branches())
    again = back(place)
    assert (again.resumed, again.held, again.old_state.id) == (True, done.held, done.old_state.id)
    assert (place.value(log), set(place.branches())) == (before, branches)
    assert place.value('SELECT count(*) FROM "Person"') == 1001
    release(place.checkout, ["0003"])
    again = back(place)
    assert (again.resumed, again.held) == (True, ())
    assert inspect_server(place.url).history.held == {}, "what was released stays so"


def test_roles_get_the_stacks_passwords_again(place: Place) -> None:
    place.folder.write("0003_fewer", "-- rotated meanwhile\n" + (place.folder.path / "0003_fewer.sql").read_text())
    place.rows("CREATE ROLE server; CREATE ROLE ai_service")
    old, new = (with_passwords(place, word) for word in ("first", "second"))
    place.rows("DELETE FROM migration_history._yoyo_migration WHERE migration_id = '0003_fewer'; "
               "DELETE FROM migration_history._yoyo_log WHERE migration_id = '0003_fewer'")  # fmt: skip
    place.folder.write("0003_fewer", "SELECT 3;")
    before = {file.name: file.read_text() for file in place.folder.path.iterdir()}
    (place.folder.path / "0003_fewer.sql").unlink()
    apply(place.url, place.folder.read(), target=old, author=lambda: NOBODY)
    for name, text in before.items():
        (place.folder.path / name).write_text(text)
    apply(place.url, place.folder.read(), target=new, author=lambda: NOBODY)
    checkout = replace(place.checkout, target=new)
    done = go_back(checkout, "0003", place.environ, consent=agree)
    assert done.activated == ("ai_service", "server")
    for role, password in new.passwords.items():
        assert place.value("SELECT current_user", place.url.copy_with(user=role, password=password)) == role
    assert apply_is_quiet(place, new)


def with_passwords(place: Place, word: str) -> Target:
    passwords = {role: f"{role}-{word}-{place.project_id}" for role in ("server", "ai_service")}
    return Target("prod", place.project_id, place.branch_id, passwords=passwords)


def apply_is_quiet(place: Place, target: Target) -> bool:
    """Whether a deploy has nothing to give the roles any more."""
    place.folder.write("0003_fewer", "SELECT 4;")
    return apply(place.url, place.folder.read(), target=target, author=lambda: NOBODY).activated == ()


def test_without_a_stack_it_says_what_to_run(place: Place) -> None:
    place.rows("CREATE ROLE server; CREATE ROLE ai_service")
    apply(place.url, place.folder.read(), target=with_passwords(place, "first"), author=lambda: NOBODY)
    place.folder.write("0004_more", "CREATE TABLE more ();")
    place.deploy()
    done = back(place, "0004")
    assert "no stack was asked for the passwords of ai_service, server" in done.passwords_unseen
    assert "`env -u DATABASE_URL ./inv restore --env prod --before 0004 --in-place`" in done.passwords_unseen


def test_another_deploy_that_has_the_lock_stops_it_before_anything_is_touched(place: Place) -> None:
    with psycopg.connect(place.url.for_psycopg().dsn, autocommit=True, application_name="db-pipeline deploy") as rival:
        rival.execute(f"SELECT pg_advisory_lock({KEY})".encode())
        with pytest.raises(Refused, match="another deploy is at work"):
            back(place)
    assert set(place.branches()) == {"main"}
    assert place.value('SELECT count(*) FROM "Person"') == 900


def test_what_is_older_than_the_history_stops_it_before_anything_is_touched(place: Place) -> None:
    place.emulator.ok("PATCH", f"/projects/{place.project_id}", json={"project": {"history_retention_seconds": 0}})
    with pytest.raises(Refused, match="Neon cannot go back to"):
        back(place)
    assert set(place.branches()) == {"main"}


def test_who_does_not_agree_leaves_it_as_it_was(place: Place) -> None:
    def refuse(_: Loss) -> None:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        back(place, consent=refuse)
    assert {name.partition("/")[0] for name in place.branches()} == {"main", "look"}
    assert place.value('SELECT count(*) FROM "Person"') == 900
    assert place.deploy().applied == (), "the lock is free again"


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ((), 2, "nobody is there to type the environment's name"),
        (("--confirm", "dev"), 2, "--confirm dev is not the environment prod"),
        (("--confirm", "prod"), 3, "others are connected to"),
    ],
)
def test_the_verb_asks_first(shared_place: Place, flags: tuple[str, ...], code: int, said: str) -> None:
    with psycopg.connect(shared_place.url.for_psycopg().dsn, autocommit=True) as other:
        other.execute("SELECT 1")
        done = shared_place.inv("restore", "--env", "prod", "--before", "3", "--in-place", *flags)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert shared_place.value('SELECT count(*) FROM "Person"') == 900


def test_the_verb_goes_back_and_says_where_the_old_state_is(place: Place) -> None:
    place.rows("INSERT INTO \"Person\" VALUES (2001, 'somebody new', NULL)")
    with psycopg.connect(place.url.for_psycopg().dsn, autocommit=True) as other:
        other.execute("SELECT 1")
        done = place.inv(
            "restore", "--env", "prod", "--before", "3", "--in-place", "--confirm", "prod", "--with-writers"
        )
    assert done.returncode == 0, done.stderr
    assert "Person: 1 rows since then are lost, 50 rows are again what they were; 100 rows come back" in done.stderr
    assert "In all 1 new row and 50 changes of others since then are lost." in done.stderr
    assert "Others are connected, and what they write until then is lost: app_owner (1 session)" in done.stderr
    assert "The old state is kept as kept/prod-undone-0003-at-0_" in done.stdout
    status = place.inv("status", "--env", "prod")
    assert (status.returncode, "  held      0003_fewer" in status.stdout) == (4, True)
    plan = place.inv("plan", "--env", "prod")
    assert (plan.returncode, "0003_fewer.sql: it is held" in plan.stderr) == (4, True)
    assert "held" in place.inv("history", "--env", "prod").stdout


def test_the_consent_is_what_was_typed() -> None:
    loss: Any = type("Loss", (), {"writers": (), "server": "a server"})()
    asked: list[str] = []

    def answer(text: str | None) -> Callable[[str], str | None]:
        return lambda question: asked.append(question) or text  # type: ignore[func-returns-value]

    options: dict[str, Any] = {"confirmed": "", "with_writers": False, "tell": lambda _: None}
    consent_of("prod", ask=answer("prod"), **options)(loss)
    for typed, kind in (("yes", Refused), ("", Refused), (None, UsageError)):
        with pytest.raises(kind):
            consent_of("prod", ask=answer(typed), **options)(loss)
    assert all("prod" in question for question in asked)
