"""`verify`: the gate on files that a person has written or finished."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InvalidPlan, UsageError
from pipeline.generate import generation_lock
from pipeline.generate.derived_files import Derived, DerivedTexts, read_derived, write_derived
from pipeline.generate.gate import folder_with, prove
from pipeline.generate.new_migrations import NewMigration, is_draft, without_mark
from pipeline.migrations import Folder, read_folder
from pipeline.migrations.names import number_of
from pipeline.schema.replay import build_both
from pipeline.schema.shadows import open_shadows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.generate import Workbench
    from pipeline.migrations import MigrationFile


@dataclass(frozen=True)
class Verified:
    """The migrations that were proven, those of them that were drafts until now, and the derived files that changed."""

    proven: tuple[str, ...]
    were_drafts: tuple[str, ...]
    derived: Derived = Derived()


def verify(workbench: Workbench, ids: Sequence[str] = ()) -> Verified:
    """Prove migrations that stand at the end of the folder, forward and back, and take the draft's mark off.

    `ids` names them (by id or number); left out, they are the drafts and all that stand behind the first of them, or the
    last migration where there is no draft. The ER diagram and Prisma's schema follow.

    Raises:
        InvalidPlan: they are not proven; the message says what misses. Nothing was changed.
        UsageError: there is nothing to prove, or an id names nothing.
    """
    with generation_lock(workbench.state):
        folder = read_folder(workbench.migrations)
        chosen = _chosen(folder, ids)
        texts = [_text(file) for file in chosen]
        first = chosen[0].id
        earlier = tuple(file for file in folder.files if file.id < first)
        with (
            open_shadows(workbench.local, workbench.shadow) as shadows,
            folder_with(workbench.migrations, texts) as finished,
        ):
            seen = build_both(shadows, Folder(folder.path, earlier, folder.faults), workbench.schema)
            verdict = prove(shadows, seen, finished, [file.id for file in chosen])
            derived = read_derived(workbench, verdict.proof.database) if verdict.proof else DerivedTexts()
        if not verdict.is_proven:
            raise InvalidPlan(
                "it is not proven:\n" + "\n".join(verdict.problems),
                where=chosen[0].path,
                remedy="Correct it and run `./inv verify` again.",
            )
        return Verified(tuple(file.id for file in chosen), tuple(_unmark(chosen)), write_derived(workbench, derived))


def _chosen(folder: Folder, ids: Sequence[str]) -> list[MigrationFile]:
    if not folder.files:
        raise UsageError("there are no migrations to prove", remedy="`./inv migrate --name …` writes one.")
    for id_ in ids:
        if not any(id_ in {file.id, number_of(file.id)} for file in folder.files):
            raise UsageError(f"there is no migration {id_}", remedy=f"The last one is {folder.files[-1].id}.")
    named = [file for file in folder.files if {file.id, number_of(file.id)} & set(ids)]
    drafts = [file for file in folder.files if any(is_draft(text) for text in _raw(file))]
    first = min((file.id for file in named or drafts), default=folder.files[-1].id)
    return [file for file in folder.files if file.id >= first]


def _raw(file: MigrationFile) -> list[str]:
    texts = [file.data.decode("utf-8", "replace")]
    if file.rollback_path is not None:
        texts.append(Path(file.rollback_path).read_text(encoding="utf-8", errors="replace"))
    return texts


def _text(file: MigrationFile) -> NewMigration:
    """The file as it will be without its mark.

    Raises:
        InvalidPlan: it has no rollback file, and what cannot be taken back cannot be proven.
    """
    if file.rollback_path is None:
        raise InvalidPlan(
            "it has no rollback file, so nobody can prove that it can be taken back",
            where=file.path,
            remedy=f"Write {file.id}.rollback.sql.",
        )
    forward, backward = _raw(file)
    return NewMigration(file.id, without_mark(forward), without_mark(backward))


def _unmark(files: Sequence[MigrationFile]) -> list[str]:
    """Take the marks off, and return the ids of those that had one."""
    unmarked = []
    for file in files:
        for path, text in zip((file.path, file.rollback_path), _raw(file), strict=False):
            if path is not None and is_draft(text):
                Path(path).write_text(without_mark(text), encoding="utf-8", newline="\n")
                unmarked.append(file.id)
    return sorted(set(unmarked))
