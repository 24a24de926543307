"""The server says who it is, and a deploy to another one is refused before anything is written: bar (f)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.deploy.rolling_back import rollback
from pipeline.deploy.target import Target
from pipeline.errors import BehindPooler, ConfigurationError, DatabaseFailed, NotLocal, Refused, WrongTarget
from pipeline.postgres.session import Session
from tests.support import databases
from tests.support.sample import SAMPLE_IDS
from tests.support.unwritten import writes_nothing

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

PROD = Target(environment="prod", project_id="quiet-sea-1", branch_id="br-main")
DEV = Target(environment="dev", project_id="quiet-sea-1", branch_id="br-dev")
LOCAL = Target(local_only=True)
MARKER = "SELECT environment, branch_id FROM migration_history.environment_marker"


def become(superuser: Database, branch: str, project: str = "quiet-sea-1") -> None:
    """Let the server say that it is a Neon compute of this branch."""
    for name, value in (("project_id", project), ("branch_id", branch), ("endpoint_id", f"ep-{branch}")):
        superuser.run(f"ALTER DATABASE {superuser.url.database} SET neon.{name} = '{value}'")


@pytest.mark.parametrize("setting", ["neon.project_id", "neon.branch_id", "neon.endpoint_id"])
def test_any_setting_of_neon_makes_a_server_not_local_whatever_its_address(
    db: Database, superuser: Database, sample: FolderBuilder, setting: str
) -> None:
    superuser.run(f"ALTER DATABASE {db.url.database} SET {setting} = 'x'")

    def refused() -> None:
        with pytest.raises(NotLocal, match="not local") as caught:
            apply(db.url, sample.read(), target=LOCAL)
        assert caught.value.exit_code == 3
        with pytest.raises(NotLocal):
            rollback(db.url, sample.read(), to="0000")

    writes_nothing(db, refused)


def test_the_branch_of_the_stack_is_deployed_to_and_marked(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    become(superuser, "br-dev")
    apply(db.url, sample.read(), target=DEV)
    assert db.applied() == SAMPLE_IDS
    assert db.rows(MARKER) == [("dev", "br-dev")]


def test_a_pid_that_neons_proxy_made_up_is_no_pooler_there_and_one_anywhere_else(
    db: Database, superuser: Database, sample: FolderBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "backend_pid", property(lambda _: 1))  # no backend's
    with pytest.raises(BehindPooler):
        apply(db.url, sample.read())
    become(superuser, "br-dev")
    apply(db.url, sample.read(), target=DEV)
    assert db.applied() == SAMPLE_IDS


def test_an_up_to_date_deploy_leaves_the_marker_alone(db: Database, superuser: Database, sample: FolderBuilder) -> None:
    become(superuser, "br-dev")
    apply(db.url, sample.read(), target=DEV)
    writes_nothing(db, lambda: apply(db.url, sample.read(), target=DEV))


def test_another_branch_than_the_stacks_is_refused_before_anything_is_written(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    become(superuser, "br-main")

    def refused() -> None:
        with pytest.raises(WrongTarget, match="names the Neon branch br-dev") as caught:
            apply(db.url, sample.read(), target=DEV)
        assert caught.value.exit_code == 3

    writes_nothing(db, refused)


def test_a_server_that_is_no_neon_compute_is_refused_where_the_stack_names_a_branch(
    db: Database, sample: FolderBuilder
) -> None:
    with pytest.raises(WrongTarget, match="no Neon compute at all"):
        apply(db.url, sample.read(), target=DEV)


def test_the_same_branch_id_in_another_project_is_refused(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    become(superuser, "br-dev", project="other-sea-2")
    with pytest.raises(WrongTarget, match="names the Neon project quiet-sea-1"):
        apply(db.url, sample.read(), target=DEV)


def test_a_database_that_is_marked_as_prod_is_not_deployed_to_as_dev_by_a_bare_url(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    become(superuser, "br-main")
    apply(db.url, sample.read(), target=PROD)
    sample.write("0006_more", "CREATE TABLE more ();")
    with pytest.raises(WrongTarget, match="says that it is prod"):
        apply(db.url, sample.read(), target=Target(environment="dev"))
    assert db.applied() == SAMPLE_IDS


def test_an_inherited_marker_is_replaced_when_the_stacks_branch_is_the_servers(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    become(superuser, "br-main")
    apply(db.url, sample.read(), target=PROD)
    become(superuser, "br-dev")  # as a branch of main: main's rows, the compute's own ids
    apply(db.url, sample.read(), target=DEV)
    assert db.rows(MARKER) == [("dev", "br-dev")]


def test_an_inherited_marker_stays_when_the_stacks_branch_is_not_the_servers(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    become(superuser, "br-main")
    apply(db.url, sample.read(), target=PROD)
    become(superuser, "br-other")
    with pytest.raises(WrongTarget):
        apply(db.url, sample.read(), target=DEV)
    assert db.rows(MARKER) == [("prod", "br-main")]


@pytest.mark.parametrize("branch", ["br-dev", ""])
def test_a_bare_url_with_a_name_marks_what_has_no_marker_and_nothing_more(
    db: Database, superuser: Database, sample: FolderBuilder, branch: str
) -> None:
    if branch:
        become(superuser, branch)
    apply(db.url, sample.read())
    assert db.rows(MARKER) == []
    apply(db.url, sample.read(), target=Target(environment="dev"))
    assert db.rows(MARKER) == [("dev", branch)]
    writes_nothing(db, lambda: apply(db.url, sample.read(), target=Target(environment="dev")))


def test_a_bare_url_leaves_a_marker_that_was_inherited_to_the_stack(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    become(superuser, "br-main")
    apply(db.url, sample.read(), target=PROD)
    become(superuser, "br-preview")
    apply(db.url, sample.read(), target=Target(environment="preview"))
    assert db.rows(MARKER) == [("prod", "br-main")]


def test_the_checkouts_own_server_needs_no_mark_and_gets_one_once(db: Database, sample: FolderBuilder) -> None:
    apply(db.url, sample.read())  # as before there were marks
    apply(db.url, sample.read(), target=databases.LOCAL)
    assert db.rows(MARKER) == [("local", "")]
    writes_nothing(db, lambda: apply(db.url, sample.read(), target=databases.LOCAL))


def test_what_a_bare_url_marked_is_no_local_database_although_it_is_on_loopback(
    db: Database, sample: FolderBuilder
) -> None:
    apply(db.url, sample.read(), target=Target(environment="prod"))

    def refused() -> None:
        with pytest.raises(NotLocal, match="says of itself that it is prod") as caught:
            apply(db.url, sample.read(), target=LOCAL)
        assert "./inv deploy --env prod" in caught.value.remedy
        with pytest.raises(NotLocal, match="says of itself that it is prod"):
            rollback(db.url, sample.read(), to="0000")

    writes_nothing(db, refused)


@pytest.mark.parametrize(
    "options", ["-c neon.branch_id=", "-cneon.branch_id=br-dev", "--neon.branch_id=br-dev", "-c n\\eon.branch_id="]
)
def test_a_url_cannot_say_who_the_server_is(
    db: Database, superuser: Database, sample: FolderBuilder, options: str
) -> None:
    become(superuser, "br-main")
    url = db.url.copy_with(params=(("options", options),))
    with pytest.raises(ConfigurationError, match="neon"):
        apply(url, sample.read(), target=LOCAL)


def test_a_history_of_another_tool_has_to_be_adopted_first(db: Database, sample: FolderBuilder) -> None:
    db.run("CREATE TABLE _prisma_migrations (id text)")
    with pytest.raises(Refused, match="_prisma_migrations") as caught:
        apply(db.url, sample.read())
    assert "baseline" in caught.value.remedy
    assert db.applied() == []


def test_runtime_roles_get_the_stacks_passwords_once_and_again_when_those_change(
    db: Database, superuser: Database, folder: FolderBuilder
) -> None:
    role = f"runtime_{db.url.database}"
    folder.write("0001_role", f"CREATE ROLE {role} NOLOGIN; GRANT CONNECT ON DATABASE {db.url.database} TO {role};")
    become(superuser, "br-dev")

    def deploy(password: str) -> tuple[str, ...]:
        target = Target("dev", "quiet-sea-1", "br-dev", passwords={role: password})
        return apply(db.url, folder.read(), target=target).activated

    def connects(password: str) -> bool:
        url = db.url.copy_with(user=role, password=password)
        try:
            with psycopg.connect(url.reveal()) as connection:
                return connection.execute("SELECT current_user").fetchone() == (role,)
        except psycopg.OperationalError:
            return False

    assert deploy("first-of-these") == (role,)
    assert connects("first-of-these")
    assert writes_nothing(db, lambda: deploy("first-of-these")) == ()
    assert deploy("second-of-these") == (role,)
    assert connects("second-of-these")
    assert not connects("first-of-these")
    assert "first-of-these" not in str(db.rows("SELECT * FROM migration_history.role_password"))
    ((config, limit),) = superuser.rows(f"SELECT rolconfig, rolconnlimit FROM pg_roles WHERE rolname = '{role}'")
    assert "TimeZone=UTC" in str(config) or "timezone=UTC" in str(config)
    assert limit == 40
    superuser.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_password_that_cannot_be_set_is_not_repeated_in_the_error(
    db: Database, superuser: Database, folder: FolderBuilder
) -> None:
    become(superuser, "br-dev")
    folder.write("0001_t", "CREATE TABLE t ();")
    target = Target("dev", "quiet-sea-1", "br-dev", passwords={"no_such_role": "quite-unmistakable"})
    with pytest.raises(DatabaseFailed, match="no_such_role could not be given its password") as caught:
        apply(db.url, folder.read(), target=target)
    chain = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert "quite-unmistakable" not in chain
    assert db.rows("SELECT * FROM migration_history.role_password") == []
