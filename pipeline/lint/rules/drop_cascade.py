"""drop-cascade: what goes along, and is named nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase, altered_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


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
