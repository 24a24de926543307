"""Statements that PostgreSQL runs outside a transaction only: which of them a file may hold, and what to do about the others.

They are those of PreventInTransactionBlock in PostgreSQL's sources, 14 to 18.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


# What may stand in a file with `-- transactional: false`, as messages name it.
ALLOWED = (
    "CREATE INDEX CONCURRENTLY name, DROP INDEX CONCURRENTLY name, REINDEX … CONCURRENTLY name, "
    "ALTER TABLE … DETACH PARTITION … CONCURRENTLY, VACUUM or CLUSTER table"
)
OF_ITS_OWN = "Put it into a file of its own whose first lines hold `-- transactional: false`."

_DATABASE = "Remove it: a migration changes one database. Databases belong to infra/ (`pulumi up`), the local one to `./inv up`."
_SYSTEM = (
    "Remove it: the server's configuration is its administrator's (Neon's is in infra/). What a role or a database may set for "
    "itself: ALTER ROLE … SET, ALTER DATABASE … SET."
)
_TABLESPACE = "Remove it: a tablespace is a folder of the server and its administrator's; Neon has none."
_TABLE_BY_TABLE = (
    "Name one table, REINDEX TABLE CONCURRENTLY name, each in a file of its own whose first lines hold "
    "`-- transactional: false`."
)
_PREPARED = "Remove it: a prepared transaction is ended by whoever prepared it, and no migration prepares one."
_SUBSCRIPTION = (
    "Let it work without a replication slot, which a transaction could not take back: CREATE SUBSCRIPTION … WITH (connect = "
    "false), ALTER SUBSCRIPTION … WITH (refresh = false), slot_name = NONE before a DROP. The slot itself is made and dropped "
    "on the publisher."
)

# How statements start that no file may hold, and what to do instead.
_OUT_OF_PLACE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("CREATE", "DATABASE"), _DATABASE),
    (("DROP", "DATABASE"), _DATABASE),
    (
        ("ALTER", "SYSTEM"),
        _SYSTEM,
    ),
    (("CREATE", "TABLESPACE"), _TABLESPACE),
    (("DROP", "TABLESPACE"), _TABLESPACE),
    (("REINDEX", "DATABASE"), _TABLE_BY_TABLE),
    (("REINDEX", "SCHEMA"), _TABLE_BY_TABLE),
    (("REINDEX", "SYSTEM"), _TABLE_BY_TABLE),
    (("COMMIT", "PREPARED"), _PREPARED),
    (("ROLLBACK", "PREPARED"), _PREPARED),
    (("DISCARD", "ALL"), "Remove it: the runner makes the session as new behind every file."),
)

# What the server alone finds out, at run time: the words before "cannot run inside a transaction block" in its message.
_AT_RUN_TIME: tuple[tuple[tuple[str, ...], str], ...] = (
    *_OUT_OF_PLACE,
    (("ALTER", "DATABASE"), _DATABASE),
    (("CREATE", "SUBSCRIPTION"), _SUBSCRIPTION),
    (("ALTER", "SUBSCRIPTION"), _SUBSCRIPTION),
    (("DROP", "SUBSCRIPTION"), _SUBSCRIPTION),
    (("REINDEX",), _TABLE_BY_TABLE),  # of a partitioned table, whose partitions are done one by one
    (("CLUSTER",), OF_ITS_OWN),  # likewise
    (("VACUUM",), OF_ITS_OWN),
    (("CREATE", "INDEX"), OF_ITS_OWN),
    (("DROP", "INDEX"), OF_ITS_OWN),
    (("ALTER", "TABLE"), OF_ITS_OWN),
)


def out_of_place(words: Sequence[str]) -> tuple[str, str] | None:
    """What a statement with these words is, when no migration may hold it, and what to do instead."""
    plain = _without_options(words)
    if plain[:2] == ("ALTER", "DATABASE") and plain[3:5] == ("SET", "TABLESPACE"):
        return "ALTER DATABASE … SET TABLESPACE", _TABLESPACE
    if plain in {("CLUSTER",), ("CLUSTER", "VERBOSE")}:
        return "CLUSTER of every table", "Name one: CLUSTER table USING index."
    return next(((" ".join(start), remedy) for start, remedy in _OUT_OF_PLACE if plain[: len(start)] == start), None)


def remedy_at_run_time(message: str) -> str:
    """What to do about a statement that the server refused in a transaction, by the words of its message."""
    words = tuple(message.split())
    known = (remedy for start, remedy in _AT_RUN_TIME if words[: len(start)] == start)
    return next(
        known,
        f"A file of its own with `-- transactional: false` may hold one {ALLOWED}. Nothing else is a migration's.",
    )


def _without_options(words: Sequence[str]) -> tuple[str, ...]:
    """The words without a list of options behind the first one, as in REINDEX (VERBOSE) DATABASE."""
    if len(words) > 1 and words[1] == "(" and ")" in words:
        return (words[0], *words[list(words).index(")") + 1 :])
    return tuple(words)


# SELECT … INTO makes a table everywhere but in what PL/pgSQL's EXECUTE is given, as the runner's files are. There the server
# refuses it when it runs (exec_stmt_dynexecute in pl_exec.c): too late, and with a hint about PL/pgSQL.
SELECT_INTO = (
    "SELECT … INTO: the server takes it for PL/pgSQL's, and would refuse it when it runs",
    "Write it as CREATE TABLE … AS SELECT …, which does the same.",
)


def selects_into(words: Sequence[str]) -> bool:
    """Whether a statement with these words is a SELECT with an INTO of its own: not INSERT INTO, nor a name."""
    opened = next((index for index, word in enumerate(words) if word != "("), 0)
    if words[opened] not in {"SELECT", "WITH"}:
        return False
    depth = 0
    for before, word in pairwise(words):
        depth += (before == "(") - (before == ")")
        if word == "INTO" and depth <= opened and before not in {"INSERT", "MERGE", "AS", "."}:
            return True
    return False
