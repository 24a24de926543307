"""adding-serial-primary-key-field: a primary key whose index is built while nobody can use the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.definitions import named, read_added
from pipeline.lint.effect import NOT_TRANSACTIONAL, holds, while_reading
from pipeline.lint.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def adding_serial_primary_key_field(source: Source) -> Iterable[Finding]:
    """ADD a primary key that builds its index, to a table in use; also inside of ADD COLUMN."""
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if not step.before.in_use(table):
            continue
        for clause in clauses:
            key = next((each for each in read_added(clause)[1] if each.kind == "primary key"), None)
            if key is None or key.using_index:
                continue
            name, columns = quoted(named(key, table).name), ", ".join(map(quoted, key.columns))
            yield source.at(
                step,
                "adding-serial-primary-key-field",
                f"it {holds('ACCESS EXCLUSIVE', table, while_reading(table))}, and the index of the key is built",
                f"Make the columns NOT NULL first (rule set-not-null), and build the index {NOT_TRANSACTIONAL}: CREATE UNIQUE "
                f"INDEX CONCURRENTLY {name} ON {quoted(table)} ({columns}); then ALTER TABLE {quoted(table)} ADD CONSTRAINT "
                f"{name} PRIMARY KEY USING INDEX {name};",
            )
