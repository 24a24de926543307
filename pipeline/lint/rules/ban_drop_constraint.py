"""ban-drop-constraint: a rule that the services may count on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import TO_THE_END, holds
from pipeline.lint.expressions import proves_not_null
from pipeline.lint.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.lint.definitions import Constraint
    from pipeline.lint.finding import Finding
    from pipeline.lint.model import Relation, Schema
    from pipeline.lint.source import Source


def ban_drop_constraint(source: Source) -> Iterable[Finding]:
    """DROP CONSTRAINT on a table in use.

    Not where the rule stays in another form: a CHECK that only says what NOT NULL says by now; one that another constraint
    of its kind on the same columns follows or has followed. A primary key has a rule of its own.
    """
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if not step.before.in_use(table):
            continue
        relation = step.before.relation(table)
        for clause in clauses:
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
