"""Rows: changed, emptied, copied or locked by a migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.finding import TO_THE_END, holds
from pipeline.lint.locks import LOCKS, SHARE, locked_by
from pipeline.lint.row_changes import row_changes
from pipeline.migrations.phrase import Phrase, names_in, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.row_changes import RowChange
    from pipeline.lint.source import Source, Step


# copy-file: the server has no files of ours.

_FILE_FUNCTIONS = {"LO_IMPORT", "LO_EXPORT", "PG_READ_FILE", "PG_READ_BINARY_FILE", "PG_LS_DIR"}


def copy_file(source: Source) -> Iterable[Finding]:
    """COPY from or to a file or a program of the server, and the functions that read its files."""
    for step in source.steps:
        statement = step.statement
        if _copies_a_file(Phrase(statement)) or _FILE_FUNCTIONS.intersection(statement.words):
            yield source.at(
                step,
                "copy-file",
                "it reads or writes a file of the server, which needs a right that nobody has on Neon",
                "Write the rows as INSERT … VALUES; load large data from a client, outside of the migrations.",
            )


def _copies_a_file(phrase: Phrase) -> bool:
    if not phrase.take("COPY"):
        return False
    depth = 0
    for at, token in enumerate(phrase.rest):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.upper in {"FROM", "TO"}:
            target = phrase.rest[at + 1 : at + 2]
            return bool(target) and (target[0].kind == "string" or target[0].upper == "PROGRAM")
    return False


# ddl-with-data: a table locked for as long as its rows are changed.

_STRONG = LOCKS[LOCKS.index(SHARE) :]


def ddl_with_data(source: Source) -> Iterable[Finding]:
    """Find DDL on a table in use, and a change of its rows behind it, in one file, which is one transaction.

    A change that is bounded is let be; so is one before the DDL, which does not hold the table meanwhile.
    """
    held: dict[str, tuple[str, Step]] = {}
    for step in source.running if source.is_transactional else ():
        for change in row_changes(Phrase(step.statement), step.before):
            if change.table in held and not change.is_bounded and step.before.in_use(change.table):
                lock, by = held[change.table]
                table = change.table
                yield source.at(
                    step,
                    "ddl-with-data",
                    f"line {by.anchor.line} {holds(lock, table, 'for as long as this changes rows, and until the commit')}",
                    f"Two files: the DDL alone, which takes a moment; then the rows, in steps: UPDATE {quoted(table)} SET … "
                    f"WHERE id IN (SELECT id FROM {quoted(table)} WHERE … LIMIT 5000); (docs/expand-contract.md).",
                )
        for table, lock in locked_by(step.statement, step.before).items():
            if lock in _STRONG and step.before.in_use(table):
                held.setdefault(table, (lock, step))


# enum-value-in-use: a value that exists from the commit on, used before it.

_HARMLESS = {("ALTER", "TYPE"), ("COMMENT", "ON")}


def enum_value_in_use(source: Source) -> Iterable[Finding]:
    """ALTER TYPE … ADD VALUE, and the value in another statement of the file: PostgreSQL calls it an unsafe use."""
    for step in source.running if source.is_transactional else ():
        literals = {
            token.text[1:-1] for token in step.statement.tokens if token.kind == "string" and token.text[0] == "'"
        }
        if step.words[:2] in _HARMLESS:
            continue
        for type_ in step.before.types.values():
            used = literals.intersection(type_.added) if not type_.is_new else set()
            if used:
                value = min(used)
                yield source.at(
                    step,
                    "enum-value-in-use",
                    f"'{value}' was added to {quoted(type_.name)} in this file and cannot be used before the commit: the file "
                    "fails with `unsafe use of new value`, and nothing of it stands",
                    f"Put this statement into the next file; ALTER TYPE {quoted(type_.name)} ADD VALUE '{value}'; stays in "
                    "this one.",
                )


# endless-backfill: a condition that is as true of what is done.

_LOOKS_ELSEWHERE = {"EXISTS", "IN", "EXCEPT", "CONFLICT", "ANY", "ALL"}


def endless_backfill(source: Source) -> Iterable[Finding]:
    """A batched UPDATE whose condition names no column that it sets, or an INSERT … SELECT that leaves out nothing."""
    if not source.is_batched or source.is_rollback:
        return
    for step in source.running:
        words = set(step.words)
        if words & _LOOKS_ELSEWHERE or step.words[0] == "DELETE" or (step.words[0] == "INSERT" and "NULL" in words):
            continue
        phrase = Phrase(step.statement)
        if phrase.take("UPDATE") and _sets_what_it_asks(phrase):
            continue
        yield source.at(
            step,
            "endless-backfill",
            "its condition is as true of rows that are done as of the others: whatever runs again, since a batch failed or rows "
            "were added, is done again, and what is left never gets less",
            "Leave out what is done: WHERE … IS DISTINCT FROM the new value, or … IS NULL; of an INSERT … SELECT, NOT EXISTS "
            "(docs/backfills.md).",
        )


def _sets_what_it_asks(phrase: Phrase) -> bool:
    """Whether a column that an UPDATE sets is in its condition."""
    if not phrase.skip_to("SET"):
        return False
    columns = set()
    for clause in phrase.clauses():
        columns |= set(names_in(clause.group())) or {clause.name()}
        if "WHERE" in clause.clause_words():
            break
    return phrase.skip_to("WHERE") and not columns.isdisjoint(names_in(phrase.rest))


# truncate: all rows gone, under a lock that stops everybody.


def truncate(source: Source) -> Iterable[Finding]:
    """TRUNCATE of a table in use, also in a function's body; with CASCADE, of every table that refers to it."""
    for step in source.steps if not source.is_rollback else ():
        phrase = Phrase(step.statement)
        if not phrase.take("TRUNCATE"):
            continue
        phrase.take("TABLE")
        phrase.take("ONLY")
        names = [name for name in phrase.names() if step.before.in_use(name)]
        if not names:
            continue
        table = names[0]
        more = ""
        if "CASCADE" in step.words:
            known = ", ".join(map(quoted, step.before.referencing(table)))
            more = f"; CASCADE empties every table that refers to it as well{f' ({known})' if known else ''}"
        yield source.at(
            step,
            "truncate",
            f"every row of {', '.join(map(quoted, names))} is gone, no rollback file brings one back, and DELETE triggers do "
            f"not run; it {holds('ACCESS EXCLUSIVE', table, TO_THE_END)}{more}",
            f"DELETE FROM {quoted(table)} WHERE …; for the rows that are meant, in steps. If all of them are, ignore this rule "
            "and say why nobody misses them.",
        )


