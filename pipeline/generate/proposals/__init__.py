"""Proposals for the files, from the most careful to the plainest: the first that the gate proves is taken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline.errors import DatabaseFailed, Refused
from pipeline.generate.gate import folder_with, prove
from pipeline.generate.new_migrations import (
    Arrangement,
    Losses,
    NewMigration,
    NewStatement,
    Part,
    last_dependable,
    write_parts,
)
from pipeline.generate.proposals.arranging import arrange
from pipeline.generate.proposals.filling import fills_for
from pipeline.generate.proposals.grants import grants_for
from pipeline.generate.proposals.lint_answers import answered
from pipeline.generate.proposals.renames import following_renames, named_renames, probable_renames
from pipeline.generate.proposals.rollbacks import Undoing
from pipeline.generate.style.wording import Wording
from pipeline.migrations import read_folder
from pipeline.migrations.names import next_number
from pipeline.postgres.connect import open_session
from pipeline.schema.dump import wanted
from pipeline.schema.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.generate import Workbench
    from pipeline.generate.differ import Difference
    from pipeline.generate.gate import Proof
    from pipeline.generate.proposals.filling import Fills
    from pipeline.schema.facts import Facts
    from pipeline.schema.replay import BothSchemas, BuiltSchema
    from pipeline.schema.shadows import Shadows


@dataclass(frozen=True)
class Proposal:
    """Files, proven or with what keeps them from being so."""

    migrations: tuple[NewMigration, ...]
    losses: tuple[str, ...] = ()  # going forward
    rollback_losses: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    passed_the_gate: bool = False  # with problems all the same, where rows would decide
    notes: tuple[str, ...] = field(default=())
    proof: Proof | None = None  # what the gate built with the files

    def with_problems(self, more: Sequence[str]) -> Proposal:
        """The same with more problems."""
        return replace(self, problems=(*self.problems, *more))


@dataclass(frozen=True)
class Wishes:
    """What the developer allows and says."""

    allow_destructive: bool = False
    renames: tuple[str, ...] = ()
    draft: bool = False
    dry_run: bool = False  # propose, and write nothing
    hotfix: bool = False  # of the release that is checked out: its number is the last one with a letter
    fills: tuple[str, ...] = ()  # what rows get in a column that becomes NOT NULL, as TABLE.COLUMN=VALUE
    behind: str | None = None  # the id that the first file depends on; None for the last one that is no backfill


def propose(name: str, workbench: Workbench, shadows: Shadows, seen: BothSchemas, wishes: Wishes) -> Proposal:
    """Find files that lead from the current side to the desired one, and prove them.

    Raises:
        Refused: data would be lost, and that was not allowed. Nothing was written.
        UsageError: a --rename names nothing.
    """
    base, renames = _renamed(shadows, seen.current, seen.desired.facts, wishes.renames)
    difference = workbench.differ.difference(base.database, seen.desired.database, roles=base.facts.roles)
    first: Proposal | None = None
    fills = fills_for(wishes.fills, base.database, base.facts, seen.desired.facts, workbench.local)
    for arrangement in _variants(difference, base.facts, seen.desired.facts, workbench, renames, fills):
        _refuse_losses(arrangement, wishes, base.facts, seen.desired.facts)
        try:
            undoing = Undoing(workbench, shadows, base, seen, difference)
            proposal = _proven(name, workbench, shadows, seen, arrangement, undoing, wishes)
        except DatabaseFailed as error:
            proposal = Proposal((), arrangement.losses, problems=(error.message,))
        if proposal.passed_the_gate:
            return replace(proposal, notes=(*difference.doubts, *_why_not(first)))
        first = first or proposal
    return _as_draft(first, difference, seen)


def _variants(
    difference: Difference,
    facts: Facts,
    desired: Facts,
    workbench: Workbench,
    renames: Sequence[NewStatement],
    fills: Fills,
) -> Iterator[Arrangement]:
    """The same steps in the developer's words; in the differ's; and in the differ's own order, which stops writers."""
    seen: list[Arrangement] = []
    worded = Wording(workbench.schema).of(difference.forward, desired)
    for steps, careful in ((worded, True), (difference.forward, True), (difference.forward, False)):
        arrangement = arrange(steps, facts, desired, careful=careful, fills=fills)
        if renames:
            arrangement = replace(arrangement, parts=_behind_renames(arrangement.parts, renames))
        if arrangement.parts and arrangement not in seen:
            seen.append(arrangement)
            yield arrangement


