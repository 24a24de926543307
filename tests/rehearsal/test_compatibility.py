"""The services' statements are planned and never run, as their roles; the live release's are those of its commit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.errors import ConfigurationError
from pipeline.history import History
from pipeline.history.record import UNCOMMITTED
from pipeline.migrations.plan import Applied
from pipeline.rehearsal.compatibility import Catalogues, add_traffic, catalogues, compare, live_commit, plan
from pipeline.rehearsal.compatibility.catalogue import Sent, parse_catalogue, write_catalogue
from pipeline.rehearsal.compatibility.reading import Known
from pipeline.rehearsal.result import Trouble
from tests.support import embedded_server
from tests.support.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.rehearsal.result import Compatibility
    from tests.support.embedded_server import EmbeddedTestServer
    from tests.support.server import PostgresServer

CANARY = "canary-51c0"
NOTHING = Catalogues(None, ())
ORDERS = f"""
CREATE TABLE "Order" ("id" int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, "note" text, "state" text NOT NULL);
INSERT INTO "Order" ("note", "state") SELECT '{CANARY}', 'new' FROM generate_series(1, 100);
GRANT SELECT, INSERT, UPDATE, DELETE ON "Order" TO server;
"""


@pytest.fixture
def orders(migrated: DatabaseURL) -> DatabaseURL:
    run(migrated, ORDERS)
    return migrated


def run(database: DatabaseURL, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def known(*texts: str, release: str = "live", role: str = "server", nulls: frozenset[int] = frozenset()) -> Catalogues:
    statements = (Known(role, Sent(f"s{n}", text, nulls=nulls), frozenset({release})) for n, text in enumerate(texts))
    return Catalogues(None, tuple(statements))


def after(database: DatabaseURL, statements: Catalogues, change: str) -> Compatibility:
    before = plan(database, statements)
    run(database, change)
    return compare(before, plan(database, statements))


def sqlstates(database: DatabaseURL, *texts: str, role: str = "server") -> list[str]:
    statements = known(*texts, role=role)
    answers = plan(database, statements).answers
    return [answers[each.role, each.sent.sql].sqlstate for each in statements.statements]


def test_no_statement_is_run(orders: DatabaseURL) -> None:
    run(orders, """CREATE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'DELETE FROM "Order" RETURNING 1'""")
    run(orders, """CREATE SEQUENCE numbers; GRANT USAGE ON SEQUENCE numbers TO server""")
    refused = sqlstates(
        orders,
        'DROP TABLE "Order"',
        'SELECT 1; DELETE FROM "Order"',
        'SELECT 1; COMMIT; DELETE FROM "Order"',
        "COMMIT",
        """DO $$ BEGIN DELETE FROM "Order"; END $$""",
        'COPY "Order" FROM STDIN',
        "SET ROLE NONE",
        "ANALYZE SELECT 1",
        '(ANALYZE) DELETE FROM "Order"',
        'SELECT 1 /* ; DELETE FROM "Order"',
        "CALL spoil()",
    )
    assert set(refused) == {"0A000"}
    assert (
        sqlstates(
            orders,
            'DELETE FROM "Order"',
            """INSERT INTO "Order" ("state") VALUES ('x')""",
            "SELECT spoil()",
            "SELECT nextval('numbers')",
            'WITH gone AS (DELETE FROM "Order" RETURNING 1) SELECT * FROM gone -- a comment at the end',
            'SELECT ";" FROM (SELECT 1 AS ";") AS "a;b"',
        )
        == [""] * 6
    )
    assert run(orders, 'SELECT count(*) FROM "Order"') == [(100,)]
    assert run(orders, "SELECT is_called FROM numbers") == [(False,)]


def test_every_statement_has_its_own_answer_however_many_of_them_fail(orders: DatabaseURL) -> None:
    texts = [f'SELECT "id", {n} FROM "{"Order" if n % 7 else "Gone"}" WHERE "id" = $1' for n in range(160)]
    texts += [f'INSERT INTO "Message" ("id") SELECT {n}' for n in range(3)]
    assert sqlstates(orders, *texts) == ["" if n % 7 else "42P01" for n in range(160)] + ["42804"] * 3


def test_a_service_may_what_its_role_may(orders: DatabaseURL) -> None:
    assert sqlstates(orders, 'SELECT * FROM "Order"', role="ai_service") == ["42501"]
    run(orders, 'CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO server; ALTER TABLE "Order" SET SCHEMA shop')
    assert sqlstates(orders, 'SELECT * FROM "Order"') == ["42P01"]
    run(orders, f'ALTER ROLE server IN DATABASE "{orders.database}" SET search_path = shop, public')
    assert sqlstates(orders, 'SELECT * FROM "Order"') == [""]


def test_a_role_that_is_gone_or_that_the_owner_may_not_be(orders: DatabaseURL, server: PostgresServer) -> None:
    assert sqlstates(orders, "SELECT 1", role="nobody at all") == ["42704"]
    run(server.superuser, "CREATE ROLE stranger")
    try:
        planned = plan(orders, known("SELECT 1", role="stranger"))
        assert planned.answers == {}
        assert "the owner may not become stranger" in planned.not_measured[0]
        assert compare(planned, planned).not_measured == planned.not_measured
    finally:
        run(server.superuser, "DROP ROLE stranger")


def test_what_failed_before_is_told_of_and_not_counted(orders: DatabaseURL) -> None:
    found = after(orders, known("SELECT gone FROM nowhere", 'SELECT "note" FROM "Order"'), "SELECT 1")
    assert [(each.trouble, each.statement) for each in found.troubles] == [(Trouble.FAILED_BEFORE, "s0")]
    assert found.breaks == ()
    assert found.statements == (("server", "live", 2),)


def test_what_only_this_checkout_sends_has_to_be_possible_behind_the_files(orders: DatabaseURL) -> None:
    new = known('SELECT "price" FROM "Order"', 'SELECT "colour" FROM "Order"', release="head")
    [found] = after(orders, new, 'ALTER TABLE "Order" ADD COLUMN "price" int').troubles
    assert (found.trouble, found.release, found.statement, found.condition) == (
        Trouble.FAILS,
        "head",
        "s1",
        "undefined_column",
    )


def test_a_column_is_never_null_for_an_update_either(orders: DatabaseURL) -> None:
    text = 'UPDATE "Order" SET "state" = $2, "note" = $1 WHERE "id" = $3'
    change = """UPDATE "Order" SET "note" = ''; ALTER TABLE "Order" ALTER COLUMN "note" SET NOT NULL"""
    [found] = after(orders, known(text, nulls=frozenset({1})), change).troubles
    assert (found.reason, found.table, found.name) == ("null", 'public."Order"', "note")
    again = known(text, nulls=frozenset({2}))  # that failed before, too
    assert [each.trouble for each in after(orders, again, "SELECT 1").troubles] == [Trouble.FAILED_BEFORE]


def test_a_trigger_may_fill_in_what_an_insert_leaves_out(orders: DatabaseURL) -> None:
    trigger = """CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.kind := 'k'; RETURN NEW; END $$;
    CREATE TRIGGER fill BEFORE INSERT ON "Order" FOR EACH ROW EXECUTE FUNCTION fill();"""
    change = (
        """ALTER TABLE "Order" ADD COLUMN kind text NOT NULL DEFAULT ''; ALTER TABLE "Order" ALTER kind DROP DEFAULT"""
    )
    text = """INSERT INTO "Order" ("state") VALUES ($1)"""
    assert after(orders, known(text), f"{trigger} {change}").troubles == ()
    assert [
        each.reason for each in after(orders, known(text, release="head"), "DROP FUNCTION fill CASCADE").troubles
    ] == ["null"]


def test_nothing_that_is_told_has_a_value_in_it(orders: DatabaseURL) -> None:
    text = f"""INSERT INTO "Order" ("note", "state") VALUES ('{CANARY}', $1)"""
    changes = (
        'CREATE UNIQUE INDEX again ON "Order" ("state", "note", "id")',
        """ALTER TABLE "Order" ALTER COLUMN "state" TYPE int USING 1""",
        'ALTER TABLE "Order" DROP COLUMN "note"',
    )
    for change in changes:
        found = after(orders, known(text), change)
        assert found.breaks or "UNIQUE" in change
        assert CANARY not in repr(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT 1;", "q.sql:1: a statement has no line `-- name: …` above it"),
        ("-- name: a\nSELECT 1;\n\n-- name: a\nSELECT 2;", "q.sql:5: a statement has the name of another one"),
        ("-- name: a\nDROP TABLE x;", "q.sql:2: a is no DELETE, INSERT"),
        ("-- name: a\nSELECT 'x", "q.sql:2: unterminated string"),
    ],
)
def test_a_catalogue_that_cannot_be_read_is_named_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_catalogue(text, "q.sql")
    assert str(caught.value).startswith(told)


def test_a_catalogue_is_read_as_it_was_written() -> None:
    sent = (
        Sent("a", "SELECT ';' -- name: no\n, $1", "x.py", frozenset({1, 12})),
        Sent("b 1", 'WITH x AS (SELECT 1) SELECT * FROM "x;"', "f, g"),
    )
    assert parse_catalogue(write_catalogue(["Of a test"], reversed(sent)), "q.sql") == sent


class Checkout:
    """A git repository whose first commit has no catalogue, and whose second has one."""

    def __init__(self, folder: Path) -> None:
        self.repository = Repository.create(folder / "checkout")
        self.repository.write("0001_one")
        self.repository.commit()
        self.without = self._head()
        self.write("SELECT 1")
        self.repository.commit()
        self.first = self._head()

    def write(self, sql: str) -> None:
        folder = self.repository.root / "queries"
        folder.mkdir(exist_ok=True)
        (folder / "server.sql").write_text(f"-- name: a\n{sql};\n")

    def read(self, commit: str | None, *, anything_live: bool = True) -> Catalogues:
        return catalogues(self.repository.root, commit, anything_live=anything_live)

    def _head(self) -> str:
        return self.repository.git("rev-parse", "HEAD").strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_live_releases_statements_are_those_of_its_commit(checkout: Checkout) -> None:
    checkout.write("SELECT 2")  # as it stands here, committed or not
    found = checkout.read(checkout.first)
    assert {(each.sent.sql, each.releases) for each in found.statements} == {
        ("SELECT 1", frozenset({"live"})),
        ("SELECT 2", frozenset({"head"})),
    }
    assert found.live_commit == checkout.first
    assert found.notes == ("there is no catalogue of what these services send: ai-service (queries/ai_service.sql)",)


def test_a_live_release_without_catalogues_is_taken_for_this_one(checkout: Checkout) -> None:
    found = checkout.read(checkout.without)
    assert [each.releases for each in found.statements] == [frozenset({"live", "head"})]
    assert "has no catalogues: the statements of this checkout were taken for its own" in found.notes[0]
    assert found.not_measured == ()


def test_a_live_release_that_nobody_knows_is_not_measured(checkout: Checkout, tmp_path: Path) -> None:
    for commit in (None, "0" * 40):
        found = checkout.read(commit)
        assert [each.releases for each in found.statements] == [frozenset({"head"})]
        assert len(found.not_measured) == 1
    shallow = tmp_path / "shallow"
    checkout.write("SELECT 3")
    checkout.repository.commit()
    checkout.repository.git("clone", "-q", "--depth=1", f"file://{checkout.repository.root}", str(shallow))
    assert "git fetch --unshallow" in catalogues(shallow, checkout.first).not_measured[0]
    assert checkout.read(None, anything_live=False).not_measured == ()


def test_a_product_without_catalogues_is_rehearsed_without_and_says_so(tmp_path: Path, migrated: DatabaseURL) -> None:
    repository = Repository.create(tmp_path / "checkout")
    repository.write("0001_one")
    repository.commit()
    known_ones = catalogues(repository.root, repository.git("rev-parse", "HEAD").strip())
    planned = plan(migrated, known_ones)
    found = compare(planned, planned)
    assert (found.statements, found.troubles, found.not_measured) == ((), (), ())
    [note] = found.notes
    assert note.endswith("these services send: server (queries/server.sql), ai-service (queries/ai_service.sql)")


def test_the_live_commit_is_the_newest_migrations() -> None:
    def history(*commits: str) -> History:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        # as they were applied, which is not the order of their numbers where a hotfix came between
        rows = [Applied(f"{9 - n}", start + timedelta(hours=n), commit=commit) for n, commit in enumerate(commits)]
        return History(True, {row.id: row for row in reversed(rows)})

    assert live_commit(history("a" * 40, "b" * 40)) == "b" * 40
    assert [live_commit(each) for each in (history(), history("a" * 40, ""), history("a" * 40, UNCOMMITTED))] == [
        None
    ] * 3


@pytest.fixture
def watching() -> Iterator[EmbeddedTestServer]:
    """A server with pg_stat_statements: the embedded one, whichever the session has."""
    started = embedded_server.start()
    try:
        if not run(started.superuser, "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'"):
            pytest.skip("the complete server, with pg_stat_statements, cannot be had")
        yield started
    finally:
        started.remove()


def test_what_production_saw_counts_where_it_shows_it(watching: EmbeddedTestServer) -> None:
    production = watching.create_database()
    as_superuser = watching.as_superuser(production)
    run(as_superuser, f"CREATE EXTENSION pg_stat_statements; CREATE ROLE server; {ORDERS} GRANT server TO CURRENT_USER")
    for sql in (f"SELECT * FROM \"Order\" WHERE note = '{CANARY}'", "UPDATE \"Order\" SET state = 'x' WHERE id = 3"):
        run(as_superuser, f"SET ROLE server; {sql}")

    hidden = add_traffic(production, NOTHING)
    assert hidden.statements == ()
    assert "pg_read_all_stats" in hidden.not_measured[0]

    found = add_traffic(as_superuser, NOTHING)
    assert found.not_measured == ()
    assert {each.sent.sql.split()[0] for each in found.statements} == {"SELECT", "UPDATE"}
    assert CANARY not in repr(found)
    told = after(as_superuser, found, 'ALTER TABLE "Order" DROP COLUMN "note"')
    assert [(each.release, each.reason) for each in told.breaks] == [("traffic", "refused")]
    assert told.breaks[0].statement.startswith("queryid ")

    elsewhere = add_traffic(as_superuser, NOTHING, branch_id="br-1")
    assert "leads to no server of Neon's, and production's branch is br-1" in elsewhere.not_measured[0]
    run(as_superuser, "DROP EXTENSION pg_stat_statements")
    assert "has no extension" in add_traffic(as_superuser, NOTHING).not_measured[0]
    wrong = add_traffic(as_superuser.copy_with(password="wrong"), NOTHING)
    assert "password authentication failed" in wrong.not_measured[0]
