"""Every backfill proven to end, and to change nothing when it runs once more: tried on rows, and thrown away.

The rows are those of the local database, some hundred of them, put into the schema as it is before the file: the columns that
the statement sets are left at their defaults, so that there is something to do. Triggers are off meanwhile. Where the
local database has no rows, what can be asked of an empty table is asked: the key, and that both statements run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.backfill import count_remaining
from pipeline.backfill.keys import between, read_key
from pipeline.errors import InvalidPlan, MigrationFailed
from pipeline.kinds.one_table import ALONE, INSERTED
from pipeline.lint.finding import about_file
from pipeline.migrations.phrase import Phrase
from pipeline.migrations.sql_text import statements
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbclient.url import DatabaseURL
    from pipeline.backfill.keys import Key
    from pipeline.lint.finding import Finding
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.batched import Batched
    from pipeline.postgres.session import Session

RULE = "backfill"
_ROWS = 500


def unproven_backfill(database: DatabaseURL, file: MigrationFile, rows_of: DatabaseURL | None) -> list[Finding]:
    """What is against a batched file, on a database that has the files before it. It is left as it was found."""
    batched = file.forward.batched
    if batched is None:
        return []
    with open_session(database, application_name="db-pipeline check") as session:
        try:
            session.run("BEGIN")
            key = read_key(session, file, batched)
            if rows_of is not None:
                _fill(session, batched, rows_of)
            return [
                about_file(file.path, RULE, what, remedy, line=batched.line)
                for what, remedy in _faults(session, file, batched, key)
            ]
        except InvalidPlan as fault:
            return [about_file(file.path, RULE, fault.what, fault.remedy, line=batched.line)]
        except (ServerError, MigrationFailed) as error:
            what = error.fields.get("message", "") if isinstance(error, ServerError) else error.what
            return [about_file(file.path, RULE, f"it fails: {what}", "Correct it.", line=batched.line)]
        finally:
            if session.in_transaction:
                session.run("ROLLBACK")


def _faults(session: Session, file: MigrationFile, batched: Batched, key: Key) -> Iterable[tuple[str, str]]:
    if not _uses(session, batched, key):
        yield (
            f"a batch of it does not find its rows by the key's index {key.index}, so each would read all of them",
            "The condition beside the marker has to leave that index to it: no OR around the marker, and no cast of the key.",
        )
    changed = _count(session, batched.whole)
    again = _count(session, batched.whole)
    if again:
        yield (
            f"of {changed} rows that it changes on local rows it changes {again} once more when it runs again",
            "Its condition has to leave out what is done: IS DISTINCT FROM the new value, IS NULL, NOT EXISTS.",
        )
    if left := count_remaining(session, file, batched, own_transaction=False):
        yield (
            f"`-- remaining:` counts {left} rows when all are done, on local rows: it would never end",
            "The condition of `-- remaining:` and that of the statement have to mean the same rows.",
        )


def _fill(session: Session, batched: Batched, rows_of: DatabaseURL) -> None:
    """Put local rows into the table, where there are any and it takes them."""
    table = literal(batched.table)
    here = session.run(INSERTED.format(table=table))[0].rows[0][0] or ""
    with open_session(rows_of, application_name="db-pipeline check") as local:
        there = local.run(INSERTED.format(table=table))[0].rows[0][0] or ""
        set_ = _set_columns(batched)
        columns = [each for each in here.split(",") if each in there.split(",") and each.strip('"') not in set_]
        if not columns:
            return
        listed = ", ".join(columns)
        found = local.run(f"SELECT json_agg(r) FROM (SELECT {listed} FROM {batched.table} LIMIT {_ROWS}) AS r")
    rows = found[0].rows[0][0]
    if not rows or not json.loads(rows):
        return
    session.run(f"SAVEPOINT rows;{ALONE.format(table=table)}")
    try:
        session.run(
            f"INSERT INTO {batched.table} ({listed}) OVERRIDING SYSTEM VALUE SELECT {listed} "
            f"FROM pg_catalog.json_populate_recordset(NULL::{batched.table}, {literal(rows)})"
        )
    except ServerError:  # a column that the statement sets has no default: then an empty table has to do
        session.run("ROLLBACK TO SAVEPOINT rows")
        return
    session.run(f"ALTER TABLE {batched.table} ENABLE TRIGGER USER;ANALYZE {batched.table}")


def _set_columns(batched: Batched) -> set[str]:
    """The columns that an UPDATE sets, as far as they are written one by one."""
    phrase = Phrase(statements(batched.whole)[0])
    found: set[str] = set()
    if not phrase.take("UPDATE") or not phrase.skip_to("SET"):
        return found
    for clause in phrase.clauses():
        found.add(clause.name())
        if "WHERE" in clause.clause_words():
            break
    return found


def _uses(session: Session, batched: Batched, key: Key) -> bool:
    """Whether a batch's plan, made for any range, has a condition on the key's index."""
    planner = "".join(f"SET LOCAL {name} = off;" for name in ("enable_seqscan", "enable_bitmapscan"))
    prepared = f"PREPARE batch (text[], text[]) AS {batched.statement(between(batched, key))}"
    explained = "EXPLAIN (FORMAT JSON, COSTS OFF) EXECUTE batch (NULL, NULL)"
    session.run(f"{planner}SET LOCAL plan_cache_mode = force_generic_plan;{prepared}")
    plan = session.run(explained)[0].rows
    session.run("DEALLOCATE batch;SET LOCAL enable_seqscan = on;SET LOCAL enable_bitmapscan = on")
    text = "".join(row[0] or "" for row in plan)
    return _found(json.loads(text)[0]["Plan"], key.index)


def _found(plan: dict[str, object], index: str) -> bool:
    parts = plan.get("Plans")
    inside = any(_found(part, index) for part in parts) if isinstance(parts, list) else False
    # a partition's index has a name of its own
    return inside or (
        "Index Cond" in plan and (plan.get("Index Name") == index or "Append" in str(plan.get("Node Type")))
    )


def _count(session: Session, sql: str) -> int:
    """How many rows a statement changed."""
    words = session.run(sql)[-1].command.split()
    return int(words[-1]) if words and words[-1].isdecimal() else 0
