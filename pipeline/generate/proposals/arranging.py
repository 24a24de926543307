"""From the differ's steps to the files that a careful person would write.

What would stop writers on a table in use is moved behind the rest: an index is built CONCURRENTLY in a file of its own;
a foreign key or a check is added NOT VALID and validated in a later file; NOT NULL comes by way of a validated check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.new_migrations import Arrangement, NewStatement, Part, SplitStatement
from pipeline.generate.proposals.filling import split_filled
from pipeline.generate.proposals.losses import doubt_about, loss_of
from pipeline.generate.proposals.online import keyed_tables, split_constraint, split_index, split_not_null
from pipeline.generate.proposals.partitions import (
    split_partitioned_constraint,
    split_partitioned_index,
    with_partitions,
)
from pipeline.generate.proposals.sequences import carried_on
from pipeline.generate.style.rewriting import merged, ordered, rewritten
from pipeline.lint.source import created_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.generate.differ import Step
    from pipeline.generate.new_migrations import Batch
    from pipeline.generate.proposals.filling import Fills
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts


def arrange(
    steps: Sequence[Step], before: Facts, after: Facts, *, careful: bool = True, fills: Fills | None = None
) -> Arrangement:
    """Arrange a direction's steps into parts. `before` is the database that they start from, `after` where they lead.

    `fills` are what the rows get that have no value in a column that becomes NOT NULL.

    Without `careful` they stay in the differ's order and in as few files as it allows.
    """
    complete = carried_on(with_partitions(merged(ordered(steps), before), before, after), before, after)
    read = [(step, statements(step.sql)[0]) for step in complete]
    writer = _Writer(before, _new_tables(statement for _, statement in read), careful=careful)
    everything = [statement for _, statement in read]
    keyed = keyed_tables(everything, before, writer.new_tables)
    for step, statement in read:
        if step.commit_before:
            writer.commit()
        if loss := loss_of(step, statement, before):
            writer.losses.append(loss)
        split = split_filled(statement, fills) if fills and careful else None
        if split is None and careful:
            split = _split(statement, before, after, writer.new_tables, everything, keyed)
        writer.take(statement, split, step)
    return writer.done()


def _split(
    statement: Statement,
    before: Facts,
    after: Facts,
    new_tables: frozenset[str],
    everything: Sequence[Statement],
    keyed: frozenset[str],
) -> SplitStatement | None:
    """How to do it without stopping writers, or None where it does not stop any."""
    return (
        split_index(statement, before, new_tables, everything)
        or split_partitioned_index(statement, before, after)
        or split_partitioned_constraint(statement, before, after)
        or split_constraint(statement, before, new_tables, keyed)
        or split_not_null(statement, before, new_tables)
    )


def _new_tables(found: Iterable[Statement]) -> frozenset[str]:
    return frozenset(name for statement in found if (name := created_table(statement)))


class _Writer:
    """Collects statements into main parts, and what comes behind them."""

    def __init__(self, before: Facts, new_tables: frozenset[str], *, careful: bool) -> None:
        self.before = before
        self.new_tables = new_tables
        self.losses: list[str] = []
        self._careful = careful
        self._doubts: list[str] = []
        self._main: list[list[NewStatement]] = [[]]
        self._filling: list[tuple[NewStatement, Batch]] = []
        self._checked: list[NewStatement] = []
        self._concurrent: list[NewStatement] = []
        self._finishing: list[NewStatement] = []
        self._last: list[NewStatement] = []
        self._split_names: set[str] = set()

    def commit(self) -> None:
        """Begin another main part, if this one holds anything."""
        if self._main[-1]:
            self._main.append([])

    def take(self, statement: Statement, split: SplitStatement | None, step: Step) -> None:
        """Put a statement where it belongs."""
        if split is not None:
            self._main[-1] += split.transactional
            self._filling += split.filling
            self._checked += split.checked
            self._concurrent += split.concurrent
            self._finishing += split.finishing
            self._last += split.last
            self._split_names |= {split.name, split.name.rpartition(".")[2]}
            return
        if doubt := doubt_about(statement, self.before, self.new_tables):
            self._doubts.append(doubt)
        new = NewStatement(statement.text) if step.verbatim else rewritten(statement, self.before)
        if new is None:
            return
        if step.needs in self._split_names:
            self._finishing.append(new)
            return
        names = {token.identifier for token in statement.tokens if token.kind in {"word", "quoted"}}
        (self._finishing if names & self._split_names else self._main[-1]).append(new)

    def done(self) -> Arrangement:
        """The parts, in the order in which they run."""
        parts = [Part(tuple(found)) for found in self._main if found]
        parts += [Part((each,), "backfill", batch=batch) for each, batch in self._filling]
        if self._checked:
            parts.append(Part(tuple(self._checked), "check"))
        built_first = sorted(self._concurrent, key=lambda each: each.sql.startswith("DROP "))
        parts += [Part((each,), "index", concurrent=True) for each in built_first]
        # What reads all rows comes first, before a statement of this transaction takes a lock that stops everybody.
        self._finishing.sort(key=lambda each: " VALIDATE CONSTRAINT " not in each.sql)
        if self._finishing:
            kind = "validate" if any("VALIDATE" in each.sql for each in self._finishing) else "then"
            parts.append(Part(tuple(self._finishing), kind))
        if self._last:
            parts.append(Part(tuple(self._last), "validate"))
        return Arrangement(tuple(parts), tuple(dict.fromkeys(self.losses)), tuple(self._doubts), careful=self._careful)
