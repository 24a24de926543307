"""`migrate --name`: from an edited schema.sql to proven files in migrations/, applied locally."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.deploy.failure import NOT_AS_BUILT
from pipeline.errors import InvalidPlan, MigrationFailed
from pipeline.generate import generation_lock
from pipeline.generate.derived_files import Derived, DerivedTexts, read_derived, write_derived
from pipeline.generate.gate import folder_with
from pipeline.generate.new_migrations import NewMigration, check_name, is_draft, last_dependable, put
from pipeline.generate.proposals import Proposal, Wishes, propose
from pipeline.generate.proposals.lint_answers import findings_about
from pipeline.generate.proposals.renames import probable_renames
from pipeline.migrations import Folder, read_folder
from pipeline.migrations.names import next_number, number_of
from pipeline.postgres.session import ServerError
from pipeline.schema.dump import deviations, read_objects
from pipeline.schema.replay import build_both
from pipeline.schema.schema_text import read_schema
from pipeline.schema.shadows import open_shadows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipeline.deploy import Report
    from pipeline.generate import Workbench
    from pipeline.lint.finding import Finding

    Runner = Callable[[Folder], Report]
    Recorder = Callable[[Folder], tuple[str, ...]]


class DraftLeft(InvalidPlan):
    """What was written is a draft: marked, refused by every deploy, to be finished by hand."""

    def __init__(self, message: str, files: Sequence[Path]) -> None:
        super().__init__(
            message,
            where=files[0].name if files else "",
            remedy="Finish it by hand (its head says what is missing), then run `./inv verify`.",
        )
        self.files = tuple(files)


@dataclass(frozen=True)
class Generated:
    """What a generation did. No `files`: the migrations build schema.sql already.

    `losses` and `rollback_losses` say what going forward and back loses, `notes` what was left out or wondered about, and
    `findings` what `check` will ask about the new files, which are not applied then. `derived` are the derived files that
    changed.
    `report` is that of applying them, where that was asked for, and `recorded` what was recorded instead, because the local
    database is what they build already. `proposed` are the texts that a dry run would write.
    """

    files: tuple[Path, ...] = ()
    proposed: tuple[NewMigration, ...] = ()
    recorded: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    rollback_losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    derived: Derived = Derived()
    report: Report | None = None


def generate(
    name: str,
    workbench: Workbench,
    wishes: Wishes | None = None,
    *,
    run: Runner | None = None,
    record: Recorder | None = None,
) -> Generated:
    """Write the migration that leads from what the migrations build to schema.sql, prove it, and apply it with `run`.

    With no difference nothing is written, and `run` applies what is pending. Where the local database is what the files build
    already, as after `push`, `record` records them and nothing is run. A dry run writes and applies nothing.

    Raises:
        DraftLeft: it could not be proven, or fails on the rows that are there; the files are drafts.
        Refused: data would be lost, and that was not allowed; nothing was written.
        InvalidPlan: a migration or schema.sql is at fault; nothing was written.
        UsageError: the name or a rename cannot be used.
    """
    name, wishes = check_name(name), wishes or Wishes()
    with generation_lock(workbench.state):
        workbench.migrations.mkdir(exist_ok=True)  # git keeps no empty folder
        refuse_drafts(workbench.migrations)
        may_record = record is not None and not wishes.draft and not wishes.dry_run
        proposal, texts, is_built = _proposal(name, workbench, wishes, may_record=may_record)
        if wishes.dry_run:
            return _dry_run(name, workbench, proposal, wishes)
        files = put(workbench.migrations, _as_written(name, workbench, proposal, wishes))
        derived = write_derived(workbench, texts)
    if proposal is not None and proposal.problems:
        raise DraftLeft("no migration could be proven:\n" + "\n".join(proposal.problems), files)
    # before it is applied: what is edited because of them afterwards would be edited after it was applied
    findings = _findings(workbench.migrations, files) if files else []
    report: Report | None = None
    recorded: tuple[str, ...] = ()
    if run is not None and not wishes.draft and not findings:
        if is_built and record is not None:
            recorded = record(read_folder(workbench.migrations))
        else:
            report = _applied(run, workbench.migrations, files)
    notes = read_schema(workbench.schema).notes
    if proposal is None:
        return Generated(derived=derived, report=report, notes=notes)
    return Generated(
        files=tuple(files),
        losses=proposal.losses,
        rollback_losses=proposal.rollback_losses,
        notes=(*notes, *proposal.notes),
        findings=tuple(findings),
        derived=derived,
        report=report,
        recorded=recorded,
    )


def _dry_run(name: str, workbench: Workbench, proposal: Proposal | None, wishes: Wishes) -> Generated:
    """What would be written, and what `check` would ask about it.

    Raises:
        InvalidPlan: it could not be proven: a draft would be written.
    """
    notes = read_schema(workbench.schema).notes
    if proposal is None:
        return Generated(notes=notes)
    if proposal.problems:
        raise InvalidPlan(
            "no migration could be proven:\n" + "\n".join(proposal.problems),
            remedy="Nothing was written. Without --dry-run a draft is, to be finished by hand.",
        )
    proposed = tuple(_as_written(name, workbench, proposal, wishes))
    with folder_with(workbench.migrations, proposed) as folder:
        findings = findings_about(folder, {each.id for each in proposed})
    return Generated(
        proposed=proposed,
        losses=proposal.losses,
        rollback_losses=proposal.rollback_losses,
        notes=(*notes, *proposal.notes),
        findings=tuple(findings),
    )


def generate_empty(name: str, workbench: Workbench, *, hotfix: bool = False) -> tuple[Path, ...]:
    """Write a draft with nothing in it, to be filled in by hand and proven by `verify`; for a `hotfix`, under its number."""
    with generation_lock(workbench.state):
        workbench.migrations.mkdir(exist_ok=True)
        migration = _bare(check_name(name), read_folder(workbench.migrations), hotfix=hotfix)
        return tuple(
            put(
                workbench.migrations,
                [migration.with_note(["Write the change here, and what takes it back in the rollback file."])],
            )
        )


def refuse_drafts(folder: Path) -> None:
    """Raise for a draft in the folder: what would be generated beside it would do its work again.

    Raises:
        InvalidPlan: there is a draft; `where` names it.
    """
    for path in sorted(folder.glob("*.sql")):
        if is_draft(path.read_text(encoding="utf-8", errors="replace")):
            raise InvalidPlan(
                "it is a draft that was not finished",
                where=f"{folder.name}/{path.name}",
                remedy="Finish it and run `./inv verify`, or remove it and its rollback file.",
            )


def _proposal(
    name: str, workbench: Workbench, wishes: Wishes, *, may_record: bool
) -> tuple[Proposal | None, DerivedTexts, bool]:
    """The proposal, or None when there is nothing to do; the new texts of what follows the migrations.

    And, where that `may_record` it, whether the local database is what it builds already.
    """
    with open_shadows(workbench.local, workbench.shadow) as shadows:
        seen = build_both(shadows, read_folder(workbench.migrations), workbench.schema)
        if not seen.deviations:
            return None, read_derived(workbench, seen.current.database), False
        proposal = propose(name, workbench, shadows, seen, wishes)
        if proposal.problems or proposal.proof is None:
            hints = probable_renames(seen.current.facts, seen.desired.facts)
            problems = [f"perhaps a rename was meant: {hint}" for hint in hints]
            return proposal.with_problems(problems), DerivedTexts(), False
        proof = proposal.proof
        is_built = may_record and not deviations(proof.objects, read_objects(workbench.local), grants=True)
        return proposal, read_derived(workbench, proof.database), is_built


def _as_written(name: str, workbench: Workbench, proposal: Proposal | None, wishes: Wishes) -> list[NewMigration]:
    if proposal is None:
        return []
    if not proposal.problems:
        return list(proposal.migrations)
    migrations = proposal.migrations or (_bare(name, read_folder(workbench.migrations), hotfix=wishes.hotfix),)
    return [
        migration.with_note(proposal.problems if number == 0 else ()) for number, migration in enumerate(migrations)
    ]


def _bare(name: str, folder: Folder, *, hotfix: bool) -> NewMigration:
    words = name.replace("_", " ")
    ids = [file.id for file in folder.files]
    depends = f"-- depends: {last}\n" if (last := last_dependable(folder.files)) else ""
    title = words[0].upper() + words[1:]
    return NewMigration(
        f"{next_number(ids, hotfix=hotfix)}_{name}", f"-- {title}\n{depends}\n", f"-- Undo: {words}\n\n"
    )


def _applied(run: Runner, folder: Path, files: Sequence[Path]) -> Report:
    """Apply, and turn what fails on the rows that are there into a draft: the gate's databases have no rows."""
    try:
        return run(read_folder(folder))
    except MigrationFailed as error:
        failed = [number for number, path in enumerate(files) if path.name in error.where]
        if not failed:
            raise
        if isinstance(error.__cause__, ServerError) and error.__cause__.sqlstate in NOT_AS_BUILT:
            last = number_of(files[-1].stem)
            raise InvalidPlan(
                f"it is proven, and the local database is not what its migrations build: {error.message}",
                where=error.where,
                remedy="Somebody changed it by hand, or by `./inv push`. `./inv push` makes it what schema.sql says, and `./inv "
                f"baseline --env local --through {last}` records the file then; or `./inv reset` builds it anew, "
                "without its rows.",
            ) from error
        left = files[failed[0] :]
        for path in left:
            text = path.read_text(encoding="utf-8")
            note = [f"It fails on the rows of the local database: {error.message}"] if path == left[0] else []
            marked = NewMigration(path.stem, text, "").with_note(note)
            path.write_text(marked.forward, encoding="utf-8", newline="\n")
        raise DraftLeft(f"it fails on the rows that are there: {error.message}", left) from error


def _findings(folder: Path, files: Sequence[Path]) -> list[Finding]:
    """What `check` will ask about the new files."""
    return findings_about(read_folder(folder), {path.stem for path in files})
