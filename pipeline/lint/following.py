"""What a statement makes of the schema before it: `after` reads DDL, and takes over what rules ask about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.lint.bodies import body_of
from pipeline.lint.definitions import Column, named, read_column, read_constraint, type_text
from pipeline.lint.locks import lock_of
from pipeline.lint.model import KnownIndex, Relation, Routine, Schema, Type
from pipeline.migrations.phrase import Phrase, altered_table, contains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.lint.definitions import Constraint
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement


_VOLATILITIES = {"IMMUTABLE": "i", "STABLE": "s", "VOLATILE": "v"}
_MARKS = ("CONSTRAINT", "CHECK", "FOREIGN", "PRIMARY", "UNIQUE", "EXCLUDE")


def after(schema: Schema, statement: Statement, *, certainly: bool = True) -> Schema:
    """Give the schema behind the statement.

    Without `certainly`, as for what stands in a branch of a DO block, a table that the statement makes counts as one that
    may have been there before.
    """
    words = statement.words
    if words[0] == "CREATE":
        return _created(schema, statement, certainly=certainly)
    if words[:2] == ("ALTER", "TABLE"):
        return _altered_table(schema, statement)
    if words[:2] == ("ALTER", "TYPE"):
        return _altered_type(schema, Phrase(statement, 2))
    if words[:2] == ("ALTER", "DOMAIN") and ("ADD" in words or contains(words, "SET", "NOT", "NULL")):
        name = Phrase(statement, 2).name()
        return schema.with_type(Type(name, "domain", has_constraints=True))
    if words[:2] == ("ALTER", "INDEX"):
        return _altered_index(schema, Phrase(statement, 2))
    if words[0] == "DROP":
        return _dropped(schema, Phrase(statement, 1))
    return schema


def _created(schema: Schema, statement: Statement, *, certainly: bool) -> Schema:
    phrase = Phrase(statement, 1)
    phrase.take("OR", "REPLACE")
    phrase.take_any("GLOBAL", "LOCAL")
    phrase.take_any("TEMPORARY", "TEMP", "UNLOGGED")
    if phrase.take("TABLE"):
        return _created_table(schema, phrase, certainly=certainly)
    kind = phrase.take_any("RECURSIVE VIEW", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE")
    if kind:
        if_missing = phrase.take("IF", "NOT", "EXISTS")
        name = phrase.name()
        new = certainly and not if_missing and name not in schema.relations
        relation_kind = {"MATERIALIZED VIEW": "materialized", "FOREIGN TABLE": "table"}.get(kind, "view")
        return schema.with_relation(Relation(name, relation_kind, is_new=new))
    if phrase.take_any("UNIQUE INDEX", "INDEX"):
        return _created_index(schema, phrase)
    if phrase.take_any("FUNCTION", "PROCEDURE"):
        return _created_routine(schema, phrase)
    if phrase.take("TYPE"):
        name = phrase.name()
        return schema.with_type(Type(name, "enum" if phrase.take("AS", "ENUM") else "other", is_new=True))
    if phrase.take("DOMAIN"):
        name = phrase.name()
        bound = "CHECK" in statement.words or contains(statement.words, "NOT", "NULL")
        return schema.with_type(Type(name, "domain", is_new=True, has_constraints=bound))
    if phrase.take("POLICY"):
        phrase.name()
        if phrase.take("ON"):
            table = schema.relation(phrase.name())
            return schema.with_relation(replace(table, has_policies=True))
    return schema


def _created_table(schema: Schema, phrase: Phrase, *, certainly: bool) -> Schema:
    if_missing = phrase.take("IF", "NOT", "EXISTS")
    name = phrase.name()
    if if_missing and name in schema.relations:
        return schema
    table = Relation(name, is_new=certainly and not if_missing, is_read=True)
    if phrase.take("PARTITION", "OF"):
        table = replace(table, parent=phrase.name())
        parent = schema.relation(table.parent)
        table = replace(table, columns=parent.columns, constraints=_inherited(parent, name))
    elif phrase.take("AS"):
        table = replace(table, is_read=False)
    table = _with_elements(schema, table, phrase)
    if phrase.skip_to("PARTITION") and phrase.take("BY"):
        table = replace(table, kind="partitioned", key=phrase.rest_text)
    return schema.with_relation(table)


def _inherited(parent: Relation, name: str) -> dict[str, Constraint]:
    found = (replace(each, name="") if each.kind == "primary key" else each for each in parent.constraints.values())
    return {each.name: each for each in (named(constraint, name) for constraint in found)}


def _with_elements(schema: Schema, table: Relation, phrase: Phrase) -> Relation:
    if not phrase.rest or phrase.rest[0].text != "(":
        return table
    inside = Phrase(phrase.statement, phrase.at + 1)
    phrase.group()
    while inside.at < phrase.at - 1:
        if inside.take("LIKE"):
            copied = schema.relation(inside.name())
            table = replace(table, columns={**table.columns, **copied.columns})
            if contains(inside.clause_words(), "INCLUDING", "ALL") or contains(
                inside.clause_words(), "INCLUDING", "CONSTRAINTS"
            ):
                kept = {key: each for key, each in copied.constraints.items() if each.kind == "check"}
                table = replace(table, constraints={**table.constraints, **kept})
        elif inside.rest[0].kind == "word" and inside.rest[0].upper in _MARKS:
            constraint = read_constraint(inside)
            if constraint is not None:
                # in a new table there is nothing that could be against it: NOT VALID says nothing there
                table = table.with_constraint(replace(named(constraint, table.name), valid=True))
        else:
            column, constraints = read_column(inside)
            table = table.with_column(column)
            for each in constraints:
                table = table.with_constraint(named(each, table.name))
        inside.at += len(inside.clause_words())
        if not inside.take(","):
            break
    return table


def _created_index(schema: Schema, phrase: Phrase) -> Schema:
    unique = "UNIQUE" in phrase.statement.words[: phrase.at]
    phrase.take("CONCURRENTLY")
    if_missing = phrase.take("IF", "NOT", "EXISTS")
    name = "" if phrase.rest and phrase.rest[0].upper == "ON" and phrase.rest[0].kind == "word" else phrase.name()
    if not phrase.take("ON") or (if_missing and name in schema.indexes):
        return schema
    only = phrase.take("ONLY")
    table = phrase.name()
    if phrase.take("USING"):
        phrase.name()
    columns = []
    inside = Phrase(phrase.statement, phrase.at + 1)
    for clause in inside.clauses() if phrase.rest and phrase.rest[0].text == "(" else []:
        column = clause.name()
        if not column:
            break
        columns.append(column)
    name = name or f"{table}_{'_'.join(columns)}_idx"
    return schema.with_index(KnownIndex(name, table, unique, tuple(columns), is_new=True, only=only))


def _created_routine(schema: Schema, phrase: Phrase) -> Schema:
    name = phrase.name()
    volatility = next((_VOLATILITIES[word] for word in phrase.statement.words if word in _VOLATILITIES), "v")
    return schema.with_routine(Routine(name, volatility, body_of(phrase.statement)))


def _altered_table(schema: Schema, statement: Statement) -> Schema:
    name, clauses = altered_table(statement)
    table = schema.relation(name)
    for clause in clauses:
        if clause.take("RENAME", "TO") or clause.take("SET", "SCHEMA"):
            return _moved(schema.with_relation(table), name, clause)
        if clause.take("ATTACH", "PARTITION"):
            child = schema.relation(clause.name())
            return schema.with_relation(table).with_relation(replace(child, parent=name))
        if clause.take("DETACH", "PARTITION"):
            child = schema.relation(clause.name())
            return schema.with_relation(table).with_relation(replace(child, parent=""))
        table = _with_clause(table, clause)
        for each in table.constraints.values():
            if each.using_index and each.using_index in schema.indexes:
                index = schema.indexes[each.using_index]
                found = replace(each, columns=index.columns, using_index="")
                schema = schema.without_index(index.name)
                table = table.with_constraint(found)
    return schema.with_relation(table)


def _moved(schema: Schema, name: str, clause: Phrase) -> Schema:
    to = clause.name()
    if clause.statement.words[clause.at - 2] == "SCHEMA":
        bare = name.rpartition(".")[2]
        to = bare if to == "public" else f"{to}.{bare}"
    elif "." in name:
        to = f"{name.rpartition('.')[0]}.{to}"
    moved = replace(schema.relation(name), name=to)
    indexes = {key: replace(index, table=to) if index.table == name else index for key, index in schema.indexes.items()}
    partitions = {
        key: replace(each, parent=to) if each.parent == name else each for key, each in schema.relations.items()
    }
    return replace(schema, relations=partitions, indexes=indexes).without_relation(name).with_relation(moved)


def _with_clause(table: Relation, clause: Phrase) -> Relation:
    if clause.take("ADD"):
        return _with_added(table, clause)
    if clause.take("DROP"):
        return _with_dropped(table, clause)
    if clause.take("VALIDATE", "CONSTRAINT"):
        found = table.constraints.get(name := clause.name())
        return table if found is None else table.with_constraint(replace(found, name=name, valid=True))
    if clause.take("RENAME"):
        return _with_renamed(table, clause)
    if clause.take("ALTER"):
        clause.take("COLUMN")
        column = table.columns.get(name := clause.name()) or Column(name)
        changes: tuple[tuple[str, Callable[[], Column]], ...] = (
            ("SET NOT NULL", lambda: replace(column, not_null=True)),
            ("DROP NOT NULL", lambda: replace(column, not_null=False)),
            ("DROP DEFAULT", lambda: replace(column, default=())),
            ("SET DEFAULT", lambda: replace(column, default=clause.clause_tokens())),
            ("TYPE", lambda: replace(column, type=_new_type(clause))),
            ("SET DATA TYPE", lambda: replace(column, type=_new_type(clause))),
        )
        for words, changed in changes:
            if clause.take(*words.split()):
                return table.with_column(changed())
    return table


def _with_added(table: Relation, clause: Phrase) -> Relation:
    constraint = read_constraint(clause) if clause.rest and clause.rest[0].upper in {*_MARKS, "NOT"} else None
    if constraint is not None:
        if constraint.kind == "not null" and not constraint.columns:
            return table
        if constraint.kind == "primary key":
            for name in constraint.columns:
                table = table.with_column(replace(table.columns.get(name) or Column(name), not_null=True))
        return table.with_constraint(named(constraint, table.name))
    clause.take("COLUMN")
    if clause.take("IF", "NOT", "EXISTS") and Phrase(clause.statement, clause.at).name() in table.columns:
        return table
    column, constraints = read_column(clause)
    table = table.with_column(column)
    for each in constraints:
        table = table.with_constraint(named(each, table.name))
    return table


def _with_dropped(table: Relation, clause: Phrase) -> Relation:
    if clause.take("CONSTRAINT"):
        clause.take("IF", "EXISTS")
        gone = clause.name()
        return replace(table, constraints={key: each for key, each in table.constraints.items() if key != gone})
    clause.take("COLUMN")
    clause.take("IF", "EXISTS")
    gone = clause.name()
    return replace(
        table,
        columns={key: each for key, each in table.columns.items() if key != gone},
        constraints={key: each for key, each in table.constraints.items() if gone not in each.columns},
    )


def _with_renamed(table: Relation, clause: Phrase) -> Relation:
    if clause.take("CONSTRAINT"):
        old = clause.name()
        if old not in table.constraints or not clause.take("TO"):
            return table
        renamed = replace(table.constraints[old], name=clause.name())
        kept = {key: each for key, each in table.constraints.items() if key != old}
        return replace(table, constraints=kept).with_constraint(renamed)
    clause.take("COLUMN")
    old = clause.name()
    if not clause.take("TO"):
        return table
    new = clause.name()
    columns = {(new if key == old else key): replace(each, name=new) if key == old else each
               for key, each in table.columns.items()}  # fmt: skip
    constraints = {
        key: replace(each, columns=tuple(new if column == old else column for column in each.columns))
        for key, each in table.constraints.items()
    }
    return replace(table, columns=columns, constraints=constraints)


def _altered_type(schema: Schema, phrase: Phrase) -> Schema:
    name = phrase.name()
    if not phrase.take("ADD", "VALUE"):
        return schema
    phrase.take("IF", "NOT", "EXISTS")
    label = phrase.rest[0].text.strip("'") if phrase.rest else ""
    known = schema.types.get(name) or Type(name, "enum")
    return schema.with_type(replace(known, added=(*known.added, label)))


def _altered_index(schema: Schema, phrase: Phrase) -> Schema:
    phrase.take("IF", "EXISTS")
    name = phrase.name()
    index = schema.indexes.get(name)
    if index is None or not phrase.take("RENAME", "TO"):
        return schema
    return schema.without_index(name).with_index(replace(index, name=phrase.name()))


def _dropped(schema: Schema, phrase: Phrase) -> Schema:
    kind = phrase.take_any(
        "TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "INDEX", "TYPE", "DOMAIN", "FUNCTION", "PROCEDURE"
    )
    phrase.take("CONCURRENTLY")
    phrase.take("IF", "EXISTS")
    for name in phrase.names() if kind else []:
        if kind == "INDEX":
            schema = schema.without_index(name)
        elif kind in {"TYPE", "DOMAIN"}:
            schema = replace(schema, types={key: each for key, each in schema.types.items() if key != name})
        elif kind in {"FUNCTION", "PROCEDURE"}:
            schema = replace(schema, routines={key: each for key, each in schema.routines.items() if key != name})
        else:
            schema = schema.without_relation(name)
    return schema


def _new_type(clause: Phrase) -> str:
    found = clause.clause_tokens()
    for number, token in enumerate(found):
        if token.kind == "word" and token.upper in {"USING", "COLLATE"}:
            return type_text(found[:number])
    return type_text(found)


def planned_locks(files: Iterable[MigrationFile]) -> dict[str, list[tuple[Statement, str | None]]]:
    """Give, by a migration's id, its statements with the strongest lock that each takes, as `lock_of` says it.

    A function that one of the files makes is looked into where another statement calls it; one that the database has is not.
    """
    schema = Schema()
    planned: dict[str, list[tuple[Statement, str | None]]] = {}
    for file in files:
        planned[file.id] = []
        for statement in file.forward.statements:
            planned[file.id].append((statement, lock_of(statement, schema)))
            schema = after(schema, statement)
    return planned
