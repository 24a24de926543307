"""truncate: all rows gone, under a lock that stops everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import TO_THE_END, holds
from pipeline.lint.phrase import Phrase, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


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
