"""How long locks are held, and what a file leaves behind in its session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.lint.finding import TO_THE_END, about_file, holds
from pipeline.lint.locks import ACCESS_EXCLUSIVE, LOCKS, SHARE, lock_of, locked_by
from pipeline.migrations.phrase import Phrase, altered_table, contains, quoted
from pipeline.migrations.sql_text import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source, Step
    from pipeline.migrations.sql_text import Statement


# drop-cascade: what goes along, and is named nowhere.


def drop_cascade(source: Source) -> Iterable[Finding]:
    """DROP … CASCADE, and DROP COLUMN or DROP CONSTRAINT … CASCADE, of what is in use."""
    for step in source.running:
        if "CASCADE" not in step.words:
            continue
        phrase = Phrase(step.statement)
        table, clauses = altered_table(step.statement)
        drops = any(clause.take("DROP") and "CASCADE" in clause.clause_words() for clause in clauses)
        if phrase.take("DROP"):
            kind = phrase.take_any("TABLE", "VIEW", "MATERIALIZED VIEW")
            phrase.take("IF", "EXISTS")
            names = phrase.names() if kind else []
            drops = phrase.statement.words[1] != "OWNED" and (not names or any(map(step.before.in_use, names)))
        elif not (drops and step.before.in_use(table)):
            continue
        if drops:
            yield source.at(
                step,
                "drop-cascade",
                "every view, foreign key, default and policy that depends on it goes along, unnamed, and the rollback file "
                "cannot know what to make again; ACCESS EXCLUSIVE on every table that loses something: nobody can read or "
                "write those until the whole file is committed",
                "Drop what depends on it by its name, each in a statement of its own, then this without CASCADE: "
                f"{' '.join(step.statement.text.split()).replace(' CASCADE', '')};",
            )


# history-schema: the record of what ran is written by the runner alone.

_SCHEMA = "migration_history"
_YOYO_TABLES = {"_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock"}
_READS = {"SELECT", "TABLE", "EXPLAIN"}


def history_schema(source: Source) -> Iterable[Finding]:
    """Any statement that names the schema of the history, or a table of yoyo's, other than one that reads."""
    for step in source.steps:
        statement = step.statement
        names = {token.identifier for token in statement.tokens if token.kind in {"word", "quoted"}}
        if statement.words[0] not in _READS and (_SCHEMA in names or names & _YOYO_TABLES):
            yield source.at(
                step,
                "history-schema",
                f"{_SCHEMA} records which migrations ran; a migration that touches it can make that record untrue",
                "Leave it to the runner: `./inv rollback`, `./inv baseline`. Data of the platform goes into public.",
            )


# lock-table: a lock taken by hand.


def lock_table(source: Source) -> Iterable[Finding]:
    """LOCK TABLE of a table in use, in a mode that makes writers or readers wait."""
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take("LOCK"):
            continue
        phrase.take("TABLE")
        phrase.take("ONLY")
        names = [name for name in phrase.names() if step.before.in_use(name)]
        lock = lock_of(step.statement) or ""
        if names and LOCKS.index(lock) >= LOCKS.index(SHARE):
            yield source.at(
                step,
                "lock-table",
                f"it {holds(lock, names[0], TO_THE_END)}",
                "Leave it out: each statement takes the lock that it needs, for no longer than it needs. To keep rows from "
                "changing under you: SELECT … FOR UPDATE of those rows.",
            )


# lock-timeout: a wait without end, with everybody waiting behind it.

_DIRECTIVE = re.compile(r"^--\s*pipeline:.*\block-timeout=(?P<value>\d+(?:ms|s|min|h))", re.MULTILINE)
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_LONGEST = 30.0  # seconds: services wait behind the migration that waits
_WHY = (
    "while the file waits for a running query, every query on the table that comes later waits behind it, reads as well, "
    "for as long"
)
_TIMEOUT_HELP = (
    "Leave it out: the runner waits 2 s, and tries again. Or write in the head: -- pipeline: lock-timeout=5s"
)


def lock_timeout(source: Source) -> Iterable[Finding]:
    """Find a lock_timeout that is off or long, in the file's head; and any that a statement sets."""
    if source.is_rollback:
        return
    if source.is_transactional and (match := _DIRECTIVE.search(source.text)) is not None:
        number, unit = re.fullmatch(r"(\d+)(\w+)", match["value"]).groups()  # type: ignore[union-attr]
        seconds = int(number) * _SECONDS[unit]
        if seconds == 0 or seconds > _LONGEST:
            what = "no limit" if seconds == 0 else f"a limit of {match['value']}"
            line = line_of(source.text, match.start("value"))
            yield about_file(source.path, "lock-timeout", f"{what} for waiting: {_WHY}", _TIMEOUT_HELP, line=line)
    for step in source.running:
        if _sets_it(step):
            yield source.at(
                step,
                "lock-timeout",
                f"it sets aside the limit that the runner knows and retries by: {_WHY}",
                _TIMEOUT_HELP,
            )


