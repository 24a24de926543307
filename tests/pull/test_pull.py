"""Rows come to the local database, and nothing of what is masked comes with them; the environment is only read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.checkout import Checkout
from pipeline.deploy.claim import Claim, set_marker_sql
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.errors import ConfigurationError, DatabaseFailed, NotLocal, Refused
from pipeline.history import Marker
from pipeline.migrations import read_folder
from pipeline.pull import Pulled, pull
from tests.support.databases import LOCAL, MIGRATIONS, PRODUCT
from tests.support.sample import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import PostgresServer


@dataclass
class Sides:
    """An environment's database and a local one, and the folder with masking.toml."""

    root: Path
    source: Database
    target: Database

    def rules(self, text: str) -> None:
        (self.root / "masking.toml").write_text(text)

    def build(self, sql: str) -> None:
        self.source.run(sql)
        self.target.run(sql)

    def pull(self, *, name: str = "dev", masked: bool = False, confirmed: bool = True) -> Pulled:
        environment = Environment(name, self.source.url, "a test")
        local = Environment("local", self.target.url, "a test", own=True)
        claim = Claim("pull", lambda _: True)
        return pull(
            Checkout(self.root, environment, Target(name), "pull"),
            Checkout(self.root, local, Target("local", local_only=True, claim=claim), "pull"),
            masked=masked,
            confirm=lambda _: confirmed,
        )


@pytest.fixture
def sides(server: PostgresServer, tmp_path: Path) -> Iterator[Sides]:
    source, target = server.create_database(), server.create_database()
    yield Sides(tmp_path, Database(source), Database(target))
    server.drop_database(source)
    server.drop_database(target)


@pytest.fixture
def product(sides: Sides) -> Sides:
    """Both with the product's schema, and the product's own rules."""
    folder = read_folder(MIGRATIONS)
    apply(sides.source.url, folder)
    apply(sides.target.url, folder, target=LOCAL)
    sides.rules((PRODUCT / "masking.toml").read_text())
    return sides


