"""Which lock a statement takes on what is there before it, for `plan` and for the rules.

From PostgreSQL's documentation, version 16: "Explicit Locking", and the notes of each command; where it is silent, from
pg_locks of a server, with which a test compares every kind of statement. Where the clauses of one ALTER TABLE differ, the
strongest counts, as in the server. Where a statement locks several relations, the strongest counts too: ALTER TABLE …
ATTACH PARTITION takes SHARE UPDATE EXCLUSIVE on the table and ACCESS EXCLUSIVE on its default partition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.bodies import body_of
from pipeline.lint.model import Schema
from pipeline.migrations.phrase import Phrase, altered_table, contains

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    (("CLUSTER", "ON"), SHARE_UPDATE_EXCLUSIVE),
    (("SET", "WITHOUT", "CLUSTER"), SHARE_UPDATE_EXCLUSIVE),
    (("ENABLE", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("DISABLE", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("ENABLE", "REPLICA", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
    (("ENABLE", "ALWAYS", "TRIGGER"), SHARE_ROW_EXCLUSIVE),
)

# How any other statement starts; the first that fits counts.
_STARTS = (
    (("CREATE", "STATISTICS"), SHARE_UPDATE_EXCLUSIVE),
    (("CREATE", "POLICY"), ACCESS_EXCLUSIVE),
    (("CREATE", "PUBLICATION"), SHARE_UPDATE_EXCLUSIVE),
    (("ALTER", "PUBLICATION"), SHARE_UPDATE_EXCLUSIVE),
    (("ALTER", "POLICY"), ACCESS_EXCLUSIVE),
    (("ALTER", "RULE"), ACCESS_EXCLUSIVE),
    (("ALTER", "TRIGGER"), ACCESS_EXCLUSIVE),
    (("ALTER", "VIEW"), ACCESS_EXCLUSIVE),
    (("ALTER", "MATERIALIZED", "VIEW"), ACCESS_EXCLUSIVE),
    (("ALTER", "FOREIGN", "TABLE"), ACCESS_EXCLUSIVE),
    (("ALTER", "STATISTICS"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "TABLE"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "FOREIGN", "TABLE"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "COLUMN"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "INDEX"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "VIEW"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "MATERIALIZED", "VIEW"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "SEQUENCE"), SHARE_UPDATE_EXCLUSIVE),
    (("COMMENT", "ON", "CONSTRAINT"), ACCESS_SHARE),
    (("COMMENT", "ON", "TRIGGER"), ACCESS_SHARE),
    (("COMMENT", "ON", "POLICY"), ACCESS_SHARE),
    (("COMMENT", "ON", "RULE"), ACCESS_SHARE),
    (("SECURITY", "LABEL"), SHARE_UPDATE_EXCLUSIVE),
    (("DROP", "INDEX"), ACCESS_EXCLUSIVE),
    (("DROP", "TABLE"), ACCESS_EXCLUSIVE),
    (("DROP", "FOREIGN", "TABLE"), ACCESS_EXCLUSIVE),
    (("DROP", "VIEW"), ACCESS_EXCLUSIVE),
    (("DROP", "MATERIALIZED", "VIEW"), ACCESS_EXCLUSIVE),
    (("DROP", "SEQUENCE"), ACCESS_EXCLUSIVE),
    (("DROP", "TRIGGER"), ACCESS_EXCLUSIVE),
    (("DROP", "POLICY"), ACCESS_EXCLUSIVE),
    (("DROP", "RULE"), ACCESS_EXCLUSIVE),
    (("DROP", "STATISTICS"), SHARE_UPDATE_EXCLUSIVE),
    (("DROP", "PUBLICATION"), SHARE_UPDATE_EXCLUSIVE),
    (("DROP", "OWNED"), ACCESS_EXCLUSIVE),
    (("REASSIGN", "OWNED"), ACCESS_EXCLUSIVE),
    (("TRUNCATE",), ACCESS_EXCLUSIVE),
    (("CLUSTER",), ACCESS_EXCLUSIVE),
    (("REFRESH", "MATERIALIZED", "VIEW", "CONCURRENTLY"), EXCLUSIVE),
    (("REFRESH", "MATERIALIZED", "VIEW"), ACCESS_EXCLUSIVE),
    # SHARE on the table; on each index ACCESS EXCLUSIVE, for which every reader waits: planning looks at all of them
    (("REINDEX",), ACCESS_EXCLUSIVE),
    (("ANALYZE",), SHARE_UPDATE_EXCLUSIVE),
    (("INSERT",), ROW_EXCLUSIVE),
    (("UPDATE",), ROW_EXCLUSIVE),
    (("DELETE",), ROW_EXCLUSIVE),
    (("MERGE",), ROW_EXCLUSIVE),
    (("TABLE",), ACCESS_SHARE),
    (("DECLARE",), ACCESS_SHARE),
)
_WRITES = {"INSERT", "UPDATE", "DELETE", "MERGE"}
_COUNTERS = {"NEXTVAL", "SETVAL"}
_QUERIES = {"SELECT", "WITH", "EXPLAIN", "DECLARE", "PREPARE", "COPY", "VALUES", "EXECUTE"}


def strongest(locks: Iterable[str | None]) -> str | None:
    """Give the strongest of these locks; None when there is none."""
    return max((lock for lock in locks if lock), key=LOCKS.index, default=None)


def lock_of(statement: Statement, schema: Schema | None = None) -> str | None:
    """Name the strongest lock that the statement takes on a relation that is there before, or None.

    A guess from the text and from `schema`, which knows the functions that files have made. What a function does that no
    file makes is not seen; every branch of a DO block counts as taken.
    """
    schema = schema or Schema()
    if statement.words[0] == "DO":
        return strongest(lock_of(inner, schema) for inner in body_of(statement))
    return strongest((_lock_of(statement, schema), *_called(statement, schema)))


def locked_by(statement: Statement, schema: Schema) -> dict[str, str]:
    """Give the tables that the statement names and locks, each with the lock; those that CASCADE reaches are left out."""
    phrase = Phrase(statement)
    table, clauses = altered_table(statement)
    if table:
        return _locked_by_alter(table, clauses)
    lock = lock_of(statement, schema)
    if lock is None:
        return {}
    if phrase.take("CREATE"):
        return _locked_by_create(phrase, lock)
    if phrase.take_any("DROP TABLE", "TRUNCATE TABLE", "TRUNCATE", "LOCK TABLE", "LOCK"):
        phrase.take("IF", "EXISTS")
        phrase.take("ONLY")
        return dict.fromkeys(phrase.names(), lock)
    if phrase.take("DROP", "INDEX"):
        phrase.take("CONCURRENTLY")
        phrase.take("IF", "EXISTS")
        tables = (schema.indexes[name].table for name in phrase.names() if name in schema.indexes)
        return dict.fromkeys(tables, lock)
    if phrase.take_any("INSERT INTO", "UPDATE", "DELETE FROM", "MERGE INTO"):
        phrase.take("ONLY")
        return {phrase.name(): lock}
    return {}


def _locked_by_alter(table: str, clauses: list[Phrase]) -> dict[str, str]:
    locked = {table: strongest(map(_lock_of_clause, clauses)) or ACCESS_EXCLUSIVE}
    for clause in clauses:
        words = clause.clause_words()
        start = clause.at
        if clause.take("ATTACH", "PARTITION"):
            locked = {table: SHARE_UPDATE_EXCLUSIVE, clause.name(): ACCESS_EXCLUSIVE}
        elif clause.take("DETACH", "PARTITION"):
            locked[clause.name()] = locked[table]
        elif words[:1] == ("ADD",) and "REFERENCES" in words:
            clause.at = start + words.index("REFERENCES") + 1
            locked.setdefault(clause.name(), SHARE_ROW_EXCLUSIVE)
    return locked


def _locked_by_create(phrase: Phrase, lock: str) -> dict[str, str]:
    words = phrase.statement.words
    if words[:2] in {("CREATE", "TABLE"), ("CREATE", "UNLOGGED")}:
        found = {}
        for number, word in enumerate(words):
            if word == "REFERENCES":
                found[Phrase(phrase.statement, number + 1).name()] = SHARE_ROW_EXCLUSIVE
            elif word == "OF" and words[number - 1] == "PARTITION":
                found[Phrase(phrase.statement, number + 1).name()] = ACCESS_EXCLUSIVE
        return found
    if ("INDEX" in words[:3] or "TRIGGER" in words[:4] or "POLICY" in words[:2]) and phrase.skip_to("ON"):
        phrase.take("ONLY")
        return {phrase.name(): lock}
    return {}


def _called(statement: Statement, schema: Schema) -> Iterator[str | None]:
    """The locks of the functions that a statement calls."""
    if not schema.routines or statement.words[0] in {"CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "COMMENT"}:
        return
    for token, behind in zip(statement.tokens, statement.tokens[1:], strict=False):
        routine = schema.routines.get(token.identifier) if behind.text == "(" else None
        if routine is not None:
            bare = Schema(relations=schema.relations)  # a function that calls itself ends here
            yield from (lock_of(inner, bare) for inner in routine.body)


def _lock_of(statement: Statement, schema: Schema) -> str | None:
    words = statement.words
    table, clauses = altered_table(statement)
    if table:
        return strongest(map(_lock_of_clause, clauses)) or ACCESS_EXCLUSIVE
    if words[0] == "LOCK":
        return _named_mode(words)
    if words[0] in _QUERIES:
        return _lock_of_query(words)
    if words[0] == "VACUUM":
        return ACCESS_EXCLUSIVE if "FULL" in words else SHARE_UPDATE_EXCLUSIVE
    if words[0] in {"CREATE", "DROP", "REINDEX"} and "CONCURRENTLY" in words[:6] and words[1] != "MATERIALIZED":
        return SHARE_UPDATE_EXCLUSIVE
    if words[0] == "CREATE":
        return _lock_of_create(words, schema, statement)
    if words[0] in {"GRANT", "REVOKE"}:
        return _lock_of_grant(words)
    if words[0] == "DROP" and "CASCADE" in words:
        return ACCESS_EXCLUSIVE  # on every table that has something of what goes
    return _lock_of_other_alter(words) or next((lock for start, lock in _STARTS if words[: len(start)] == start), None)


def _lock_of_query(words: tuple[str, ...]) -> str | None:
    if words[0] == "EXPLAIN" and "ANALYZE" not in words[:4]:
        return ACCESS_SHARE
    if words[0] not in {"SELECT", "DECLARE"} and _writes(words):
        return ROW_EXCLUSIVE
    if _COUNTERS & set(words) or (words[0] == "COPY" and "FROM" in words):
        return ROW_EXCLUSIVE
    if any(contains(words, "FOR", mode) for mode in ("UPDATE", "SHARE", "NO", "KEY")):
        return ROW_SHARE
    reads = "FROM" in words or "TABLE" in words or words[0] == "COPY"
    return ACCESS_SHARE if reads else None


def _writes(words: tuple[str, ...]) -> bool:
    """Whether a query writes: UPDATE is a lock of rows behind FOR, and behind FOR NO KEY."""
    return any(word in _WRITES and words[number - 1] not in {"FOR", "KEY"} for number, word in enumerate(words))


def _lock_of_create(words: tuple[str, ...], schema: Schema, statement: Statement) -> str | None:
    replaces = words[1:3] == ("OR", "REPLACE")
    rest = words[3:] if replaces else words[1:]
    while rest and rest[0] in {"UNIQUE", "CONSTRAINT", "TEMP", "TEMPORARY", "UNLOGGED", "GLOBAL", "LOCAL", "RECURSIVE"}:
        rest = rest[1:]
    kind = rest[0] if rest else ""
    if kind == "INDEX":
        return SHARE
    if kind == "TRIGGER":
        return SHARE_ROW_EXCLUSIVE
    if kind == "RULE" or (kind == "VIEW" and replaces):
        return ACCESS_EXCLUSIVE
    if kind in {"TABLE", "SCHEMA", "VIEW", "MATERIALIZED"}:
        return _lock_of_new_relation(rest)
    if kind == "SEQUENCE":
        return ACCESS_SHARE if contains(words, "OWNED", "BY") else None
    if kind in {"FUNCTION", "PROCEDURE"}:
        reads = "ATOMIC" in words and {"FROM", "INTO", "UPDATE"} & set(words)
        return strongest(lock_of(inner, schema) for inner in body_of(statement)) if reads else None
    return next((lock for start, lock in _STARTS if words[: len(start)] == start), None)


def _lock_of_new_relation(words: tuple[str, ...]) -> str | None:
    if contains(words, "PARTITION", "OF"):
        return ACCESS_EXCLUSIVE
    if "REFERENCES" in words:
        return SHARE_ROW_EXCLUSIVE
    if "INHERITS" in words:
        return SHARE_UPDATE_EXCLUSIVE
    if {"LIKE", "OF", "FROM"} & set(words) or contains(words, "AS", "TABLE"):
        return ACCESS_SHARE
    return None


def _lock_of_grant(words: tuple[str, ...]) -> str | None:
    """On a table or a sequence by its name; ALL TABLES, and anything else, locks none."""
    if "ON" not in words:
        return None
    behind = words[words.index("ON") + 1 :]
    others = {"ALL", "SCHEMA", "DATABASE", "FUNCTION", "PROCEDURE", "ROUTINE", "TYPE", "DOMAIN", "LANGUAGE", "FOREIGN",
              "LARGE", "PARAMETER", "TABLESPACE"}  # fmt: skip
    return None if behind[:1] and behind[0] in others else ACCESS_SHARE


def _lock_of_other_alter(words: tuple[str, ...]) -> str | None:
    if words[:2] == ("ALTER", "INDEX"):
        strong = {"TABLESPACE", "ATTACH", "DEPENDS"} & set(words)
        return ACCESS_EXCLUSIVE if strong else SHARE_UPDATE_EXCLUSIVE
    if words[:2] == ("ALTER", "SEQUENCE"):
        strong = {"RENAME", "SCHEMA", "OWNER", "LOGGED", "UNLOGGED"} & set(words)
        return ACCESS_EXCLUSIVE if strong else SHARE_ROW_EXCLUSIVE
    if words[:2] == ("ALTER", "TYPE") and "ATTRIBUTE" in words:
        return ACCESS_EXCLUSIVE  # on the tables of the type, and with CASCADE on those that are made of it
    if words[:2] == ("ALTER", "DOMAIN"):
        checks = "ADD" in words or "VALIDATE" in words or contains(words, "SET", "NOT", "NULL")
        return SHARE if checks else None  # on every table that has a column of it
    return None


def _lock_of_clause(clause: Phrase) -> str:
    words = clause.clause_words()
    for start, lock in _CLAUSES:
        if words[: len(start)] == start:
            return lock
    if words[:2] in {("SET", "("), ("RESET", "(")}:
        return ACCESS_EXCLUSIVE if "USER_CATALOG_TABLE" in words else SHARE_UPDATE_EXCLUSIVE
    if words[:2] == ("DETACH", "PARTITION"):
        return SHARE_UPDATE_EXCLUSIVE if "CONCURRENTLY" in words else ACCESS_EXCLUSIVE
    if words[:1] == ("ADD",) and _is_foreign_key(Phrase(clause.statement, clause.at + 1)):
        return SHARE_ROW_EXCLUSIVE
    if words[:1] == ("ALTER",):
        column = Phrase(clause.statement, clause.at + 1)
        column.take("COLUMN")
        column.name()
        if column.take_any("SET STATISTICS", "SET (", "RESET ("):
            return SHARE_UPDATE_EXCLUSIVE
    return ACCESS_EXCLUSIVE


def _is_foreign_key(clause: Phrase) -> bool:
    if clause.take("CONSTRAINT"):
        clause.name()
    return clause.take("FOREIGN", "KEY")


def _named_mode(words: tuple[str, ...]) -> str:
    for mode in reversed(LOCKS):
        if contains(words, "IN", *mode.split(), "MODE"):
            return mode
    return ACCESS_EXCLUSIVE
