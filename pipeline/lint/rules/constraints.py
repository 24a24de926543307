"""Constraints: which read the table when they are added, and what goes with them when they are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.definitions import named, read_added
from pipeline.lint.expressions import proves_not_null
from pipeline.lint.finding import NOT_TRANSACTIONAL, TO_THE_END, holds, while_reading
from pipeline.lint.locks import LOCKS, SHARE_ROW_EXCLUSIVE, locked_by
from pipeline.migrations.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.lint.definitions import Constraint
    from pipeline.lint.finding import Finding
    from pipeline.lint.model import Relation, Schema
    from pipeline.lint.source import Source, Step
    from pipeline.migrations.phrase import Phrase


# adding-foreign-key-constraint: a foreign key that reads the table while nobody can write to two.


def adding_foreign_key_constraint(source: Source) -> Iterable[Finding]:
    """ADD a foreign key to a table in use without NOT VALID.

    Not with a new column that has no default: it is null in every row, and PostgreSQL reads none. Not on a partitioned
    table whose partitions have the key already, validated: PostgreSQL takes theirs.
    """
    for step, table, clause in source.altered:
        key = _added(clause)
        if key is None or not key.valid or _is_on_every_partition(key, table, step.before):
            continue
        name = named(key, table).name
        yield source.at(
            step,
            "adding-foreign-key-constraint",
            f"it {holds('SHARE ROW EXCLUSIVE', table, while_reading(table))}; the same on {quoted(key.references)}",
            _foreign_key_help(key, table, name, partitioned=step.before.is_partitioned(table)),
        )


def _foreign_key_help(key: Constraint, table: str, name: str, *, partitioned: bool) -> str:
    columns = ", ".join(map(quoted, key.columns))
    definition = key.definition if key.definition.upper().startswith("FOREIGN") else (
        f"FOREIGN KEY ({columns}) {key.definition}"
    )  # fmt: skip
    if partitioned:
        return (
            "PostgreSQL 16 has no NOT VALID for the key of a partitioned table. Give it to each partition first: ALTER TABLE "
            f"partition ADD CONSTRAINT {quoted(name)} {definition} NOT VALID; in the next file VALIDATE it there; then this "
            "statement takes over the partitions' keys and reads nothing."
        )
    return (
        f"Add it without reading: ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {definition} NOT VALID; and in "
        f"the next file: ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}; which lets services read and write."
    )


def _added(clause: Phrase) -> Constraint | None:
    """The foreign key that has rows to look at."""
    column, constraints = read_added(clause)
    if column is not None and not (column.default or column.numbers_rows or column.is_stored):
        return None
    return next((each for each in constraints if each.kind == "foreign key"), None)


def _is_on_every_partition(key: Constraint, table: str, before: Schema) -> bool:
    partitions = [before.relation(name) for name in before.partitions(table)]
    return before.is_partitioned(table) and all(
        any(
            (each.kind, each.columns, each.references, each.valid) == (key.kind, key.columns, key.references, True)
            for each in partition.constraints.values()
        )
        for partition in partitions
    )


# ban-drop-constraint: a rule that the services may count on.


def ban_drop_constraint(source: Source) -> Iterable[Finding]:
    """DROP CONSTRAINT on a table in use.

    Not where the rule stays in another form: a CHECK that only says what NOT NULL says by now; one that another constraint
    of its kind on the same columns follows or has followed. A primary key has a rule of its own.
    """
    for step, table, clause in source.altered:
        relation = step.before.relation(table)
        if not clause.take("DROP", "CONSTRAINT"):
            continue
        clause.take("IF", "EXISTS")
        name = clause.name()
        known = relation.constraints.get(name)
        is_key = known.kind == "primary key" if known else name == f"{table.rpartition('.')[2]}_pkey"
        if is_key or (known is not None and _stays(known, relation, source)):
            continue
        yield source.at(
            step,
            "ban-drop-constraint",
            f"it {holds('ACCESS EXCLUSIVE', table, TO_THE_END)}. From then on rows come in that the rule would have "
            "refused, while releases that count on it still run; putting it back means to look at every row",
            f"Deploy releases that do not count on {quoted(name)} first; then ignore this rule with that as the reason. To "
            "change it, add the new one first: ADD CONSTRAINT … NOT VALID; VALIDATE; then this.",
        )


def _stays(gone: Constraint, table: Relation, source: Source) -> bool:
    if gone.kind == "check" and any(
        column.not_null and proves_not_null(gone.check, column.name) for column in table.columns.values()
    ):
        return True
    states: Iterator[Schema] = (each.after for each in (source, *source.same_deploy))
    others = [each for each in table.constraints.values() if each.name != gone.name]
    others += [each for state in states for each in state.relation(table.name).constraints.values() if each != gone]
    return any(other.kind == gone.kind and _same_columns(gone, other, table) for other in others)


def _same_columns(one: Constraint, other: Constraint, table: Relation) -> bool:
    if one.kind != "check":
        return set(one.columns) == set(other.columns)
    return bool(_mentioned(one, table) & _mentioned(other, table))


def _mentioned(check: Constraint, table: Relation) -> set[str]:
    names = {token.identifier for token in check.check if token.kind in {"word", "quoted"}}
    return names & set(table.columns) if table.is_read else names


# constraint-missing-not-valid: a check that reads the table while nobody can use it.

_CHECKED_KINDS = {"check", "not null"}


def constraint_missing_not_valid(source: Source) -> Iterable[Finding]:
    """ADD a CHECK (or, in PostgreSQL 18, a NOT NULL) to a table in use without NOT VALID; also inside of ADD COLUMN."""
    for step, table, clause in source.altered:
        found = next((each for each in read_added(clause)[1] if each.kind in _CHECKED_KINDS and each.valid), None)
        if found is None:
            continue
        name = named(found, table).name
        yield source.at(
            step,
            "constraint-missing-not-valid",
            f"it {holds('ACCESS EXCLUSIVE', table, while_reading(table))}",
            f"Add it without reading: ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {found.definition} NOT "
            f"VALID; and in the next file: ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}; which lets "
            "services read and write.",
        )


# disallowed-unique-constraint: an index built while nobody can use the table.

_UNIQUE_KINDS = {"unique", "exclude"}


def disallowed_unique_constraint(source: Source) -> Iterable[Finding]:
    """ADD a UNIQUE or EXCLUDE constraint that builds its index, to a table in use; also inside of ADD COLUMN.

    ALTER TABLE ONLY on a partitioned table builds nothing, and is the right first step there.
    """
    for step, table, clause in source.altered:
        partitioned = step.before.is_partitioned(table)
        if partitioned and "ONLY" in step.words[2:5]:
            continue
        found = next(
            (each for each in read_added(clause)[1] if each.kind in _UNIQUE_KINDS and not each.using_index), None
        )
        if found is not None:
            yield source.at(
                step,
                "disallowed-unique-constraint",
                f"it {holds('ACCESS EXCLUSIVE', table, while_reading(table))}, and the index is built",
                _unique_help(found, table, partitioned=partitioned),
            )


def _unique_help(found: Constraint, table: str, *, partitioned: bool) -> str:
    if found.kind == "exclude":
        return (
            "PostgreSQL has no other way for EXCLUDE. If the table is small, ignore this rule with its size as reason."
        )
    name, columns = quoted(named(found, table).name), ", ".join(map(quoted, found.columns))
    if partitioned:
        return (
            f"First: ALTER TABLE ONLY {quoted(table)} ADD CONSTRAINT {name} UNIQUE ({columns}); (nothing is built). Then for "
            f"each partition, {NOT_TRANSACTIONAL}, CREATE UNIQUE INDEX CONCURRENTLY i ON partition ({columns}); then for "
            f"each: ALTER TABLE partition ADD UNIQUE USING INDEX i; ALTER INDEX {name} ATTACH PARTITION i;"
        )
    return (
        f"Build the index first, {NOT_TRANSACTIONAL}: CREATE UNIQUE INDEX CONCURRENTLY {name} ON {quoted(table)} ({columns}); "
        f"then ALTER TABLE {quoted(table)} ADD CONSTRAINT {name} UNIQUE USING INDEX {name};"
    )


# drop-primary-key: rows that nobody can name any more.


def drop_primary_key(source: Source) -> Iterable[Finding]:
    """DROP CONSTRAINT of a primary key, on a table in use, unless the same statement puts another in its place."""
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if not step.before.in_use(table):
            continue
        replaced = any("USING" in each.clause_words() and "PRIMARY" in each.clause_words() for each in clauses)
        for clause in clauses:
            if replaced or not _drops_key(clause, table, step):
                continue
            key = step.before.relation(table).primary_key()
            columns = ", ".join(map(quoted, key.columns)) if key and key.columns else "…"
            yield source.at(
                step,
                "drop-primary-key",
                f"it {holds('ACCESS EXCLUSIVE', table, TO_THE_END)}; from then on two rows may be the same, INSERT … ON CONFLICT "
                "fails, foreign keys have nothing to point to, and where the table is replicated (REPLICA IDENTITY DEFAULT), "
                "every UPDATE and DELETE fails",
                f"Build the new key first, {NOT_TRANSACTIONAL}: CREATE UNIQUE INDEX CONCURRENTLY new_key ON {quoted(table)} "
                f"({columns}); then in one statement: ALTER TABLE {quoted(table)} DROP CONSTRAINT …, ADD PRIMARY KEY USING "
                "INDEX new_key;",
            )


def _drops_key(clause: Phrase, table: str, step: Step) -> bool:
    if not clause.take("DROP", "CONSTRAINT"):
        return False
    clause.take("IF", "EXISTS")
    name = clause.name()
    relation = step.before.relation(table)
    known = relation.constraints.get(name)
    if known is not None or relation.is_read:
        return known is not None and known.kind == "primary key"
    return name == f"{table.rpartition('.')[2]}_pkey"  # as PostgreSQL names it, where no file has made the table


# validate-in-same-file: what NOT VALID has won is given away again.

_STRONG = LOCKS[LOCKS.index(SHARE_ROW_EXCLUSIVE) :]


def validate_in_same_file(source: Source) -> Iterable[Finding]:
    """VALIDATE CONSTRAINT on a table in use that the same file has locked against writers before."""
    held: dict[str, str] = {}
    for step in source.running if source.is_transactional else ():
        table, clauses = altered_table(step.statement)
        for clause in clauses:
            if not clause.take("VALIDATE", "CONSTRAINT") or table not in held or not step.before.in_use(table):
                continue
            name = clause.name()
            yield source.at(
                step,
                "validate-in-same-file",
                f"the file {holds(held[table], table, while_reading(table))}: the lock of what stands above is kept, though "
                "VALIDATE itself would let services go on",
                f"Put it into the next file, first: ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)};",
            )
        for name, lock in locked_by(step.statement, step.before).items():
            if lock in _STRONG and LOCKS.index(lock) > LOCKS.index(held.get(name, LOCKS[0])):
                held[name] = lock


RULES = (
    adding_foreign_key_constraint,
    ban_drop_constraint,
    constraint_missing_not_valid,
    disallowed_unique_constraint,
    drop_primary_key,
    validate_in_same_file,
)
