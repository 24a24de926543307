"""Rollback files: what takes each part back, known beforehand or asked of the differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.generate.proposals.arranging import arrange
from pipeline.generate.proposals.grants import grants_for
from pipeline.postgres.connect import open_session
from pipeline.schema.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbclient.url import DatabaseURL
    from pipeline.generate import Workbench
    from pipeline.generate.differ import Difference, Step
    from pipeline.generate.new_migrations import NewStatement, Part
    from pipeline.schema.facts import Facts
    from pipeline.schema.replay import BothSchemas, BuiltSchema
    from pipeline.schema.shadows import Shadows


@dataclass(frozen=True)
class Undo:
    """The statements that take each part back, and what they lose."""

    statements: tuple[tuple[str, ...], ...]
    losses: tuple[str, ...]


@dataclass(frozen=True)
class Undoing:
    """Finds out how to take parts back. `base` is the current side behind the renames."""

    workbench: Workbench
    shadows: Shadows
    base: BuiltSchema
    seen: BothSchemas
    difference: Difference

    def of(self, parts: Sequence[Part]) -> Undo:
        """Find the undo of every part.

        One that is the only one is undone by the differ's way back. Of several, a part that does not know its own undo
        is run on a clone, and the differ is asked what leads back from there.
        """
        losses: list[str] = []
        undone: list[tuple[str, ...]] = []
        stage = self.base.database
        for number, part in enumerate(parts):
            own = part.undo
            if own is not None:
                undone.append(own)
                continue
            renames = [each for each in part.statements if each.is_rename]
            if len(parts) == 1:
                steps, facts, to = self.difference.backward, self.seen.desired.facts, self.base.facts
            else:
                stage, steps, facts, to = self._staged(stage, parts[: number + 1], renames)
            undone.append(
                (
                    *self._rollback(steps, facts, to, losses),
                    *(sql for each in reversed(renames) for sql in each.undo or ()),
                )
            )
        return Undo(tuple(undone), tuple(dict.fromkeys(losses)))

    def _rollback(self, steps: Sequence[Step], facts: Facts, to: Facts, losses: list[str]) -> list[str]:
        arrangement = arrange(steps, facts, to, careful=False)
        losses += arrangement.losses
        statements = [each.sql for part in arrangement.parts for each in part.statements]
        return [
            *statements,
            *(each.sql for each in grants_for(statements, self.seen.current, self.seen.current.facts)),
        ]

    def _staged(
        self, before: DatabaseURL, parts: Sequence[Part], renames: Sequence[NewStatement]
    ) -> tuple[DatabaseURL, tuple[Step, ...], Facts, Facts]:
        """Run all parts up to this one on a clone, and ask what leads back from there to the state before it."""
        reached = before
        if len(parts) > 1 and before is self.base.database:
            reached = self._run(before, parts[:-1], renames)
        after = self._run(reached, parts[-1:], renames)
        difference = self.workbench.differ.difference(reached, after, roles=self.base.facts.roles)
        return after, difference.backward, read_facts(after), read_facts(reached)

    def _run(self, database: DatabaseURL, parts: Sequence[Part], renames: Sequence[NewStatement]) -> DatabaseURL:
        clone = self.shadows.clone(database, "stage")
        with open_session(clone, application_name="db-pipeline stage") as session:
            for part in parts:
                session.run(";\n".join(each.sql for each in part.statements if each not in renames) or "SELECT")
        return clone