# whole-table-change: rows changed or deleted without a bound.

_UNTIL = "until the whole file is committed"


def whole_table_change(source: Source) -> Iterable[Finding]:
    """UPDATE or DELETE of a table in use without a WHERE, or with one that may be true of any number of rows.

    A bound is a LIMIT, or values for all columns of a unique key. In a function's body, which others call, only a missing
    WHERE is found.
    """
    for step in source.steps if not source.is_rollback and not source.is_batched else ():
        for change in row_changes(Phrase(step.statement), step.before):
            if not step.before.in_use(change.table) or change.is_bounded or (change.has_where and not step.runs):
                continue
            yield source.at(step, "whole-table-change", _message(change), _help(change))


def _message(change: RowChange) -> str:
    what = "changed" if change.verb == "UPDATE" else "deleted"
    which = "however many rows the condition is true of are" if change.has_where else "every row is"
    return (
        f"{which} {what} in one transaction: it {holds('ROW EXCLUSIVE', change.table, _UNTIL)}. The write-ahead log grows by "
        "all of them, which Neon keeps and counts, and vacuum can clear up nothing meanwhile"
    )


def _help(change: RowChange) -> str:
    table = quoted(change.table)
    if change.verb == "DELETE":
        step = f"DELETE FROM {table} WHERE … AND /* batch */ true;"
    else:
        step = f"UPDATE {table} SET … WHERE … IS NULL AND /* batch */ true;"
    return (
        f'Batch by batch, each a transaction of its own: `-- pipeline: batched={table} key="id"` in the head, and {step} '
        "(docs/backfills.md). For a few thousand rows, ignore this rule with their number as the reason."
    )


RULES = (copy_file, ddl_with_data, endless_backfill, enum_value_in_use, truncate, whole_table_change)
