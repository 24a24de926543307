"""Files against history: what is applied, what is pending and in which order, and what forbids to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import InvalidPlan, MigrationFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pipeline.migrations.files import Folder, MigrationFile


@dataclass(frozen=True, slots=True)
class Applied:
    """One migration that the history has as applied. An empty checksum: recorded by stock yoyo, which keeps none."""

    id: str
    applied_at: datetime | None = None  # UTC
    checksum: str = ""
    commit: str = ""
    actor: str = ""
    duration_ms: int | None = None
    lsn: str = ""  # the WAL position before it ran


@dataclass(frozen=True)
class Plan:
    """What a deploy would do. It may run only when there are no faults."""

    applied: tuple[Applied, ...]
    pending: tuple[MigrationFile, ...]
    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    out_of_order: tuple[str, ...] = ()
    faults: tuple[InvalidPlan, ...] = ()


def make_plan(folder: Folder, applied: Mapping[str, Applied]) -> Plan:
    """Compare the folder with the history.

    Every fault that can be known without running anything is in the result; nothing is raised. A fault in the text of a
    file counts only while the file is pending: what is applied cannot be mended by editing it.
    """
    faults: list[InvalidPlan] = list(folder.faults)
    edited = [file for file in folder.files if _edited(file, applied.get(file.id))]
    missing = [id_ for id_ in applied if id_ not in folder.by_id]
    pending = [file for file in folder.files if file.id not in applied]
    faults += [_edited_fault(file) for file in edited]
    faults += [_missing_fault(folder, id_) for id_ in sorted(missing)]
    faults += _text_faults(pending)
    ordered, order_faults = _ordered(folder, pending) if not faults else (pending, [])
    faults += order_faults
    late = _out_of_order(ordered, applied)
    faults += [_out_of_order_fault(file, applied) for file in late]
    return Plan(
        applied=tuple(applied[id_] for id_ in sorted(applied)),
        pending=tuple(ordered),
        edited=tuple(file.id for file in edited),
        missing=tuple(sorted(missing)),
        out_of_order=tuple(file.id for file in late),
        faults=tuple(faults),
    )


def _edited(file: MigrationFile, applied: Applied | None) -> bool:
    return applied is not None and applied.checksum not in {"", file.checksum}


def _text_faults(pending: Sequence[MigrationFile]) -> list[MigrationFileError]:
    found = []
    for file in pending:
        try:
            _ = file.forward
        except MigrationFileError as fault:
            found.append(fault)
    return found


def _ordered(folder: Folder, pending: list[MigrationFile]) -> tuple[list[MigrationFile], list[InvalidPlan]]:
    """Pending files in the order that yoyo gives: by id, each behind what it depends on."""
    faults: list[InvalidPlan] = []
    graph: dict[str, set[str]] = {file.id: set() for file in pending}
    for file in pending:
        for name in file.forward.depends:
            if name not in folder.by_id:
                fault = MigrationFileError(
                    f"it depends on {name}, which is not there",
                    where=file.path,
                    remedy="Correct the `-- depends:` line: it names files without their ending.",
                )
                faults.append(fault)
            elif name in graph:
                graph[file.id].add(name)
    if faults or not any(graph.values()):
        return pending, faults

    # sorting costs an import of 100 ms, paid only where a file depends on another that is pending too
    from yoyo.topologicalsort import CycleError, topological_sort

    try:
        order = list(topological_sort([file.id for file in pending], graph))
    except CycleError as cycle:
        names = sorted(cycle.args[1])
        fault = MigrationFileError(
            f"these depend on each other in a circle: {', '.join(names)}",
            where=folder.by_id[names[0]].path,
            remedy="Remove one of their `-- depends:` lines.",
        )
        return pending, [fault]
    return [folder.by_id[id_] for id_ in order], []


def _out_of_order(ordered: Sequence[MigrationFile], applied: Mapping[str, Applied]) -> list[MigrationFile]:
    """Pending files that sort before one that is applied: on a database from zero they would run in another order."""
    last = max(applied, default="")
    return [file for file in ordered if file.id < last]


def _edited_fault(file: MigrationFile) -> MigrationFileError:
    return MigrationFileError(
        "it was edited after it was applied",
        where=file.path,
        remedy=f"Restore it (git log -p -- {file.path}), and write the change as a new migration.",
    )


def _missing_fault(folder: Folder, id_: str) -> InvalidPlan:
    return MigrationFileError(
        "it is applied in the database, but the file is missing",
        where=f"{folder.path}/{id_}.sql",
        remedy="Deploy a commit that has it: this checkout may be older than the database. If it was removed, restore it.",
    )


def _out_of_order_fault(file: MigrationFile, applied: Mapping[str, Applied]) -> MigrationFileError:
    last = max(applied)
    return MigrationFileError(
        f"it sorts before {last}, which is applied already",
        where=file.path,
        remedy=f"Give it (and its rollback file) a number above {last[:4]}: `./inv renumber`, if it is not merged yet.",
    )
