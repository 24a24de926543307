"""drop-primary-key: rows that nobody can name any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import NOT_TRANSACTIONAL, TO_THE_END, holds
from pipeline.lint.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.phrase import Phrase
    from pipeline.lint.source import Source, Step


def drop_primary_key(source: Source) -> Iterable[Finding]:
    """DROP CONSTRAINT of a primary key, on a table in use, unless the same statement puts another in its place."""
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if not step.before.in_use(table):
            continue
        replaced = any("USING" in each.clause_words() and "PRIMARY" in each.clause_words() for each in clauses)
        for clause in clauses:
            if replaced or not _drops_key(clause, table, step):
                continue
            key = step.before.relation(table).primary_key()
            columns = ", ".join(map(quoted, key.columns)) if key and key.columns else "…"
            yield source.at(
                step,
                "drop-primary-key",
                f"it {holds('ACCESS EXCLUSIVE', table, TO_THE_END)}; from then on two rows may be the same, INSERT … ON CONFLICT "
                "fails, foreign keys have nothing to point to, and where the table is replicated (REPLICA IDENTITY DEFAULT), "
                "every UPDATE and DELETE fails",
                f"Build the new key first, {NOT_TRANSACTIONAL}: CREATE UNIQUE INDEX CONCURRENTLY new_key ON {quoted(table)} "
                f"({columns}); then in one statement: ALTER TABLE {quoted(table)} DROP CONSTRAINT …, ADD PRIMARY KEY USING "
                "INDEX new_key;",
            )


def _drops_key(clause: Phrase, table: str, step: Step) -> bool:
    if not clause.take("DROP", "CONSTRAINT"):
        return False
    clause.take("IF", "EXISTS")
    name = clause.name()
    relation = step.before.relation(table)
    known = relation.constraints.get(name)
    if known is not None or relation.is_read:
        return known is not None and known.kind == "primary key"
    return name == f"{table.rpartition('.')[2]}_pkey"  # as PostgreSQL names it, where no file has made the table
