"""Files against history: what is applied, what is pending and in which order, and what forbids to go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.errors import InvalidPlan, MigrationFileError
from pipeline.migrations.names import is_hotfix, number_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pipeline.migrations import Folder, MigrationFile

_LARGE = 1 << 18  # bytes: 10 ms of reading


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
    rehearsal: str = ""  # the digest of what let it in, in migration_history.rehearsals


@dataclass(frozen=True, slots=True)
class Held:
    """A migration that a restore undid: its file does not run again as it is. `kept` is the branch with the state before."""

    id: str
    checksum: str = ""  # of the file that was undone; empty where nobody knows it
    at: datetime | None = None  # UTC
    actor: str = ""
    kept: str = ""

    def holds(self, file: MigrationFile) -> bool:
        """Whether this is the file that was undone: one that was edited since is another."""
        return self.checksum in {"", file.checksum}


@dataclass(frozen=True)
class Plan:
    """What a deploy would do. It may run only when there are no faults."""

    applied: tuple[Applied, ...]
    pending: tuple[MigrationFile, ...]
    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    out_of_order: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    faults: tuple[InvalidPlan, ...] = ()


def make_plan(folder: Folder, applied: Mapping[str, Applied], held: Mapping[str, Held] | None = None) -> Plan:
    """Compare the folder with the history; `held` are the migrations that a restore undid.

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
    if not faults:
        faults += _missing_dependencies(folder, pending)
    out_of_order = _out_of_order(pending, applied)
    faults += [_out_of_order_fault(file, applied) for file in out_of_order]
    kept_back = [(file, why) for file in pending if (why := (held or {}).get(file.id)) is not None and why.holds(file)]
    faults += [_held_fault(file, why) for file, why in kept_back]
    return Plan(
        applied=tuple(applied[id_] for id_ in sorted(applied)),
        pending=tuple(pending),
        edited=tuple(file.id for file in edited),
        missing=tuple(sorted(missing)),
        out_of_order=tuple(file.id for file in out_of_order),
        held=tuple(file.id for file, _ in kept_back),
        faults=tuple(faults),
    )


def in_order_of_application(applied: Iterable[Applied]) -> list[Applied]:
    """What is applied, in the order in which it was: one whose instant nobody knows stands behind the number before it."""
    latest = datetime.min.replace(tzinfo=UTC)
    instants: dict[str, datetime] = {}
    by_number = sorted(applied, key=lambda each: each.id)
    for each in by_number:
        latest = instants[each.id] = each.applied_at or latest
    return sorted(by_number, key=lambda each: instants[each.id])


def _edited(file: MigrationFile, applied: Applied | None) -> bool:
    return applied is not None and applied.checksum not in {"", file.checksum}


def has_large(folder: Folder) -> bool:
    """Whether a file of the folder takes so long to take apart that nobody should wait for it under the lock."""
    return any(len(file.data) > _LARGE for file in folder.files)


def read_large(folder: Folder, applied: Collection[str]) -> None:
    """Take the large pending files apart, ahead of the plan, which tells their faults."""
    _text_faults([file for file in folder.files if file.id not in applied and len(file.data) > _LARGE])


def _text_faults(pending: Sequence[MigrationFile]) -> list[MigrationFileError]:
    found = []
    for file in pending:
        try:
            _ = file.forward
        except MigrationFileError as fault:
            found.append(fault)
    return found


def _missing_dependencies(folder: Folder, pending: Sequence[MigrationFile]) -> list[MigrationFileError]:
    """Each must be in the folder. It is an earlier one, which a fault of the text made sure of: the order is by id."""
    return [
        MigrationFileError(
            f"it depends on {name}, which is not there",
            where=file.path,
            remedy="Correct the `-- depends:` line: it names files without their ending.",
        )
        for file in pending
        for name in file.forward.depends
        if name not in folder.by_id
    ]


def batched_dependencies(folder: Folder, pending: Sequence[MigrationFile]) -> dict[str, tuple[MigrationFile, ...]]:
    """The batched files that each pending one depends on, by its id; those that depend on none are left out."""
    found = {}
    for file in pending:
        depends = [folder.by_id[id_] for id_ in file.forward.depends if id_ in folder.by_id]
        # most files depend on another one, and few on a batched one: only such are taken apart
        batched = tuple(each for each in depends if b"batched=" in each.data and each.forward.batched is not None)
        if batched:
            found[file.id] = batched
    return found


def out_of_order(folder: Folder, applied: Mapping[str, Applied]) -> list[str]:
    """The migrations of the folder that are not applied and may not be: a later one is."""
    return [file.id for file in _out_of_order([file for file in folder.files if file.id not in applied], applied)]


def _out_of_order(pending: Sequence[MigrationFile], applied: Mapping[str, Applied]) -> list[MigrationFile]:
    """Pending files that sort before one that is applied: on a database from zero they would run in another order.

    The hotfix of a release may: `check` has proven that it does the same behind what was merged meanwhile.
    """
    last = max(applied, default="")
    return [file for file in pending if file.id < last and not is_hotfix(file.id)]


def _edited_fault(file: MigrationFile) -> MigrationFileError:
    return MigrationFileError(
        "it was edited after it was applied",
        where=file.path,
        remedy=f"Restore it (git log -p -- {file.path}), and write the change as a new migration.",
    )


def _missing_fault(folder: Folder, id_: str) -> InvalidPlan:
    if not id_:
        return InvalidPlan(
            "the history has a record without a migration's id",
            where="migration_history._yoyo_migration",
            remedy="Its migration_hash is the SHA-256 of the id. As the owner, UPDATE its migration_id, or DELETE the record.",
        )
    return MigrationFileError(
        "it is applied in the database, but the file is missing",
        where=f"{folder.path}/{id_}.sql",
        remedy="Take the hotfix over into this branch (docs/a-hotfix.md), then deploy."
        if is_hotfix(id_)
        else "Deploy a commit that has it: this checkout may be older than the database. If it was removed, restore it.",
    )


def _out_of_order_fault(file: MigrationFile, applied: Mapping[str, Applied]) -> MigrationFileError:
    last = max(applied)
    return MigrationFileError(
        f"it sorts before {last}, which is applied already",
        where=file.path,
        remedy=f"Give it (and its rollback file) a number above {last[:4]}: `./inv renumber`, if it is not merged yet. If it is, "
        "and the database is your own: `./inv switch` undoes what stands behind it, and applies all in their order.",
    )


def _held_fault(file: MigrationFile, held: Held) -> MigrationFileError:
    when = f" on {held.at:%Y-%m-%d at %H:%M} UTC" if held.at else ""
    kept = f" What the database was before that is in the branch {held.kept}." if held.kept else ""
    return MigrationFileError(
        f"it is held: a restore undid it{when}",
        where=file.path,
        remedy="Edit it so that it does no harm (docs/a-bad-migration.md), or let it run as it is: "
        f"`./inv restore --env … --release {number_of(file.id)}`.{kept}",
    )
