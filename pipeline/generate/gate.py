"""The gate: files count when they are proven, forward and back, through the runner that will run them.

Every file is applied and taken back one by one, so that each rollback is proven against the very state before its file.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.deploy import apply
from pipeline.deploy.rolling_back import rollback
from pipeline.deploy.target import Target
from pipeline.errors import PipelineError
from pipeline.migrations import Folder, read_folder
from pipeline.schema.dump import deviations, listed, lost_grants, read_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.generate.new_migrations import NewMigration
    from pipeline.schema.dump import Objects
    from pipeline.schema.replay import BothSchemas
    from pipeline.schema.shadows import Shadows


@dataclass(frozen=True)
class Proof:
    """A database that proven files have built, and its objects."""

    database: DatabaseURL
    objects: Objects


@dataclass(frozen=True)
class Verdict:
    """What the gate found; no problems when the files are proven. `proof` then is what they have built, and where."""

    problems: tuple[str, ...] = ()
    proof: Proof | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the files may be used."""
        return not self.problems


@contextmanager
def folder_with(folder: Path, migrations: Sequence[NewMigration]) -> Iterator[Folder]:
    """Read a folder as it would be with these files in it. The real one is not touched."""
    with tempfile.TemporaryDirectory(prefix="db-pipeline-") as name:
        copy = Path(name) / folder.name
        copy.mkdir()
        for file in folder.glob("*.sql"):
            shutil.copyfile(file, copy / file.name)
        for migration in migrations:
            (copy / f"{migration.id}.sql").write_text(migration.forward, encoding="utf-8", newline="\n")
            (copy / f"{migration.id}.rollback.sql").write_text(migration.backward, encoding="utf-8", newline="\n")
        yield read_folder(copy)


def prove(shadows: Shadows, seen: BothSchemas, folder: Folder, ids: Sequence[str]) -> Verdict:
    """Prove the last files of a folder, those with these ids, on a clone of the current side, which has the others applied.

    Forward: the objects equal the desired ones, and what was granted still is. Back, file by file: the objects and
    their grants equal those before the file. Forward again: as the first time.
    """
    database = shadows.clone(seen.current.database, "proof")
    problems: list[str] = []  # what was found before an error stays in it
    states = [seen.current.objects]
    try:
        problems.extend(_problems(database, folder, ids, seen, states))
    except PipelineError as error:
        problems.append(_without_temporary_path(str(error), folder))
    return Verdict(tuple(problems), None if problems else Proof(database, states[-1]))


def _problems(
    proof: DatabaseURL, folder: Folder, ids: Sequence[str], seen: BothSchemas, states: list[Objects]
) -> Iterator[str]:
    """What is wrong; `states` has what there is before the first file, and gets what there is behind each."""
    before = states[0]
    for id_ in ids:
        _forward(proof, folder, through=id_)
        states.append(read_objects(proof))
    if wrong := deviations(seen.desired.objects, states[-1], grants=False):
        yield f"after it, the schema is not that of schema.sql:\n{listed(wrong)}"
    if lost := lost_grants(before, states[-1]):
        yield f"after it, grants are not what they were:\n{listed(lost)}"
    for number in range(len(ids) - 1, -1, -1):
        _roll_back(proof, folder, through=ids[number])
        if wrong := deviations(states[number], read_objects(proof), grants=True):
            yield f"the rollback of {ids[number]} does not lead back to where it began:\n{listed(wrong)}"
            return
    _forward(proof, folder, through=ids[-1])
    if wrong := deviations(states[-1], read_objects(proof), grants=True):
        yield f"applied again after the rollback, it does not lead to the same:\n{listed(wrong)}"


def _forward(proof: DatabaseURL, folder: Folder, *, through: str) -> None:
    files = tuple(file for file in folder.files if file.id <= through)
    apply(proof, Folder(folder.path, files, folder.faults), target=Target(), verb="prove")


def _roll_back(proof: DatabaseURL, folder: Folder, *, through: str) -> None:
    """Roll back one file."""
    ids = [file.id for file in folder.files]
    position = ids.index(through)
    to = ids[position - 1] if position else "0000"
    rollback(proof, folder, to=to, target=Target())


def _without_temporary_path(text: str, folder: Folder) -> str:
    return text.replace(f"{Path(folder.path).parent}/", "")
