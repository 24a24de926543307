"""schema.sql that began as a dump, or that says nothing yet."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import InvalidPlan, Refused
from pipeline.generate.generating import generate
from pipeline.generate.proposals import Wishes
from pipeline.postgres.binaries import find_binary
from pipeline.schema.replay import load
from pipeline.schema.schema_text import read_schema
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from tests.generate.conftest import Checkout

COMMON = """SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
"""
TIMEOUTS = "SET statement_timeout = 0;\nSET lock_timeout = 0;\nSET idle_in_transaction_session_timeout = 0;\n"
HEADS = {
    14: TIMEOUTS + COMMON + "CREATE SCHEMA public;\nALTER SCHEMA public OWNER TO postgres;\n"
    "COMMENT ON SCHEMA public IS 'standard public schema';\n",
    15: TIMEOUTS + COMMON,
    16: "\\restrict x1\n" + TIMEOUTS + COMMON,
    17: "\\restrict x1\n" + TIMEOUTS + "SET transaction_timeout = 0;\n" + COMMON,
    18: "\\restrict x1\n" + TIMEOUTS + "SET transaction_timeout = 0;\n" + COMMON,
}
BODY = """SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE FUNCTION public.all_tags() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM public."Tag" $$;
CREATE TABLE public."Tag" (
    id uuid NOT NULL
);
ALTER TABLE public."Tag" OWNER TO somebody;
ALTER TABLE ONLY public."Tag" ADD CONSTRAINT "Tag_pkey" PRIMARY KEY (id);
GRANT SELECT ON TABLE public."Tag" TO nobody_here;
REVOKE ALL ON FUNCTION public.all_tags() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE somebody IN SCHEMA public GRANT ALL ON TABLES TO nobody_here;
"""


@pytest.mark.parametrize("version", HEADS)
def test_what_pg_dump_writes_is_a_schema(version: int, database: DatabaseURL, tmp_path: Path) -> None:
    schema = tmp_path / "schema.sql"
    tail = "\\unrestrict x1\n" if version > 15 else ""
    schema.write_text(f"--\n-- PostgreSQL database dump\n--\n{HEADS[version]}{BODY}{tail}")
    load(database, schema)
    (note,) = read_schema(schema).notes
    assert note.startswith("ALTER DEFAULT PRIVILEGES, GRANT, OWNER and REVOKE in schema.sql (line")


def test_a_dump_of_the_database_is_its_schema(checkout: Checkout) -> None:
    done = subprocess.run(
        [find_binary("pg_dump"), "--schema-only", "--exclude-schema=migration_history", checkout.local.reveal()],
        capture_output=True,
        text=True,
        check=True,
    )
    checkout.edit(done.stdout)
    made = generate("nothing", checkout.workbench)
    assert made.files == ()
    assert "left out" in made.notes[0]


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ('SELECT 1;\nCOPY public."Tag" (id) FROM stdin;\n1\n\\.\n', "rows have no place", 2),
        ("\\connect shop\n", r"\\connect is a command of psql", 1),
        ("SELECT 1;\n\nSELECT 'open;\n", "never closed", 3),
    ],
)
def test_what_is_no_schema_is_refused_with_its_line(tmp_path: Path, text: str, said: str, line: int) -> None:
    (tmp_path / "schema.sql").write_text(text)
    with pytest.raises(InvalidPlan, match=said) as refused:
        read_schema(tmp_path / "schema.sql")
    assert refused.value.where == f"schema.sql:{line}"


def test_without_migrations_the_first_one_builds_the_schema(checkout: Checkout, database: DatabaseURL) -> None:
    for path in checkout.workbench.migrations.iterdir():
        path.unlink()
    checkout.workbench.migrations.rmdir()  # as in a clone: git keeps no empty folder
    made = generate("as found", checkout.workbench)
    assert [path.name for path in made.files] == ["0001_as_found.sql"]
    assert "depends" not in made.files[0].read_text()
    checkout.run_on(database)
    assert generate("nothing", checkout.workbench).files == ()


def test_an_empty_schema_drops_everything_with_leave_and_nothing_without(checkout: Checkout) -> None:
    names = checkout.names()
    checkout.edit("-- nothing any more\n")
    with pytest.raises(Refused, match='table "Message" with its rows'):
        generate("the end", checkout.workbench)
    assert checkout.names() == names
    generate("the end", checkout.workbench, Wishes(allow_destructive=True), run=checkout.run)
    assert checkout.rows("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


def test_nothing_on_both_sides_is_no_difference(checkout: Checkout) -> None:
    for path in checkout.workbench.migrations.iterdir():
        path.unlink()
    checkout.edit("")
    assert generate("nothing", checkout.workbench).files == ()


def test_the_schema_of_this_repository_leaves_nothing_out() -> None:
    assert read_schema(PRODUCT / "schema.sql").left_out == ()
