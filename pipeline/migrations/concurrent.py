"""The few statements that run outside a transaction, read closely enough to tell after a crash how far one came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.migrations.phrase import Phrase

if TYPE_CHECKING:
    from pipeline.migrations.sql_text import Statement


@dataclass(frozen=True, slots=True)
class Concurrent:
    """A statement that PostgreSQL refuses inside a transaction block.

    `kind` is "create index", "drop index", "reindex index", "reindex table", "detach partition", "vacuum" or "cluster";
    `name` is the object's name as the file spells it (quoted, with a schema or without; empty for VACUUM). For CREATE INDEX it
    has the schema of the table, where PostgreSQL puts a new index; `table` is spelled likewise, `bare_table` without its
    schema, and `definition` is what follows the table's name. For DETACH PARTITION `name` is the partition and `table` what
    it is detached from. An `exclusive` one keeps phrases waiting for as long as it waits itself.
    """

    kind: str
    sql: str
    name: str = ""
    table: str = ""
    bare_table: str = ""
    definition: str = ""
    unique: bool = False
    if_not_exists: bool = False
    exclusive: bool = False


def read_concurrent(statement: Statement) -> Concurrent | None:
    """The statement as a Concurrent, or None for one of another kind, or one that names no index."""
    phrase = Phrase(statement)
    if phrase.take("CREATE"):
        return _create_index(phrase)
    if phrase.take("DROP", "INDEX", "CONCURRENTLY"):
        phrase.take("IF", "EXISTS")
        name = phrase.spelled_name()
        phrase.take("RESTRICT")
        return Concurrent("drop index", statement.text, name) if name and phrase.at_end else None
    if phrase.take("REINDEX"):
        return _reindex(phrase)
    if phrase.take("VACUUM"):
        return Concurrent("vacuum", statement.text, exclusive=_is_full(phrase))
    if phrase.take("CLUSTER"):
        return _cluster(phrase)
    if phrase.take("ALTER", "TABLE"):
        return _detach_partition(phrase)
    return None


def _create_index(phrase: Phrase) -> Concurrent | None:
    unique = phrase.take("UNIQUE")
    if not phrase.take("INDEX", "CONCURRENTLY"):
        return None
    if_not_exists = phrase.take("IF", "NOT", "EXISTS")
    name = phrase.spelled_identifier()
    if not name or not phrase.take("ON"):
        return None
    phrase.take("ONLY")
    table = phrase.spelled_name()
    bare = phrase.statement.tokens[phrase.at - 1].text
    if not table:
        return None
    schema = table.removesuffix(bare)
    return Concurrent(
        "create index",
        phrase.statement.text,
        schema + name,
        table,
        bare,
        phrase.rest_text,
        unique=unique,
        if_not_exists=if_not_exists,
    )


def _reindex(phrase: Phrase) -> Concurrent | None:
    options = [token.upper for token in phrase.group()]
    for what in ("INDEX", "TABLE"):
        if phrase.take(what):
            concurrently = phrase.take("CONCURRENTLY") or "CONCURRENTLY" in options
            name = phrase.spelled_name()
            if concurrently and name and phrase.at_end and "(" not in options:  # no option's value has parentheses
                return Concurrent(f"reindex {what.lower()}", phrase.statement.text, name)
    return None


def _detach_partition(phrase: Phrase) -> Concurrent | None:
    phrase.take("IF", "EXISTS")
    phrase.take("ONLY")
    table = phrase.spelled_name()
    phrase.take("*")
    if not table or not phrase.take("DETACH", "PARTITION"):
        return None
    name = phrase.spelled_name()
    if not name or not phrase.take("CONCURRENTLY") or not phrase.at_end:
        return None
    return Concurrent("detach partition", phrase.statement.text, name, table)


def _cluster(phrase: Phrase) -> Concurrent | None:
    if any(token.text == "(" for token in phrase.group()):
        return None
    phrase.take("VERBOSE")
    name = phrase.spelled_name()
    if phrase.take("ON"):  # CLUSTER index ON table, as before PostgreSQL 8.3
        name = phrase.spelled_name()
    elif phrase.take("USING"):
        phrase.spelled_name()
    return Concurrent("cluster", phrase.statement.text, name, exclusive=True) if name and phrase.at_end else None


def _is_full(phrase: Phrase) -> bool:
    """Whether a VACUUM rewrites its tables: VACUUM FULL, or VACUUM (…, FULL [true], …)."""
    options = [token.upper for token in phrase.group()]
    for index, word in enumerate(options):
        if word == "FULL":
            value = options[index + 1] if index + 1 < len(options) else ","
            return value.strip("'\"").upper() not in {"FALSE", "OFF", "0"}
    return phrase.take("FULL")
