"""A local database that has migrations of another git branch: which these are, and how they are taken back.

Each was kept with its rollback when it was applied (pipeline/history/kept.py), so that nobody needs its files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from pipeline.environments.per_branch import is_wanted
from pipeline.errors import AnotherBranch, InvalidPlan, MigrationFileError
from pipeline.git import branch_here, whereabouts
from pipeline.migrations import MigrationFile
from pipeline.migrations.names import is_hotfix
from pipeline.migrations.plan import in_order_of_application, make_plan
from pipeline.migrations.renumbering import moved
from pipeline.migrations.script import read_script
from pipeline.migrations.sql_text import Unterminated, tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.history.kept import Kept
    from pipeline.migrations import Folder
    from pipeline.migrations.plan import Applied, Plan
    from pipeline.migrations.script import Script


@dataclass(frozen=True, slots=True)
class Group:
    """Applied migrations that came from one branch: their ids, the branch and its commit, each empty where nobody knows."""

    ids: tuple[str, ...]
    branch: str
    commit: str

    def __str__(self) -> str:
        """As in "2 migrations of branch long (commit 1a2b3c4): 0007_a, 0008_b"."""
        of = f" of branch {self.branch}" if self.branch else ""
        commit = f"commit {self.commit}" if self.commit else "not committed"
        return f"{len(self.ids)} migration{'' if len(self.ids) == 1 else 's'}{of} ({commit}): {', '.join(self.ids)}"


def refuse_another_branch(folder: Folder, applied: Mapping[str, Applied], kept: Mapping[str, Kept]) -> None:
    """Raise AnotherBranch where a local database has what the folder has not."""
    for fault in with_one_sentence(make_plan(folder, applied), folder, kept).faults:
        if isinstance(fault, AnotherBranch):
            raise fault


def with_one_sentence(plan: Plan, folder: Folder, kept: Mapping[str, Kept]) -> Plan:
    """The plan of a local database, with one fault in the place of all that come from another branch's migrations.

    What has only another number in the folder is the same migration: then that is what the fault says. So is one that was
    edited since it was applied, of which the database kept the text that it has.
    """
    missing = [each for each in plan.applied if each.id in plan.missing and each.id]
    applied = {each.id: each for each in plan.applied}
    edited = [id_ for id_ in plan.edited if id_ in kept and kept[id_].checksum == applied[id_].checksum]
    if not missing and edited:
        only_comments = edited_comments(plan, folder, kept)
        rest = [id_ for id_ in edited if id_ not in only_comments]
        told: list[InvalidPlan] = [_edited(folder, rest)] if rest else []
        told += [_edited_comments(folder, id_) for id_ in only_comments]
        paths = {folder.by_id[id_].path for id_ in edited}
        return replace(plan, faults=(*told, *(fault for fault in plan.faults if fault.where not in paths)))
    if not missing:
        return plan
    renamed = {id_: file.id for id_, file in moved(folder, applied).items()}
    foreign = [each for each in missing if each.id not in renamed]
    paths = {f"{folder.path}/{each.id}.sql" for each in missing}
    paths |= {folder.by_id[id_].path for id_ in plan.out_of_order}
    others = tuple(fault for fault in plan.faults if fault.where not in paths)
    one = _other_branch(folder, foreign, kept) if foreign else _other_numbers(renamed)
    return replace(plan, faults=(one, *others))


def edited_comments(plan: Plan, folder: Folder, kept: Mapping[str, Kept]) -> list[str]:
    """The applied migrations whose comments alone were edited since: the tokens are those of the text that was kept."""
    applied = {each.id: each for each in plan.applied}
    return [
        id_
        for id_ in plan.edited
        if id_ in kept
        and kept[id_].checksum == applied[id_].checksum
        and _code(kept[id_].forward) == _code(folder.by_id[id_].data.decode("utf-8", "replace"))
    ]


def _code(text: str) -> list[tuple[str, str]] | str:
    """What of a file runs; the text itself where it cannot be read."""
    try:
        return [(token.kind, token.text) for token in tokens(text) if token.kind != "comment"]
    except Unterminated:
        return text


def _edited(folder: Folder, ids: Sequence[str]) -> AnotherBranch:
    listed = ", ".join(folder.by_id[id_].path for id_ in ids)
    return AnotherBranch(
        f"the local database has what was in {listed} before {'it was' if len(ids) == 1 else 'they were'} edited",
        remedy="Nothing was changed. If it is not merged yet: `./inv switch` undoes it here, with the rows of what it made, and "
        f"applies it as it is now. If it is: restore it (git log -p -- {listed}), and write the change as a new migration.",
    )


def _edited_comments(folder: Folder, id_: str) -> MigrationFileError:
    return MigrationFileError(
        "only its comments were edited since it was applied here",
        where=folder.by_id[id_].path,
        remedy="`./inv migrate` records the text that it has now, and runs nothing.",
    )


def _other_branch(folder: Folder, foreign: Sequence[Applied], kept: Mapping[str, Kept]) -> AnotherBranch:
    here = branch_here(folder.path)
    groups = "; ".join(str(group) for group in groups_of(folder, [each.id for each in foreign], kept))
    return AnotherBranch(
        f"the local database has what {f'this branch, {here},' if here else 'this checkout'} does not have: {groups}",
        remedy="Nothing was changed. `./inv switch` undoes them, with the rows of what they made, and applies what is pending "
        f"here.{'' if is_wanted() else ' LOCAL_PER_BRANCH=1 gives each branch a database of its own.'}",
    )


def _other_numbers(renamed: Mapping[str, str]) -> InvalidPlan:
    pairs = ", ".join(f"{old} is {new} now" for old, new in sorted(renamed.items()))
    return InvalidPlan(
        f"the local database knows migrations under other numbers: {pairs}",
        remedy="Nothing was changed. `./inv renumber` lets the local history follow, and runs nothing.",
    )


def groups_of(folder: Folder, ids: Sequence[str], kept: Mapping[str, Kept]) -> list[Group]:
    """Applied migrations by the branch that they came with, as the history kept it or else git knows it."""
    found = {id_: whereabouts(folder.path, id_) for id_ in ids}
    branches = {id_: (kept[id_].branch if id_ in kept else "") or found[id_].branch for id_ in ids}
    return [
        Group(tuple(members), branch, found[members[-1]].commit)
        for branch, members in ((branch, list(group)) for branch, group in groupby(ids, key=lambda id_: branches[id_]))
    ]


def to_undo(folder: Folder, applied: Mapping[str, Applied]) -> list[str]:
    """The applied migrations, the last one first, that stand in the way of the folder's; none where nothing does.

    That is the first one that the folder has not, or has in another text, or that comes behind a pending one (a hotfix may
    come late); and whatever was applied after it, which may build on it.
    """
    order = in_order_of_application(applied.values())
    pending = (file.id for file in folder.files if file.id not in applied)
    first_pending = min((id_ for id_ in pending if not is_hotfix(id_)), default="")

    def stays(each: Applied) -> bool:
        file = folder.by_id.get(each.id)
        return (
            file is not None
            and each.checksum in {"", file.checksum}
            and not (first_pending and each.id > first_pending)
        )

    at = next((index for index, each in enumerate(order) if not stays(each)), len(order))
    return [each.id for each in reversed(order[at:])]


def way_back(folder: Folder, applied: Applied, kept: Mapping[str, Kept]) -> tuple[MigrationFile, Script]:
    """What takes an applied migration back: its rollback file where the folder has what was applied, else the one that was kept.

    Raises:
        InvalidPlan: there is neither.
        MigrationFileError: it has no rollback file, or that is malformed.
    """
    file, known = folder.by_id.get(applied.id), kept.get(applied.id)
    is_same = file is not None and applied.checksum in {"", file.checksum}
    if not is_same and known is not None and applied.checksum in {"", known.checksum}:
        path = f"{folder.path}/{applied.id}.sql"
        was = MigrationFile(applied.id, path, known.forward.encode())
        if known.backward is None:
            raise _irreversible(path)
        return was, read_script(known.backward.encode(), f"{applied.id}.rollback.sql (kept in the database)")
    if file is None:
        raise InvalidPlan(
            "it is applied in the database, but the file is missing, and the database has not kept its rollback",
            where=f"{folder.path}/{applied.id}.sql",
            remedy="Nothing was changed. Check out the branch that has it and run `./inv migrate` there, which keeps it; or "
            "start anew with `./inv reset`.",
        )
    if file.backward is None:
        raise _irreversible(file.path)
    return file, file.backward


def _irreversible(path: str) -> MigrationFileError:
    id_ = path.rpartition("/")[2].removesuffix(".sql")
    return MigrationFileError(
        "it has no rollback file",
        where=path,
        remedy=f"Nothing was changed. Write {id_}.rollback.sql, or start anew with `./inv reset`.",
    )
