"""Which lock on a table a statement takes, for `plan`.

From PostgreSQL's documentation, version 16: "Explicit Locking", and the notes of each command. Where the clauses of one
ALTER TABLE differ, the strongest counts, as in the server. A statement that locks no table of before gives None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase, altered_table, contains

if TYPE_CHECKING:
    from pipeline.migrations.sql_text import Statement

ACCESS_SHARE = "ACCESS SHARE"
ROW_SHARE = "ROW SHARE"
ROW_EXCLUSIVE = "ROW EXCLUSIVE"
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
SHARE = "SHARE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
EXCLUSIVE = "EXCLUSIVE"
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

# From the weakest to the strongest.
LOCKS = (
    ACCESS_SHARE,
    ROW_SHARE,
    ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    EXCLUSIVE,
    ACCESS_EXCLUSIVE,
)

# How a clause of ALTER TABLE starts, where its lock is not ACCESS EXCLUSIVE.
_CLAUSES = (
    (("VALIDATE", "CONSTRAINT"), SHARE_UPDATE_EXCLUSIVE),
    (("ATTACH", "PARTITION"), SHARE_UPDATE_EXCLUSIVE),
    (("CLUSTER", "ON"), SHARE_UPDATE_EXCLUSIVE),
    (("SET", "WITHOUT", "CLUSTER"), SHARE_UPDATE_EXCLUSIVE),
    (("SET", "("), SHARE_UPDATE_EXCLUSIVE),
    (("RESET", "("), SHARE_UPDATE_EXCLUSIVE),
    (("ENABLE", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("DISABLE", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("ENABLE", "REPLICA", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("ENABLE", "ALWAYS", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
)

# How any other statement starts. CONCURRENTLY is looked for before.
_STARTS = (
    (("CREATE", "INDEX"), SHARE),
    (("CREATE", "UNIQUE", "INDEX"), SHARE),
    (("CREATE", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("CREATE", "CONSTRAINT", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("CREATE", "STATISTICS"), SHARE_UPDATE_EXCLUSIVE),
    (("CREATE", "RULE"), ACCESS_EXCLUSIVE),
    (("CREATE", "OR", "REPLACE", "RULE"), ACCESS_EXCLUSIVE),
    (("CREATE", "OR", "REPLACE", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("CREATE", "OR", "REPLACE", "VIEW"), ACCESS_EXCLUSIVE),
    (("CREATE", "POLICY"), ACCESS_EXCLUSIVE),
    (("ALTER", "INDEX"), SHARE_UPDATE_EXCLUSIVE),
    (("ALTER", "POLICY"), ACCESS_EXCLUSIVE),
    (("ALTER", "TRIGGER"), ACCESS_EXCLUSIVE),
    (("ALTER", "VIEW"), ACCESS_EXCLUSIVE),
    (("ALTER", "MATERIALIZED", "VIEW"), ACCESS_EXCLUSIVE),
    (("ALTER", "SEQUENCE"), SHARE_ROW_EXCLUSIVE),
    (("COMMENT", "ON", "TABLE"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "COLUMN"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "INDEX"), SHARE_UPDATE_EXCLUSIVE),
    (("DROP", "INDEX"), ACCESS_EXCLUSIVE),
    (("DROP", "TABLE"), ACCESS_EXCLUSIVE),
    (("DROP", "VIEW"), ACCESS_EXCLUSIVE),
    (("DROP", "MATERIALIZED", "VIEW"), ACCESS_EXCLUSIVE),
    (("DROP", "SEQUENCE"), ACCESS_EXCLUSIVE),
    (("DROP", "TRIGGER"), ACCESS_EXCLUSIVE),
    (("DROP", "POLICY"), ACCESS_EXCLUSIVE),
    (("DROP", "RULE"), ACCESS_EXCLUSIVE),
    (("TRUNCATE",), ACCESS_EXCLUSIVE),
    (("CLUSTER",), ACCESS_EXCLUSIVE),
    (("REFRESH", "MATERIALIZED", "VIEW", "CONCURRENTLY"), EXCLUSIVE),
    (("REFRESH", "MATERIALIZED", "VIEW"), ACCESS_EXCLUSIVE),
    (("REINDEX",), SHARE),
    (("VACUUM",), SHARE_UPDATE_EXCLUSIVE),
    (("ANALYZE",), SHARE_UPDATE_EXCLUSIVE),
    (("INSERT",), ROW_EXCLUSIVE),
    (("UPDATE",), ROW_EXCLUSIVE),
    (("DELETE",), ROW_EXCLUSIVE),
    (("MERGE",), ROW_EXCLUSIVE),
    (("COPY",), ROW_EXCLUSIVE),
    (("SELECT",), ACCESS_SHARE),
)


def lock_of(statement: Statement) -> str | None:
    """Name the strongest lock that the statement takes on a table that is there before, or None.

    A guess from the text: what a DO block, a function or a WITH query does inside is not seen.
    """
    table, clauses = altered_table(statement)
    if table:
        return max((_lock_of_clause(clause) for clause in clauses), key=LOCKS.index, default=ACCESS_EXCLUSIVE)
    words = statement.words
    special = _lock_by_option(words)
    if special is not None or words[:2] == ("CREATE", "TABLE"):
        return special
    return next((lock for start, lock in _STARTS if words[: len(start)] == start), None)


def _lock_by_option(words: tuple[str, ...]) -> str | None:
    """Give the lock of a statement whose options decide it."""
    lock = None
    if words[:2] == ("CREATE", "TABLE") and "REFERENCES" in words:
        lock = SHARE_ROW_EXCLUSIVE
    elif words[0] == "LOCK":
        lock = _named_mode(words)
    elif _is_concurrent(words):
        lock = SHARE_UPDATE_EXCLUSIVE
    elif words[0] == "VACUUM" and "FULL" in words:
        lock = ACCESS_EXCLUSIVE
    elif words[0] == "SELECT" and any(contains(words, "FOR", mode) for mode in ("UPDATE", "SHARE", "NO", "KEY")):
        lock = ROW_SHARE
    return lock


def _lock_of_clause(clause: Phrase) -> str:
    for start, lock in _CLAUSES:
        if clause.take(*start):
            return lock
    if clause.take("DETACH", "PARTITION"):
        return SHARE_UPDATE_EXCLUSIVE if "CONCURRENTLY" in clause.clause_words() else ACCESS_EXCLUSIVE
    if clause.take("ADD") and _is_foreign_key(clause):
        return SHARE_ROW_EXCLUSIVE
    if clause.take("ALTER"):
        clause.take("COLUMN")
        clause.name()
        if clause.take_any("SET STATISTICS", "SET (", "RESET ("):
            return SHARE_UPDATE_EXCLUSIVE
    return ACCESS_EXCLUSIVE


def _is_foreign_key(clause: Phrase) -> bool:
    if clause.take("CONSTRAINT"):
        clause.name()
    return clause.take("FOREIGN", "KEY")


def _is_concurrent(words: tuple[str, ...]) -> bool:
    return words[0] in {"CREATE", "DROP", "REINDEX"} and "CONCURRENTLY" in words[:6] and words[1] != "MATERIALIZED"


def _named_mode(words: tuple[str, ...]) -> str:
    for mode in reversed(LOCKS):
        if contains(words, "IN", *mode.split(), "MODE"):
            return mode
    return ACCESS_EXCLUSIVE