def everything(database: Database) -> str:
    """Every row of every table, as text."""
    tables = database.rows(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return "\n".join(str(row[0]) for (table,) in tables for row in database.rows(f"SELECT t::text FROM {table} t"))


def fill(database: Database, canaries: list[str]) -> None:
    """Put a canary into each place of the tables that a rule does not keep, for a hundred people."""
    take = iter(canaries)

    def some(count: int) -> list[str]:
        return [next(take) for _ in range(count)]

    with database.connect() as connection:
        for _ in range(100):
            person, name, email, image = some(4)
            connection.execute(
                'INSERT INTO "User" (id, name, email, image) VALUES (%s, %s, %s, %s)',
                (person, name, f"{email}@x.org", image),
            )
            account, token, session = some(3)
            connection.execute(
                'INSERT INTO "Account" ("userId", type, provider, "providerAccountId", access_token) '
                "VALUES (%s, 'oauth', 'x', %s, %s)",
                (person, account, token),
            )
            connection.execute(
                'INSERT INTO "Session" ("sessionToken", "userId", expires) VALUES (%s, %s, now())', (session, person)
            )
            text, key, value = some(3)
            connection.execute(
                'WITH t AS (INSERT INTO "Thread" ("userId") VALUES (%s) RETURNING id) INSERT INTO "Message" '
                '("threadId", role, content, "metaJson", "toolCalls") SELECT id, \'human\', %s, %s, %s FROM t',
                (person, f"one\t{text}\\n\nbackslash \\", json.dumps({key: [value]}), json.dumps([key, {"a": value}])),
            )


def test_of_a_thousand_canaries_none_arrives(product: Sides) -> None:
    canaries = [f"canary{number:04}" for number in range(1000)]
    fill(product.source, canaries)
    before = everything(product.source)
    assert [canary for canary in canaries if canary not in before] == []

    pulled = product.pull()

    arrived = everything(product.target)
    assert [canary for canary in canaries if canary in arrived] == []
    assert dict(pulled.rows)['public."Message"'] == 100
    # and what a service needs is there: foreign keys, lengths, ids and times
    assert product.target.value('SELECT count(*) FROM "Account" JOIN "User" ON "User".id = "userId"') == 100
    assert (
        product.target.value(
            "SELECT count(DISTINCT email) FROM \"User\" WHERE email ~ '^person-[0-9a-f]{20}@example.org$'"
        )
        == 100
    )
    same = 'SELECT id, "threadId", role, length(content), "createdAt" FROM "Message" ORDER BY id'
    assert product.source.rows(same) == product.target.rows(same)
    assert everything(product.source) == before


def test_a_new_column_without_a_rule_is_masked(product: Sides) -> None:
    product.build('ALTER TABLE "User" ADD COLUMN phone text, ADD COLUMN tags varchar(12)[], ADD COLUMN age int')
    product.source.run(
        """INSERT INTO "User" (id, phone, tags, age) VALUES ('u', 'canary', '{canary,NULL,"a,b"}', 41)"""
    )
    product.pull()

    (row,) = product.target.rows('SELECT phone, tags, age FROM "User"')
    assert "canary" not in str(row)
    assert "a,b" not in str(row)
    assert str(row[0]).startswith("masked-")
    assert row[2] != 41
    assert product.target.value('SELECT tags[2] IS NULL AND array_length(tags, 1) = 3 FROM "User"') is True


def test_production_is_refused_and_with_masked_only_what_is_listed_is_kept(product: Sides) -> None:
    fill(product.source, [f"canary{number:04}" for number in range(1000)])
    with pytest.raises(Refused, match="production's rows"):
        product.pull(name="prod")
    assert product.target.value('SELECT count(*) FROM "User"') == 0

    product.pull(name="prod", masked=True)
    ids = 'SELECT id FROM "Thread"'
    assert not set(product.source.rows(ids)) & set(product.target.rows(ids))
    assert product.target.value('SELECT count(*) FROM "Message" JOIN "Thread" ON "Thread".id = "threadId"') == 100


def test_production_is_known_by_its_mark_too_whatever_the_name(product: Sides) -> None:
    product.source.run(set_marker_sql(Marker("prod", "another-branch")))  # of the parent that this is a copy of
    with pytest.raises(Refused, match="production's rows"):
        product.pull()


def test_nothing_but_a_local_database_is_written(product: Sides) -> None:
    product.target.run(set_marker_sql(Marker("dev", "")))
    with pytest.raises(NotLocal):
        product.pull()


def test_a_role_that_may_only_read_is_enough_for_the_environment(sides: Sides, server: PostgresServer) -> None:
    sides.build("CREATE TABLE t (id serial PRIMARY KEY, name text)")
    sides.source.run("INSERT INTO t (name) VALUES ('a'), ('b')")
    reader = f"reader_{sides.source.url.database}"
    Database(server.superuser).run(f"CREATE ROLE {reader} LOGIN PASSWORD 'reads'")
    try:
        sides.source.run(f"GRANT SELECT ON t TO {reader}")
        only_reads = Sides(
            sides.root, Database(sides.source.url.copy_with(user=reader, password="reads")), sides.target
        )
        assert dict(only_reads.pull().rows) == {"public.t": 2}
        sides.source.run(f"REVOKE SELECT ON t FROM {reader}")
        with pytest.raises(DatabaseFailed, match="permission denied for table t"):
            only_reads.pull()
        assert sides.target.value("SELECT count(*) FROM t") == 2, "what was there stands"
    finally:
        Database(server.superuser.copy_with(database=sides.source.url.database)).run(f"DROP OWNED BY {reader}")
        Database(server.superuser).run(f"DROP ROLE {reader}")


def test_rows_that_row_security_hides_are_an_error_and_not_left_out(sides: Sides) -> None:
    sides.build("CREATE TABLE t (id int PRIMARY KEY)")
    sides.source.run("INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    with pytest.raises(DatabaseFailed, match="row-level security"):
        sides.pull()


def test_without_a_yes_nothing_is_changed(product: Sides) -> None:
    product.target.run("INSERT INTO \"User\" (id) VALUES ('mine')")
    with pytest.raises(Refused):
        product.pull(confirmed=False)
    assert product.target.rows('SELECT id FROM "User"') == [("mine",)]


def test_a_mask_that_does_not_fit_leaves_the_local_rows_and_quotes_no_value(sides: Sides) -> None:
    sides.build("CREATE TABLE t (id int PRIMARY KEY, kind text CHECK (kind IN ('secret-a', 'secret-b')))")
    sides.source.run("INSERT INTO t VALUES (1, 'secret-a')")
    sides.target.run("INSERT INTO t VALUES (9, 'secret-b')")
    with pytest.raises(DatabaseFailed, match="t_kind_check") as raised:
        sides.pull()
    assert "secret-a" not in str(raised.value)
    assert "masking.toml" in str(raised.value)
    assert sides.target.rows("SELECT id FROM t") == [(9,)]


def test_a_local_schema_that_lacks_something_is_refused(sides: Sides) -> None:
    sides.source.run("CREATE TABLE t (id int); CREATE TABLE u (id int)")
    sides.target.run("CREATE TABLE t (other int)")
    with pytest.raises(Refused, match=r"the local database lacks t\.id, u"):
        sides.pull()


def test_rows_come_in_the_order_of_their_keys_and_sequences_go_on(sides: Sides) -> None:
    sides.build(
        "CREATE TABLE z_parent (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, above int REFERENCES z_parent, twice int "
        "GENERATED ALWAYS AS (2 * id) STORED);"
        "CREATE TABLE a_child (id serial PRIMARY KEY, parent int REFERENCES z_parent) PARTITION BY RANGE (id);"
        "CREATE TABLE a_part PARTITION OF a_child FOR VALUES FROM (0) TO (1000)"
    )
    sides.source.run(
        "INSERT INTO z_parent (above) VALUES (2), (NULL), (1); INSERT INTO a_child (parent) SELECT id FROM z_parent"
    )
    assert dict(sides.pull().rows) == {"public.z_parent": 3, "public.a_child": 3}
    assert sides.target.rows("SELECT * FROM z_parent ORDER BY id") == sides.source.rows(
        "SELECT * FROM z_parent ORDER BY id"
    )
    assert sides.target.rows("INSERT INTO a_child DEFAULT VALUES RETURNING id") == [(4,)]


def test_keys_in_a_circle_are_refused(sides: Sides) -> None:
    sides.build(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a);"
        "ALTER TABLE a ADD FOREIGN KEY (id) REFERENCES b"
    )
    with pytest.raises(Refused, match="go in a circle"):
        sides.pull()


def test_unique_numbers_and_texts_stay_so_and_equal_ones_equal(sides: Sides) -> None:
    sides.build(
        "CREATE TABLE p (id int PRIMARY KEY, small int2 UNIQUE, code char(12) UNIQUE);"
        "CREATE TABLE c (id int PRIMARY KEY, code char(12) REFERENCES p (code))"
    )
    sides.source.run(
        "INSERT INTO p SELECT n, n, n::text FROM generate_series(-32768, 32767) n;"
        "INSERT INTO c SELECT id, code FROM p WHERE id % 100 = 0"
    )
    sides.pull()
    assert sides.target.value("SELECT count(DISTINCT small) FROM p") == 65536
    assert sides.target.value("SELECT count(*) < 20 FROM p WHERE small = id") is True
    assert sides.target.value("SELECT count(*) FROM c JOIN p USING (code) WHERE c.id = p.id") == 655


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ('[tables.p]\ncode = "hide"', "unknown"),
        ('[tables.p]\ncdoe = "keep"', "no column cdoe of p"),
        ('[p]\ncode = "keep"', "p is unknown"),
        ('[tables.p]\nid = "null"', "may not be null"),
        ('[tables.p]\nid = "fake name"', "for text"),
        ('[tables.p]\ncode = "fake text"', "unique"),
        ('[tables.p]\ncode = "mask"\n[tables.c]\ncode = "keep"', 'refers to p.code, which is "mask"'),
        ("[tables", "cannot read it"),
        ('tables = "p"', "no table of TOML"),
    ],
)
def test_rules_that_cannot_be_are_refused_before_anything_is_changed(sides: Sides, rules: str, message: str) -> None:
    sides.build("CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE); CREATE TABLE c (code text REFERENCES p (code))")
    sides.target.run("INSERT INTO p VALUES (7)")
    sides.rules(rules)
    with pytest.raises(ConfigurationError, match=message) as raised:
        sides.pull()
    assert raised.value.where == "masking.toml"
    assert sides.target.rows("SELECT id FROM p") == [(7,)]