def _sets_it(step: Step) -> bool:
    words = step.words
    if words[0] in {"SET", "RESET"}:
        return "LOCK_TIMEOUT" in words[:3]
    names = {token.text.strip("'").lower() for token in step.statement.tokens if token.kind == "string"}
    return "SET_CONFIG" in words and "lock_timeout" in names


# missing-rollback: what cannot be undone cannot be proven.


def missing_rollback(source: Source) -> Iterable[Finding]:
    """Find a migration without its NNNN_name.rollback.sql."""
    if not source.is_rollback and source.rollback_path is None:
        rollback = source.path.removesuffix(".sql") + ".rollback.sql"
        yield about_file(
            source.path,
            "missing-rollback",
            "it has no rollback file",
            f"Write {rollback}. If there is nothing to undo, ignore this rule in the file's head and say why.",
        )


# session-state: what a pooler, and the end of the file, forgets.

_SESSION_HELP = (
    "For this file alone: SET LOCAL. For a service: ALTER ROLE … SET, which every connection gets, pooled or not. "
    "For locks: pg_advisory_xact_lock."
)
_SESSION_LOCKS = {
    "PG_ADVISORY_LOCK",
    "PG_ADVISORY_LOCK_SHARED",
    "PG_TRY_ADVISORY_LOCK",
    "PG_TRY_ADVISORY_LOCK_SHARED",
    "PG_ADVISORY_UNLOCK",
    "PG_ADVISORY_UNLOCK_ALL",
}
_STARTS = {"LISTEN", "UNLISTEN", "PREPARE", "DEALLOCATE", "DISCARD", "RESET"}


def session_state(source: Source) -> Iterable[Finding]:
    """SET without LOCAL, temporary tables that outlive a transaction, LISTEN, PREPARE, WITH HOLD, session locks."""
    for step in source.steps:
        statement = step.statement
        what = _why(statement)
        if what:
            yield source.at(
                step,
                "session-state",
                f"{what} lives in the session: Neon's pooler gives the next transaction another one, and the runner "
                "resets it behind each file",
                _SESSION_HELP,
            )


def _why(statement: Statement) -> str:
    words = statement.words
    if words[0] in _STARTS and words[:2] != ("PREPARE", "TRANSACTION"):
        return words[0]
    if locks := _SESSION_LOCKS.intersection(words):
        return min(locks).lower()
    if words[0] == "DECLARE" and contains(words, "WITH", "HOLD"):
        return "a cursor WITH HOLD"
    if words[0] == "CREATE" and {"TEMP", "TEMPORARY"} & set(words[1:4]) and not contains(words, "ON", "COMMIT", "DROP"):
        return "a temporary table"
    return _session_setting(Phrase(statement))


def _session_setting(phrase: Phrase) -> str:
    if not phrase.take("SET") or phrase.take_any("LOCAL", "CONSTRAINTS", "TRANSACTION"):
        return ""
    phrase.take("SESSION")
    if phrase.take("CHARACTERISTICS"):
        return "SET SESSION CHARACTERISTICS"
    name = phrase.name()
    return f"the setting {name}" if name else ""


# several-tables: tables locked one by one, and all of them kept.

_MANY = 3


def several_tables(source: Source) -> Iterable[Finding]:
    """Find a file that takes ACCESS EXCLUSIVE on three tables in use, or more."""
    held: list[str] = []
    for step in source.running if source.is_transactional else ():
        for table, lock in locked_by(step.statement, step.before).items():
            if lock != ACCESS_EXCLUSIVE or table in held or not step.before.in_use(table):
                continue
            held.append(table)
            if len(held) == _MANY:
                others = ", ".join(map(quoted, held[:-1]))
                yield source.at(
                    step,
                    "several-tables",
                    f"it takes ACCESS EXCLUSIVE on {quoted(table)}, and {others} are locked already: nobody can read or write "
                    "any of them while it waits for the next and until the whole file is committed; a service that uses two "
                    "of them in the other order is a deadlock",
                    f"One file for each table: this one ends before ALTER TABLE {quoted(table)} …;",
                )


RULES = (drop_cascade, history_schema, lock_table, lock_timeout, missing_rollback, session_state, several_tables)
