"""table-rewrite: every row written again, under a lock that stops everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase, altered_table, contains

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Statement


# Functions that give another value for each row: PostgreSQL cannot keep one for all rows, so it writes each.
_VOLATILE = {
    "GEN_RANDOM_UUID",
    "UUID_GENERATE_V4",
    "UUID_GENERATE_V1",
    "CLOCK_TIMESTAMP",
    "TIMEOFDAY",
    "RANDOM",
    "NEXTVAL",
}
_SERIAL = {"SERIAL", "BIGSERIAL", "SMALLSERIAL", "SERIAL4", "SERIAL8", "SERIAL2"}


def table_rewrite(source: Source) -> Iterable[Finding]:
    """Find what makes PostgreSQL write a whole table again, by the notes of ALTER TABLE in its documentation.

    A table that this file makes is empty, and left out.
    """
    if source.is_rollback:
        return
    for statement in source.statements:
        table, clauses = altered_table(statement)
        if table in source.new_tables:
            continue
        what = next((why for clause in clauses if (why := _why(clause))), "") or _whole_table_command(statement)
        if what:
            yield source.at(
                statement,
                "table-rewrite",
                f"{what} writes every row again: nobody can read the table meanwhile, and it needs its own size in "
                "storage once more, which counts against Neon's quota",
                "Expand and contract instead: a new column, filled in steps, then the switch "
                "(docs/expand-contract.md). For a small table, ignore this rule with its size as the reason.",
            )


def _why(clause: Phrase) -> str:
    if clause.take("ADD"):
        clause.take("COLUMN")
        clause.take("IF", "NOT", "EXISTS")
        return _about_new_column(clause)
    if clause.take("ALTER"):
        clause.take("COLUMN")
        name = clause.name()
        if name and clause.take_any("TYPE", "SET DATA TYPE"):
            return "changing a column's type"
        return ""
    if clause.take_any("SET LOGGED", "SET UNLOGGED", "SET ACCESS METHOD", "SET TABLESPACE"):
        return "moving the table to another storage"
    return ""


def _about_new_column(clause: Phrase) -> str:
    if clause.take_any("CONSTRAINT", "CHECK", "FOREIGN KEY", "PRIMARY KEY", "UNIQUE", "EXCLUDE"):
        return ""
    clause.name()
    words = clause.clause_words()
    if _SERIAL & set(words[:1]) or contains(words, "AS", "IDENTITY"):
        return "a new column that numbers the rows"
    if "STORED" in words:
        return "a new generated column"
    if "DEFAULT" in words and _VOLATILE & set(words[words.index("DEFAULT") :]):
        return "a new column whose default differs from row to row"
    return ""


def _whole_table_command(statement: Statement) -> str:
    words = statement.words
    if words[0] == "CLUSTER" or (words[0] == "VACUUM" and "FULL" in words):
        return " ".join(words[:1] if words[0] == "CLUSTER" else ("VACUUM", "FULL"))
    return ""
