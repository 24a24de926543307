"""Every kind of change goes the real way: generated, proven, applied to a database with rows. None is silently wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy.rolling_back import rollback
from pipeline.errors import Refused
from pipeline.generate.generating import DraftLeft, generate
from pipeline.generate.new_migrations import is_draft
from pipeline.generate.proposals import Wishes
from pipeline.migrations import read_folder
from pipeline.schema.replay import load
from tests.generate.changes import CHANGES
from tests.generate.conftest import catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.schema.catalog import Catalog
    from tests.generate.change import Change
    from tests.generate.conftest import Checkout
    from tests.support.server import PostgresServer

COLUMNS = """
SELECT c.relname, format('%I.%I', n.nspname, c.relname), string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'migration_history')
   AND c.relkind IN ('r', 'p') AND NOT c.relispartition
 GROUP BY 1, 2
"""
BEFORE = "0900_extras"
A_ROW = {
    "Note": 'INSERT INTO "Note" ("messageId") SELECT "id" FROM "Message" LIMIT 1',
    "Ticket": 'INSERT INTO "Ticket" DEFAULT VALUES',
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
def test_a_change_converges_with_its_rows_kept_or_ends_as_a_draft(
    change: Change,
    with_rows: Checkout,
    server: PostgresServer,
    shape: Catalog,
    record_property: Callable[[str, object], None],
) -> None:
    skip_without_extension(change, with_rows)
    with_rows.edit(change.of(with_rows.workbench.schema.read_text()))
    before = contents(with_rows)
    names = with_rows.names()
    wishes = Wishes(allow_destructive=change.allow_destructive, renames=change.renames)
    ending = "converged"
    try:
        made = generate("change", with_rows.workbench, wishes, run=with_rows.run)
        record_property("notes", "; ".join(made.notes))
    except DraftLeft as draft:
        ending = "draft" if draft.exit_code == 4 and all(map(is_marked, draft.files)) else "unmarked"
    except Refused:
        ending = "refused"
        assert with_rows.names() == names
    record_property("change", change.id)
    record_property("ending", ending)
    assert ending == change.ending
    assert kept(before, contents(with_rows), change) == []
    if ending == "converged":
        if change.asked:
            assert made.report is None
            with_rows.run(with_rows.folder)
        assert_it_goes_there_and_back(change, with_rows, shape, server)
        assert {finding.rule for finding in made.findings} == set(change.asked)
        assert all("\n" not in note for note in made.notes)
    assert_no_shadow_is_left(server)


def assert_it_goes_there_and_back(change: Change, checkout: Checkout, shape: Catalog, server: PostgresServer) -> None:
    """What was applied is what schema.sql says, by a comparison that the generation had no part in.

    Rolled back, it is what it was; and applied again, as the first time. New rows get new numbers in each state.
    """
    desired = desired_catalog(checkout, server)
    folder = read_folder(checkout.workbench.migrations)
    assert desired.differences(catalog(checkout.local), without={"privilege"}) == []
    assert_that_numbers_go_on(change, checkout, server)
    rollback(checkout.local, folder, to=BEFORE)
    assert shape.differences(catalog(checkout.local)) == []
    assert_that_numbers_go_on(change, checkout, server)
    checkout.run(folder)
    assert desired.differences(catalog(checkout.local), without={"privilege"}) == []
    assert_that_numbers_go_on(change, checkout, server)


def assert_that_numbers_go_on(change: Change, checkout: Checkout, server: PostgresServer) -> None:
    """A service's next row has a number behind all those that are there, unless its column has none by itself."""
    for text in change.counts:
        table, _, column = text.partition(".")
        with psycopg.connect(server.as_superuser(checkout.local).reveal()) as connection:
            ((last,),) = connection.execute(f'SELECT max("{column}") FROM "{table}"').fetchall()
            connection.execute("SET ROLE server")
            try:
                ((number,),) = connection.execute(f'{A_ROW[table]} RETURNING "{column}"').fetchall()
            except psycopg.errors.NotNullViolation as plain:
                number = None
                assert plain.diag.column_name == column  # noqa: PT017 - and no other column
            assert number is None or number > last
            connection.rollback()


def is_marked(path: Path) -> bool:
    return is_draft(path.read_text())


def skip_without_extension(change: Change, checkout: Checkout) -> None:
    wanted = set(re.findall(r"CREATE EXTENSION (\w+)", change.add))
    if wanted and (missing := wanted - {name for (name,) in checkout.rows("SELECT name FROM pg_available_extensions")}):
        pytest.skip(f"this server has no extension {', '.join(missing)}")


def contents(checkout: Checkout) -> dict[str, tuple[int, dict[str, str]]]:
    """Every table's number of rows, and what each column holds in all of them."""
    found = {}
    with psycopg.connect(checkout.local.reveal()) as connection:
        for table, full_name, columns in connection.execute(COLUMNS).fetchall():
            names = columns.split(", ")
            sums = ", ".join(f"md5(string_agg({name}::text, '|' ORDER BY {name}::text))" for name in names)
            (number, *values), *_ = connection.execute(f"SELECT count(*), {sums} FROM {full_name}").fetchall()
            found[table] = (number, dict(zip(names, values, strict=True)))
    return found


def kept(
    before: dict[str, tuple[int, dict[str, str]]], after: dict[str, tuple[int, dict[str, str]]], change: Change
) -> list[str]:
    """What is not there any more, or not the same, of what the change did not take away on purpose."""
    lost = []
    for table, (number, columns) in before.items():
        name = next((new for old, new in _renamed(change) if old == table), table)
        if name not in after:
            lost += [] if change.allow_destructive else [f"table {table}"]
            continue
        lost += [f"rows of {table}"] if after[name][0] != number else []
        there = {key.strip('"'): value for key, value in after[name][1].items()}
        for column, value in columns.items():
            old = f"{table}.{column.strip(chr(34))}"
            now = next((new for was, new in _renamed(change) if was == old), column.strip('"'))
            meant = change.allow_destructive or change.group == "type" or old in change.rewritten
            lost += [] if meant or there.get(now) == value else [old]
    return lost


def _renamed(change: Change) -> list[tuple[str, str]]:
    return [(old, new.rpartition(".")[2]) for old, _, new in (text.partition("=") for text in change.renames)]


def desired_catalog(checkout: Checkout, server: PostgresServer) -> Catalog:
    desired = server.create_database()
    try:
        load(desired, checkout.workbench.schema)
        return catalog(desired)
    finally:
        server.drop_database(desired)


def assert_no_shadow_is_left(server: PostgresServer) -> None:
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'pipeline\\_shadow%'").fetchall()
    assert left == []


def test_a_hundred_and_twenty_kinds_converge_with_nothing_to_ask_about() -> None:
    assert len({change.id for change in CHANGES}) == len(CHANGES)
    assert len([change for change in CHANGES if change.ending == "converged" and not change.asked]) >= 140
