"""clients/prisma/schema.prisma and the database say the same, in the words of Prisma's own engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from tests.support.typescript import PRISMA

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.typescript import Node

COMMITTED = PRISMA / "schema.prisma"


def test_what_prisma_finds_in_the_database_is_the_committed_schema(node: Node, migrated: DatabaseURL) -> None:
    assert node.run("pull.mjs", url=migrated) == COMMITTED.read_text()


def test_prisma_has_nothing_to_change_in_the_migrated_database(node: Node, migrated: DatabaseURL) -> None:
    assert node.run("diff.mjs", url=migrated).strip() == "-- This is an empty migration."


def test_a_database_that_differs_is_noticed_by_both(node: Node, migrated: DatabaseURL) -> None:
    with psycopg.connect(migrated.reveal()) as connection:
        connection.execute('ALTER TABLE "Thread" ADD COLUMN "title" text')
        connection.execute('DROP INDEX "Message_threadId_createdAt_idx"')
    assert "title" in node.run("pull.mjs", url=migrated)
    change = node.run("diff.mjs", url=migrated, check=False)
    assert 'DROP COLUMN "title"' in change
    assert 'CREATE INDEX "Message_threadId_createdAt_idx"' in change