def test_every_type_has_a_mask_or_a_refusal(sides: Sides) -> None:
    sides.build(
        "CREATE TYPE mood AS ENUM ('calm', 'wild'); CREATE DOMAIN address AS varchar(30) CHECK (value <> '');"
        "CREATE TABLE t (id uuid PRIMARY KEY, m mood, a address, b bytea, n numeric, f float8, o boolean, d date, j json, "
        "k jsonb, i inet, r int4range, v int8, x interval, l int[], z timestamptz)"
    )
    sides.source.run(
        "INSERT INTO t VALUES (gen_random_uuid(), 'wild', 'canary', 'canary', 17.5, 17.5, true, '1980-05-17', '{\"canary\": 1}', "
        "'[\"canary\"]', '17.17.17.17', '[17,18)', 9223372036854775807, '17 days', '{17}', '2020-05-17')"
    )
    sides.pull()
    (row,) = sides.target.rows("SELECT id, m, a, b, n, f, o, d::text, j, k, i::text, r, v, x, l, z::text FROM t")
    assert row[1:-1] == ("calm", row[2], b"", 0, 0, False, "1980-01-01", {}, [], "0.0.0.0/32", None, row[12], None, [])
    assert row[12] not in {9223372036854775807, None}
    assert len(str(row[2])) == 30
    assert str(row[-1]).startswith("2020-05-17")
    assert row[0] == sides.source.value("SELECT id FROM t")

    sides.build("ALTER TABLE t ADD COLUMN needed int4range NOT NULL DEFAULT 'empty'")
    with pytest.raises(ConfigurationError, match="no mask for the type int4range"):
        sides.pull()


def test_the_products_rules_name_columns_that_there_are(product: Sides) -> None:
    assert product.pull().rows.keys() == {
        f'public."{name}"'
        for name in ("Account", "Message", "ScopeConsent", "Session", "Thread", "User", "VerificationToken")
    }
