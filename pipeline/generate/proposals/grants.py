"""Who may use what a migration makes: the runtime roles what is new, and everybody what they had on one made again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.generate.new_migrations import NewStatement
from pipeline.generate.style import quoted, spelled
from pipeline.lint.source import created_table
from pipeline.migrations.phrase import Phrase, altered_table
from pipeline.migrations.sql_text import statements
from services import READERS, rights_on_a_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pipeline.schema.dump import Key
    from pipeline.schema.facts import Facts
    from pipeline.schema.replay import BuiltSchema

_WHY = (
    "There are no default privileges: without this, no service could use it. Narrow it where a service needs less, as "
    "only INSERT and SELECT for rows that are never changed."
)
_AGAIN = "Made again, so what was granted on it must be granted again."
_GRANT = re.compile(r"^GRANT (?P<rights>.*) ON (?:TABLE )?.* TO (?P<role>[^;]+);$")
_KINDS = {
    "MATERIALIZED VIEW": "view",
    "VIEW": "view",
    "SEQUENCE": "sequence",
    "SCHEMA": "schema",
    "FUNCTION": "routine",
    "PROCEDURE": "routine",
    "TYPE": "type",
    "DOMAIN": "type",
}


def grants_for(created: Iterable[str], before: BuiltSchema, reached: Facts) -> list[NewStatement]:
    """Write the grants for what these statements create: tables, views, sequences, schemas, and anything made again.

    `before` is what the migrations build so far, whose grants tell which roles count; `reached` is what they lead to.
    """
    new_statements: list[NewStatement] = []
    made = list(dict.fromkeys(found for sql in created for found in _created(sql, reached)))
    tables = {name for kind, name in made if kind == "table"}
    for kind, name in made:
        again = _granted_before(kind, name, before.objects)
        if again:
            new_statements += [
                NewStatement(line, _AGAIN if number == 0 else "", undo=()) for number, line in enumerate(again)
            ]
        elif before.facts.runtime_roles and not _was_there(name, before):
            new_statements += _new_grants(kind, name, tables, before, reached)
    return new_statements


def _new_grants(kind: str, name: str, new_tables: set[str], before: BuiltSchema, reached: Facts) -> list[NewStatement]:
    roles = before.facts.runtime_roles
    if kind in {"table", "view"}:
        by_rights = {"SELECT": roles} if kind == "view" else rights_on_a_table(roles)
        return [
            NewStatement(f"GRANT {rights} ON TABLE {quoted(name)} TO {', '.join(who)}", "" if number else _WHY, undo=())
            for number, (rights, who) in enumerate(by_rights.items())
        ]
    if kind == "schema":
        why = "Without this, no service could reach what is in it."
        return [NewStatement(f"GRANT USAGE ON SCHEMA {quoted(name)} TO {', '.join(roles)}", why, undo=())]
    if kind == "sequence":
        table = reached.sequences.get(name)
        if table is not None and table not in new_tables:
            roles = tuple(role for role in roles if _may_insert(role, table, before.objects))
        elif table is not None:
            roles = tuple(role for role in roles if role not in READERS)
        if not roles:
            return []
        why = (
            "Whoever adds a row takes its number from here."
            if table
            else "Without this, no service could count with it."
        )
        return [NewStatement(f"GRANT USAGE ON SEQUENCE {quoted(name)} TO {', '.join(roles)}", why, undo=())]
    return []


def _created(sql: str, reached: Facts) -> Iterator[tuple[str, str]]:
    """What the statement makes: kind and name. A table comes with the sequences of its serial columns.

    An identity's sequence counts where it takes the place of one that had grants; by itself it needs none.
    """
    statement = statements(sql)[0]
    if name := created_table(statement):
        yield "table", name
        yield from (("sequence", sequence) for sequence, table in sorted(reached.sequences.items()) if table == name)
    phrase = Phrase(statement)
    if phrase.take("CREATE"):
        phrase.take("OR", "REPLACE")
        if kind := _KINDS.get(phrase.take_any(*_KINDS), ""):
            phrase.take("IF", "NOT", "EXISTS")
            yield kind, phrase.name()
    table, clauses = altered_table(statement)
    for clause in clauses:
        if clause.take_any("ADD COLUMN", "ALTER COLUMN", "ADD"):
            counter = reached.counters.get((table, clause.name()))
            words = clause.clause_words()
            if counter is not None and counter.kind == "identity" and "GENERATED" in words:
                yield "identity", counter.sequence
            elif counter is not None and words[:1] and words[0].endswith("SERIAL"):
                yield "sequence", counter.sequence


def _granted_before(kind: str, name: str, before: Mapping[Key, str]) -> list[str]:
    return [
        spelled(line.removesuffix(";").replace(",", ", "))
        for key, text in before.items()
        if key.type == "ACL" and _means(_name_of(kind, key), key.schema, name)
        for line in text.splitlines()
    ]


def _name_of(kind: str, key: Key) -> str:
    """The name in a grant's heading, as in TABLE "User"; of a routine without its arguments."""
    shown_kind, _, shown = key.name.partition(" ")
    is_routine = shown_kind in {"FUNCTION", "PROCEDURE"}
    if is_routine != (kind == "routine"):
        return ""
    return shown.partition("(")[0] if is_routine else shown


def _may_insert(role: str, table: str, before: Mapping[Key, str]) -> bool:
    for key, text in before.items():
        if key.type != "ACL" or not _means(_name_of("table", key), key.schema, table):
            continue
        for match in filter(None, map(_GRANT.match, text.splitlines())):
            if match["role"].strip('"') == role and ("INSERT" in match["rights"] or match["rights"].startswith("ALL")):
                return True
    return False


def _was_there(name: str, before: BuiltSchema) -> bool:
    """Whether it was there under this name, and not only as the sequence of an identity, which needs no grants."""
    if any(counter.sequence == name and counter.kind == "identity" for counter in before.facts.counters.values()):
        return False
    return any(not key.is_grant and _means(key.name, key.schema, name) for key in before.objects)


def _means(shown: str, schema: str, name: str) -> bool:
    full = shown.strip('"')
    return (full if schema in {"public", "-"} else f"{schema}.{full}") == name
