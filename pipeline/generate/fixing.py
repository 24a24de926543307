"""`check --fix`: a migration written by hand, put into the files that the generator would have written for it.

It knows the way around a lock for an index, a foreign key, a check, a unique or primary key and NOT NULL. What the new
files build is proven to be what the old one built; a file that moves rows is left to its author.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError, Refused
from pipeline.generate import Workbench, generation_lock
from pipeline.generate.differ import Step
from pipeline.generate.gate import folder_with, prove
from pipeline.generate.new_migrations import Losses, NewMigration, NewStatement, Part, put, write_parts
from pipeline.generate.proposals.arranging import arrange
from pipeline.generate.proposals.rollbacks import Undoing
from pipeline.migrations import Folder, read_folder
from pipeline.migrations.names import is_hotfix, is_hotfix_of, name_of, number_behind, number_of
from pipeline.migrations.renumbering import rename_files
from pipeline.migrations.sql_text import statements
from pipeline.schema.dump import deviations, listed
from pipeline.schema.replay import BothSchemas, read_built, replay
from pipeline.schema.shadows import open_shadows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pipeline.migrations import MigrationFile
    from pipeline.migrations.script import Script
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.shadows import Shadows

FIXABLE = frozenset({
    "require-concurrent-index-creation", "require-concurrent-index-deletion", "adding-foreign-key-constraint",
    "constraint-missing-not-valid", "disallowed-unique-constraint", "set-not-null", "validate-in-same-file",
})  # fmt: skip
"""The rules of lint that have a way around which the generator knows."""

_SCHEMA_ONLY = frozenset({"CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE"})
_DIRECTIVE = re.compile(r"(depends|transactional|pipeline|remaining)\s*:", re.IGNORECASE)
_IGNORE = re.compile(r"lint:\s*ignore\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fixed:
    """The files that took the place of a migration; none where it was left as it is, and why."""

    id: str
    written: tuple[str, ...] = ()
    why_not: str = ""


def fix(
    workbench: Workbench, ids: Collection[str], *, merged: Collection[str], applied: Collection[str]
) -> list[Fixed]:
    """Write these migrations anew, each in as many files as it needs; the numbers of those behind it move on.

    `merged` are the ids that the base branch has, `applied` those that the local database has: neither may change.

    Raises:
        Refused: one that would change, or get another number, is applied locally. Nothing was written.
        InvalidPlan: a migration does not run.
    """
    chosen = sorted(set(ids) - set(merged), reverse=True)  # from the last one, since numbers behind one move
    with generation_lock(workbench.state):
        folder = read_folder(workbench.migrations)
        _refuse_applied(folder, chosen, applied)
        return _all_fixed(workbench, chosen)


def _all_fixed(workbench: Workbench, chosen: Sequence[str]) -> list[Fixed]:
    """Fix each, and tell of those behind it by the numbers that they end with."""
    done: list[Fixed] = []
    for id_ in chosen:
        fixed = _fixed(workbench, read_folder(workbench.migrations).by_id[id_])
        shift = max(len(fixed.written) - 1, 0)
        done = [replace(each, written=tuple(_moved(written, shift) for written in each.written)) for each in done]
        done.append(fixed)
    return done[::-1]


def _refuse_applied(folder: Folder, chosen: Sequence[str], applied: Collection[str]) -> None:
    moving = [file.id for file in folder.files if chosen and file.id >= chosen[-1]]
    if here := [id_ for id_ in moving if id_ in applied]:
        to = number_of(max((file.id for file in folder.files if file.id < here[0]), default="0000"))
        raise Refused(
            f"{', '.join(here)}: applied to the local database, which would refuse what is written anew",
            remedy=f"Nothing was written. `./inv rollback --to {to}` first, then this again, then `./inv migrate`.",
        )


def _fixed(workbench: Workbench, file: MigrationFile) -> Fixed:
    script = file.forward
    by_hand = next((each for each in script.statements if each.words[0] not in _SCHEMA_ONLY), None)
    if by_hand is not None:
        return Fixed(file.id, why_not=f"{by_hand.words[0]} on line {by_hand.line}: what moves rows is its author's")
    if not script.transactional:
        return Fixed(file.id, why_not="it runs outside a transaction already")
    with _earlier(workbench, file) as earlier, open_shadows(workbench.local, workbench.shadow) as shadows:
        try:
            written = _written_anew(earlier, shadows, file)
        except PipelineError as error:
            return Fixed(file.id, why_not=error.message)
    if isinstance(written, str):
        return Fixed(file.id, why_not=written)
    _replace(workbench.migrations, file, written)
    return Fixed(file.id, tuple(migration.id for migration in written))


@contextmanager
def _earlier(workbench: Workbench, file: MigrationFile) -> Iterator[Workbench]:
    """A workbench whose folder ends before the file."""
    with tempfile.TemporaryDirectory(prefix="db-pipeline-") as name:
        copy = Path(name) / workbench.migrations.name
        copy.mkdir()
        for path in workbench.migrations.glob("*.sql"):
            if number_of(path.name) < number_of(file.id):
                shutil.copyfile(path, copy / path.name)
        yield Workbench(Path(name), workbench.local, workbench.shadow, workbench.differ)


def _written_anew(workbench: Workbench, shadows: Shadows, file: MigrationFile) -> list[NewMigration] | str:
    """The files, proven; or why there are none."""
    folder = read_folder(workbench.migrations)
    before = shadows.create("before")
    replay(before, folder)
    current = read_built(before)
    after = shadows.clone(before, "after")
    replay(after, replace(folder, files=(*folder.files, file)))
    desired = read_built(after)
    script = file.forward
    steps = [Step(statement.text, verbatim=True) for statement in script.statements]
    arrangement = arrange(steps, current.facts, desired.facts)
    if [[each.sql for each in part.statements] for part in arrangement.parts] == [[step.sql for step in steps]]:
        return "the generator knows no other way for it"
    parts = _with_comments(arrangement.parts, script)
    difference = workbench.differ.difference(before, after, roles=current.facts.roles)
    seen = BothSchemas(current, desired)
    undo = Undoing(workbench, shadows, current, seen, difference).of(parts)
    written = write_parts(
        name_of(file.id),
        list(zip(parts, undo.statements, strict=True)),
        [each.id for each in folder.files],
        Losses((), undo.losses),
        number=number_of(file.id),
    )
    written = [_with_head(migration, script, is_first=number == 0) for number, migration in enumerate(written)]
    with folder_with(workbench.migrations, written) as finished:
        new_ids = [migration.id for migration in written]
        verdict = prove(shadows, seen, finished, new_ids)
    if verdict.proof is None:
        return "the careful way could not be proven: " + "; ".join(verdict.problems)
    if wrong := deviations(desired.objects, verdict.proof.objects, grants=True):
        return f"grants would not be the same:\n{listed(wrong)}"
    return written


def _with_comments(parts: Sequence[Part], script: Script) -> list[Part]:
    """The parts with what the author wrote above each statement: at it, or at the first that says all that it said."""
    result = [list(part.statements) for part in parts]
    positions = [(number, at) for number, inside in enumerate(result) for at in range(len(inside))]
    for statement, lines in _comments(script):
        same = [at for at in positions if result[at[0]][at[1]].sql == statement.text]
        names = _names(statement)
        alike = [at for at in positions if names <= _names(statements(result[at[0]][at[1]].sql)[0])]
        if lines and (found := same or alike):
            number, at = found[0]
            result[number][at] = _commented(result[number][at], lines)
    return [replace(part, statements=tuple(inside)) for part, inside in zip(parts, result, strict=True)]


def _names(statement: Statement) -> set[str]:
    return {token.identifier for token in statement.tokens if token.kind in {"word", "quoted"}}


def _commented(new: NewStatement, lines: Sequence[str]) -> NewStatement:
    why = [line for line in lines if not _IGNORE.match(line)]
    ignores = [_IGNORE.sub("", line) for line in lines if _IGNORE.match(line)]
    return replace(new, why="\n".join([*why, *filter(None, [new.why])]), ignores=(*ignores, *new.ignores))


def _comments(script: Script) -> Iterator[tuple[Statement, list[str]]]:
    """Each statement with the lines of comment above it; of the file's head, what is neither title nor directive."""
    end = 0
    for number, statement in enumerate(script.statements):
        gap = script.text[end : statement.start]
        lines = [line.strip().lstrip("-").strip() for line in gap.splitlines() if line.strip().startswith("--")]
        if number == 0:
            lines = [line for line in lines if line != script.title and not _DIRECTIVE.match(line)]
        yield statement, lines
        end = statement.start + len(statement.text)


