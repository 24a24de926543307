"""Indexes and partitions: built, dropped, attached and detached while services go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.expressions import conjuncts, proves_not_null
from pipeline.lint.finding import NOT_TRANSACTIONAL, TO_THE_END, holds, while_reading
from pipeline.lint.locks import ACCESS_EXCLUSIVE, locked_by
from pipeline.migrations.phrase import Phrase, altered_table, names_in, quoted
from pipeline.migrations.sql_text import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.model import Relation
    from pipeline.lint.source import Source, Step


# attach-partition: a table read to the end before it becomes a partition.


def attach_partition(source: Source) -> Iterable[Finding]:
    """ATTACH PARTITION of a table that has rows, with no validated CHECK that says what its bounds say."""
    for step in source.running:
        parent, clauses = altered_table(step.statement)
        for clause in clauses:
            if not clause.take("ATTACH", "PARTITION"):
                continue
            name = clause.name()
            if not _may_have_rows(name, step, source):
                continue
            bounds = _bounds(clause, step.before.relation(parent))
            if bounds and _is_implied(bounds, step.before.relation(name)):
                continue
            shown = " AND ".join(bounds) if bounds else "…"
            check = quoted(f"{name.rpartition('.')[2]}_bounds")
            yield source.at(
                step,
                "attach-partition",
                f"every row of {quoted(name)} is read under ACCESS EXCLUSIVE: nobody can read or write it until the file is "
                f"committed; on {quoted(parent)} it takes SHARE UPDATE EXCLUSIVE, on its default partition, if there is one, "
                "ACCESS EXCLUSIVE, and reads that one, too",
                f"First file: ALTER TABLE {quoted(name)} ADD CONSTRAINT {check} CHECK ({shown}) NOT VALID; second: VALIDATE "
                f"CONSTRAINT {check}; then ATTACH, which reads nothing, and DROP CONSTRAINT {check}.",
            )


def _may_have_rows(name: str, step: Step, source: Source) -> bool:
    """Whether it is a table in use, or a new one into which this deploy puts rows before."""
    if step.before.in_use(name):
        return True
    return any(
        other.words[:2] == ("INSERT", "INTO") and name in names_in(other.statement.tokens[2:5])
        for other in source.running
    )


def _bounds(clause: Phrase, parent: Relation) -> list[str]:
    """What a range or list partition of one column says of its rows, as conditions; nothing for what is more than that."""
    key = _key_column(parent)
    if not key or not clause.take("FOR", "VALUES"):
        return []
    column = quoted(key)
    found = [f"{column} IS NOT NULL"]
    if clause.take("IN"):
        values = clause.group()
        return [*found, f"{column} IN ({_text(clause, values)})"] if values else []
    if clause.take("FROM"):
        lower = clause.group()
        upper = clause.group() if clause.take("TO") else ()
        found += [f"{column} >= {_text(clause, lower)}"] if lower and lower[0].upper != "MINVALUE" else []
        found += [f"{column} < {_text(clause, upper)}"] if upper and upper[0].upper != "MAXVALUE" else []
        return found
    return []


def _key_column(parent: Relation) -> str:
    names = [token.identifier for token in tokens(parent.key) if token.kind in {"word", "quoted"}] if parent.key else []
    return names[1] if len(names) == 2 and names[0] in {"range", "list"} else ""


def _text(clause: Phrase, found: tuple[object, ...]) -> str:
    statement = clause.statement
    first, last = found[0], found[-1]
    return statement.text[first.start - statement.start : last.end - statement.start]  # type: ignore[attr-defined]


def _is_implied(bounds: list[str], table: Relation) -> bool:
    checks = [each.check for each in table.constraints.values() if each.kind == "check" and each.valid]
    said = {_plain(part) for check in checks for part in map(_words, conjuncts(check))}
    column = next(iter(tokens(bounds[0]))).identifier
    known = table.columns.get(column)
    not_null = (known is not None and known.not_null) or any(proves_not_null(check, column) for check in checks)
    return not_null and all(_plain(tuple(token.text for token in tokens(bound))) in said for bound in bounds[1:])


def _words(part: Iterable[object]) -> tuple[str, ...]:
    return tuple(token.text for token in part)  # type: ignore[attr-defined]


def _plain(words: tuple[str, ...]) -> str:
    """Without casts, parentheses and the quotes of names: `("at" >= '2026-01-01'::date)` is at >= '2026-01-01'."""
    found, skip = [], 0
    for number, word in enumerate(words):
        if skip:
            skip -= 1
        elif word == ":" and words[number + 1 : number + 2] == (":",):
            skip = 2
        elif word not in {"(", ")"}:
            found.append(word.strip('"'))
    return " ".join(found)


# index-if-not-exists: a success that may stand for an index which is not valid.


def index_if_not_exists(source: Source) -> Iterable[Finding]:
    """CREATE INDEX CONCURRENTLY IF NOT EXISTS."""
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take_any("CREATE INDEX CONCURRENTLY", "CREATE UNIQUE INDEX CONCURRENTLY"):
            continue
        head = " ".join(step.words[: phrase.at])
        if phrase.take("IF", "NOT", "EXISTS"):
            yield source.at(
                step,
                "index-if-not-exists",
                "a build that broke off leaves an index that is not valid: it slows down writes and serves no query. With IF "
                "NOT EXISTS the next run takes it for done and says so",
                f"Leave IF NOT EXISTS out: {head} {phrase.rest_text}; After a break the runner itself drops what was left, and "
                "builds it again.",
            )


# require-concurrent-index-creation: an index built while nobody can write.


def require_concurrent_index_creation(source: Source) -> Iterable[Finding]:
    """CREATE INDEX without CONCURRENTLY on a table or a materialized view in use.

    On a partitioned table PostgreSQL refuses CONCURRENTLY; ON ONLY it builds nothing, and is the right first step there.
    """
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take_any("CREATE INDEX", "CREATE UNIQUE INDEX") or phrase.take("CONCURRENTLY"):
            continue
        start = phrase.at
        if not phrase.skip_to("ON") or phrase.take("ONLY"):
            continue
        table = phrase.name()
        if not step.before.in_use(table):
            continue
        head, rest = " ".join(step.words[:start]), Phrase(step.statement, start).rest_text
        help_ = f"Write it {NOT_TRANSACTIONAL}: {head} CONCURRENTLY {rest};"
        if step.before.is_partitioned(table):
            only = f"{head} {rest}".replace(" ON ", " ON ONLY ", 1)
            help_ = (
                f"PostgreSQL has no CONCURRENTLY for a partitioned table. First: {only}; (nothing is built). Then for each "
                f"partition, {NOT_TRANSACTIONAL}, CREATE INDEX CONCURRENTLY; and last, for each: ALTER INDEX … ATTACH "
                "PARTITION …;"
            )
        yield source.at(
            step,
            "require-concurrent-index-creation",
            f"it {holds('SHARE', table, while_reading(table))}",
            help_,
        )


# require-concurrent-index-deletion: an index dropped while nobody can read its table.


def require_concurrent_index_deletion(source: Source) -> Iterable[Finding]:
    """DROP INDEX without CONCURRENTLY on a table in use.

    Not where PostgreSQL refuses CONCURRENTLY, on a partitioned table; nor where the same file takes the same lock on the
    table anyway, as to drop a column of the index.
    """
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take("DROP", "INDEX") or phrase.take("CONCURRENTLY"):
            continue
        phrase.take("IF", "EXISTS")
        for name in phrase.names():
            index = step.before.indexes.get(name)
            table = index.table if index else ""
            if table and (not step.before.in_use(table) or step.before.is_partitioned(table)):
                continue
            if table and _is_locked_anyway(source, step, table):
                continue
            yield source.at(
                step,
                "require-concurrent-index-deletion",
                f"it {holds('ACCESS EXCLUSIVE', table or 'its table', TO_THE_END)}, and who comes behind it waits too "
                "while it waits for running queries",
                f"Write it {NOT_TRANSACTIONAL}: DROP INDEX CONCURRENTLY {quoted(name)};",
            )


def _is_locked_anyway(source: Source, step: Step, table: str) -> bool:
    others = (other for other in source.running if other is not step and other.words[:2] != ("DROP", "INDEX"))
    return any(locked_by(other.statement, other.before).get(table) == ACCESS_EXCLUSIVE for other in others)


# require-concurrent-partition-detach: a partition taken off while nobody can use the whole table.


def require_concurrent_partition_detach(source: Source) -> Iterable[Finding]:
    """ALTER TABLE … DETACH PARTITION without CONCURRENTLY, on a table in use."""
    for step in source.running:
        table, clauses = altered_table(step.statement)
        for clause in clauses:
            if not clause.take("DETACH", "PARTITION") or not step.before.in_use(table):
                continue
            partition = clause.name()
            if clause.take_any("CONCURRENTLY", "FINALIZE"):
                continue
            yield source.at(
                step,
                "require-concurrent-partition-detach",
                f"it {holds('ACCESS EXCLUSIVE', table, TO_THE_END)}, through any of its partitions",
                f"Write it {NOT_TRANSACTIONAL}: ALTER TABLE {quoted(table)} DETACH PARTITION {quoted(partition)} "
                "CONCURRENTLY; (PostgreSQL refuses that where the table has a default partition: then ignore this rule, "
                "and deploy at a quiet time).",
            )


# require-concurrent-reindex: an index built again while nobody can use the table.


def require_concurrent_reindex(source: Source) -> Iterable[Finding]:
    """REINDEX without CONCURRENTLY."""
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take("REINDEX") or "CONCURRENTLY" in step.words[:8]:
            continue
        phrase.group()
        kind = phrase.take_any("INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM")
        name = phrase.name()
        if kind == "TABLE" and not step.before.in_use(name):
            continue
        yield source.at(
            step,
            "require-concurrent-reindex",
            "it takes SHARE on the table and ACCESS EXCLUSIVE on its index: nobody can write, and readers wait too as soon "
            "as they plan a query, until the index is built again and the file is committed",
            f"Write it {NOT_TRANSACTIONAL}: REINDEX {kind} CONCURRENTLY {phrase.statement.tokens[phrase.at - 1].text};",
        )


RULES = (
    attach_partition,
    index_if_not_exists,
    require_concurrent_index_creation,
    require_concurrent_index_deletion,
    require_concurrent_partition_detach,
    require_concurrent_reindex,
)
