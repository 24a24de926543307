"""rls-without-policy: a table that is empty for everybody but its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase, altered_table, quoted
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def rls_without_policy(source: Source) -> Iterable[Finding]:
    """ENABLE ROW LEVEL SECURITY on a table that has no policy, where this file makes none either."""
    policies = {_policy(Phrase(step.statement)) for step in source.running}
    for step in source.running:
        table, clauses = altered_table(step.statement)
        enables = any(clause.take("ENABLE", "ROW", "LEVEL", "SECURITY") for clause in clauses)
        if enables and not step.before.relation(table).has_policies and table not in policies:
            yield source.at(
                step,
                "rls-without-policy",
                f"without a policy {quoted(table)} has no rows for the services: every SELECT finds none, every INSERT fails, "
                "from the commit on",
                f"In the same file: CREATE POLICY … ON {quoted(table)} TO {', '.join(RUNTIME_ROLES)} USING (…) WITH CHECK (…);",
            )


def _policy(phrase: Phrase) -> str:
    if not phrase.take("CREATE", "POLICY"):
        return ""
    phrase.name()
    return phrase.name() if phrase.take("ON") else ""
