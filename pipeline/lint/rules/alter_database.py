"""alter-database: the database is Pulumi's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def alter_database(source: Source) -> Iterable[Finding]:
    """CREATE, DROP, RENAME and OWNER TO of a database, which the infrastructure program owns. Settings are allowed."""
    for step in source.steps:
        statement = step.statement
        words = statement.words
        if words[1:2] != ("DATABASE",):
            continue
        changes_it = words[0] == "ALTER" and ("RENAME" in words or "OWNER" in words)
        if words[0] in {"CREATE", "DROP"} or changes_it:
            yield source.at(
                step,
                "alter-database",
                "the database itself belongs to the infrastructure program, whose state would no longer be true",
                "Change it in infra/ and run `pulumi up`.",
            )