def _behind_renames(parts: tuple[Part, ...], renames: Sequence[NewStatement]) -> tuple[Part, ...]:
    if parts and not parts[0].concurrent:
        return (replace(parts[0], statements=(*renames, *parts[0].statements)), *parts[1:])
    return (Part(tuple(renames)), *parts)


def _proven(
    name: str,
    workbench: Workbench,
    shadows: Shadows,
    seen: BothSchemas,
    arrangement: Arrangement,
    undoing: Undoing,
    wishes: Wishes,
) -> Proposal:
    parts = [
        replace(
            part,
            statements=(
                *part.statements,
                *grants_for([p.sql for p in part.statements], seen.current, seen.desired.facts),
            ),
        )
        for part in arrangement.parts
    ]
    undo = undoing.of(parts)
    files = read_folder(workbench.migrations).files
    ids = [file.id for file in files]
    losses = Losses(arrangement.losses, undo.losses)
    number, depends = next_number(ids, hotfix=wishes.hotfix), wishes.behind or last_dependable(files)
    pairs = list(zip(parts, undo.statements, strict=True))
    written = write_parts(name, pairs, ids, losses, number=number, depends=depends)
    with folder_with(workbench.migrations, written) as folder:
        parts = answered(parts, folder, [migration.id for migration in written], careful=arrangement.careful)
    pairs = list(zip(parts, undo.statements, strict=True))
    written = write_parts(name, pairs, ids, losses, number=number, depends=depends)
    with folder_with(workbench.migrations, written) as folder:
        verdict = prove(shadows, seen, folder, [migration.id for migration in written])
    return Proposal(
        tuple(written),
        arrangement.losses,
        undo.losses,
        (*arrangement.doubts, *verdict.problems),
        passed_the_gate=verdict.is_proven,
        proof=verdict.proof,
    )


def _why_not(first: Proposal | None) -> tuple[str, ...]:
    """What kept the more careful proposal from being taken."""
    if first is None:
        return ()
    why = first.problems[0].splitlines()[0].rstrip(":")
    return (f"written plainer than usual, because the careful way was not proven: {why}.",)


def _refuse_losses(arrangement: Arrangement, wishes: Wishes, before: Facts, desired: Facts) -> None:
    if not arrangement.losses or wishes.allow_destructive:
        return
    listed = "".join(f"\n  {loss}" for loss in arrangement.losses)
    hints = probable_renames(before, desired)
    meant = f" Was a rename meant? {' or '.join(hints)}." if hints else ""
    raise Refused(
        f"this change loses data:{listed}",
        remedy=f"Nothing was written. If it is meant: --allow-destructive.{meant}",
    )


def _renamed(
    shadows: Shadows, current: BuiltSchema, desired: Facts, texts: Sequence[str]
) -> tuple[BuiltSchema, list[NewStatement]]:
    """The side after all renames, in a clone if there are any; and the renames."""
    base = current
    renames: list[NewStatement] = []
    for number in range(2):  # those that were named, then those that follow from them
        found = following_renames(base.facts, desired) if number else named_renames(texts, base.facts)
        if found:
            database = base.database if renames else shadows.clone(current.database, "renamed")
            with open_session(database, application_name="db-pipeline rename") as session:
                session.run(";".join(each.sql for each in found))
            base = replace(base, database=database, facts=read_facts(database))
            renames += found
    return base, renames


def _as_draft(first: Proposal | None, difference: Difference, seen: BothSchemas) -> Proposal:
    """What there is, with everything that keeps it from being a migration."""
    problems = list(first.problems) if first else []
    if difference.problem:
        problems.append(f"the differ gave no statements: {difference.problem}")
    problems += [f"the differ does not handle: {doubt}" for doubt in difference.doubts]
    if not first or not first.migrations:
        problems.append(f"what schema.sql asks for:\n{wanted(seen.deviations)}")
    return replace(first, problems=tuple(problems)) if first else Proposal((), problems=tuple(problems))