def _with_head(migration: NewMigration, script: Script, *, is_first: bool) -> NewMigration:
    """The author's title on the first file, and the author's limits on each that runs in a transaction."""
    title, _, rest = migration.forward.partition("\n")
    if is_first and script.title:
        title = f"-- {script.title}"
    if script.settings and "-- transactional: false" not in rest:
        settings = " ".join(f"{key}={value}" for key, value in script.settings.items())
        rest = f"-- pipeline: {settings}\n{rest}"
    return replace(migration, forward=f"{title}\n{rest}")


def _moved(id_: str, by: int) -> str:
    """The id with a number that is so much higher."""
    number = number_of(id_)
    for _ in range(by):
        number = number_behind(number)
    return f"{number}_{name_of(id_)}"


def _replace(folder: Path, file: MigrationFile, written: Sequence[NewMigration]) -> None:
    """Put the new files in the place of the old one: all of it, or, when it is interrupted, nothing."""
    behind = (other.id for other in read_folder(folder).files if other.id > file.id)
    later = [id_ for id_ in behind if not is_hotfix(file.id) or is_hotfix_of(id_, number_of(file.id))]
    shift = len(written) - 1
    ids = {id_: _moved(id_, shift) for id_ in later} if shift else {}
    old = {path: path.read_bytes() for path in folder.glob(f"{file.id}.*")}
    rename_files(folder, ids)
    try:
        for path in old:
            path.unlink()
        put(folder, written)
    except BaseException:
        for path, data in old.items():
            path.write_bytes(data)
        rename_files(folder, {new: id_ for id_, new in ids.items()})
        raise
