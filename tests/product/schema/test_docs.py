"""The SQL and the links of the pages about the schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.history.record import Author
from pipeline.migrations import read_folder
from verbs.reference.__main__ import verb_contexts

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("schema", "expand-contract", "a-bad-migration", "adopting")]


def _sql(page: Path) -> list[str]:
    return re.findall(r"```sql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_queries_of_the_schema_page_run(chat: psycopg.Connection[Any]) -> None:
    queries = _sql(ROOT / "docs" / "schema.md")
    for number, query in enumerate(queries):
        chat.execute(f"PREPARE q{number} AS {query}")

    assert len(queries) == 2


def test_the_page_about_bad_migrations_finds_where_a_restore_would_go_back_to(database: DatabaseURL) -> None:
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        before = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone() or ("",)
        apply(
            database,
            read_folder(ROOT / "migrations"),
            author=lambda: Author(
                actor="the deployer", host="a host", commit="0123456789abcdef0123456789abcdef01234567"
            ),
        )
        (query,) = _sql(ROOT / "docs" / "a-bad-migration.md")
        rows = connection.execute(query).fetchall()
        positions = [row[5] for row in rows]
        in_order = connection.execute(
            "SELECT bool_and(later > earlier) FROM (SELECT p::pg_lsn AS later, "
            "lead(p::pg_lsn, 1, %s) OVER (ORDER BY n) AS earlier FROM unnest(%s::text[]) WITH ORDINALITY AS u (p, n)) AS l",
            [before[0], positions],
        ).fetchone()

    newest = rows[0]
    assert newest[:4] == ("0006_what_both_clients_can_read_validate", "apply", "the deployer", "a host")
    assert newest[6] == "0123456789abcdef0123456789abcdef01234567"
    assert newest[7].isdecimal()
    assert in_order == (True,)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere_and_verbs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [
        target
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text)
        if not target.startswith("https://") and not (page.parent / target).exists()
    ]
    verbs = set(re.findall(r"\./inv (\w+)", text))

    assert missing == []
    assert verbs <= set(verb_contexts())
