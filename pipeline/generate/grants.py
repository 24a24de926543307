"""Who may use what a migration makes: the runtime roles a new table, and everybody what they had on one made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.parts import Piece
from pipeline.generate.spelling import quoted, spelled
from pipeline.lint.phrase import Phrase
from pipeline.lint.source import created_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.generate.dump import Key
    from pipeline.generate.facts import Facts
    from pipeline.generate.study import Side

_WHY = (
    "There are no default privileges: without this, no service could use it. Narrow it where a service needs less, as "
    "only INSERT and SELECT for rows that are never changed."
)
_AGAIN = "Made again, so what was granted on it must be granted again."


def grants_for(created: Iterable[str], before: Side, reached: Facts) -> list[Piece]:
    """Write the grants for the tables and views that these statements create.

    `before` is what the migrations build so far, whose grants tell which roles count; `reached` is what they lead to.
    """
    pieces = []
    for sql in created:
        name, is_view = _created(sql)
        if not name:
            continue
        again = _granted_before(name, before.objects)
        if again:
            pieces += [Piece(line, _AGAIN if number == 0 else "", undo=()) for number, line in enumerate(again)]
        elif before.facts.runtime_roles and not _was_there(name, before.objects):
            pieces += _new_grants(name, before.facts.runtime_roles, reached, is_view=is_view)
    return pieces


def _new_grants(name: str, runtime_roles: Iterable[str], reached: Facts, *, is_view: bool) -> list[Piece]:
    roles = ", ".join(runtime_roles)
    rights = "SELECT" if is_view else "SELECT, INSERT, UPDATE, DELETE"
    pieces = [Piece(f"GRANT {rights} ON TABLE {quoted(name)} TO {roles}", _WHY, undo=())]
    for sequence, table in sorted(reached.sequences.items()):
        if table == name:
            pieces.append(
                Piece(
                    f"GRANT USAGE ON SEQUENCE {quoted(sequence)} TO {roles}",
                    "Its serial column counts with it.",
                    undo=(),
                )
            )
    return pieces


def _created(sql: str) -> tuple[str, bool]:
    """The table or view that the statement makes, and whether it is a view."""
    statement = statements(sql)[0]
    if name := created_table(statement):
        return name, False
    phrase = Phrase(statement)
    if phrase.take("CREATE") and phrase.take_any("MATERIALIZED VIEW", "VIEW"):
        return phrase.name(), True
    return "", False


def _granted_before(name: str, before: Mapping[Key, str]) -> list[str]:
    return [
        spelled(line.removesuffix(";").replace(",", ", "))
        for key, text in before.items()
        if key.type == "ACL" and _means(key.name.partition(" ")[2], key.schema, name)
        for line in text.splitlines()
    ]


def _was_there(name: str, before: Mapping[Key, str]) -> bool:
    return any(
        key.type in {"TABLE", "VIEW", "MATERIALIZED VIEW"} and _means(key.name, key.schema, name) for key in before
    )


def _means(shown: str, schema: str, name: str) -> bool:
    full = shown.strip('"')
    return (full if schema == "public" else f"{schema}.{full}") == name
