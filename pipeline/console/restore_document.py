"""The JSON document of `restore`: its fields, and how it is made of what the pipeline returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.console.restore_text import Found
    from pipeline.neon import Branch
    from pipeline.restore.comparing import TableChanges
    from pipeline.restore.in_place import WentBack
    from pipeline.restore.looking import Look
    from pipeline.restore.points import Points


@dataclass(frozen=True)
class RestorePoint:
    """The moment before a migration."""

    id: Annotated[str, "the migration"]
    applied_at: Annotated[str | None, "when it was applied, as ISO 8601 in UTC, or null"]
    commit: Annotated[str | None, "as in status"]
    actor: Annotated[str | None, "who deployed it, or null"]
    wal_position: Annotated[str | None, "where a restore to before it goes, or null where nobody recorded it"]
    reachable: Annotated[bool | None, "whether the project's history has it; null where Neon was not asked"]


@dataclass(frozen=True)
class RestoreBranch:
    """A branch that keeps a state."""

    name: Annotated[str, "its name"]
    id: Annotated[str, "its id"]
    at: Annotated[str, "which moment it keeps: when it was made, as ISO 8601"]
    expires_at: Annotated[str | None, "when Neon deletes it, or null where it stays"]


@dataclass(frozen=True)
class RestoreTable:
    """A table then and now, in rows. Null: it was not there, was not compared, or has no key to count by."""

    table: Annotated[str, "its name"]
    key: Annotated[list[str], "the columns by which rows are told apart; empty where there is no key"]
    then: Annotated[int | None, "rows before the migration"]
    now: Annotated[int | None, "rows now"]
    gone: Annotated[int | None, "rows that were there then and are not there now"]
    new: Annotated[int | None, "rows that are there now and were not there then"]
    changed: Annotated[int | None, "rows with the same key and another content; null without a key"]
    dropped: Annotated[list[str], "columns that are not there any more, and are not compared"]
    added: Annotated[list[str], "columns that were not there then, and are not compared"]
    uncompared: Annotated[str, "why it was not compared, or empty"]


@dataclass(frozen=True)
class Restore:
    """What `restore --json` prints: of what was not asked for, the fields are null or empty."""

    verb: Annotated[Literal["restore"], '"restore"']
    environment: Annotated[str | None, "the name that was given, or null for a bare DATABASE_URL"]
    action: Annotated[str, '"list", "look", "take", "in-place" or "release"']
    points: Annotated[list[RestorePoint], "the moments before each applied migration, oldest first"]
    kept: Annotated[list[RestoreBranch], "kept points: branches that a deploy made before it destroyed something"]
    old_states: Annotated[list[RestoreBranch], "what the environment was before it went back"]
    history_from: Annotated[str | None, "where the project's history begins, as ISO 8601"]
    unasked: Annotated[str, "why Neon was not asked, or empty"]
    held: Annotated[list[str], "ids that a restore undid, and that do not run again as they are"]
    before: Annotated[str | None, "the migration behind which was looked or gone back"]
    wal_position: Annotated[str | None, "the moment before it"]
    branch: Annotated[
        str | None, "the branch at that moment; after going back in place the one that keeps the old state"
    ]
    branch_id: Annotated[str | None, "its id"]
    expires_at: Annotated[str | None, "when Neon deletes it, or null where it stays"]
    url: Annotated[str | None, "the owner's connection to it, masked unless --show; null where it has no compute"]
    tables: Annotated[list[RestoreTable], "what became of each table since"]
    files: Annotated[list[str], "what --take wrote, which nothing has run"]
    activated_roles: Annotated[list[str], "the runtime roles that were given the stack's password after going back"]


def document_of(environment: str | None, found: Found, *, show: bool) -> Restore:
    """The document of what the verb did."""
    from pipeline.restore.looking import Look
    from pipeline.restore.points import Points
    from pipeline.restore.taking import Taken

    if isinstance(found, Points):
        return points_document(environment, found)
    if isinstance(found, Look):
        return look_document(environment, found, show=show)
    if isinstance(found, Taken):
        return look_document(environment, found.look, show=show, files=map(str, found.files))
    return back_document(environment, found)


def points_document(environment: str | None, found: Points) -> Restore:
    """What an environment can go back to."""
    return Restore(
        verb="restore",
        environment=environment,
        action="list",
        points=[
            RestorePoint(
                id=each.migration.id,
                applied_at=each.migration.applied_at.isoformat() if each.migration.applied_at else None,
                commit=each.migration.commit or None,
                actor=each.migration.actor or None,
                wal_position=each.migration.lsn or None,
                reachable=each.reachable,
            )
            for each in found.points
        ],
        kept=_branches(each.branch for each in found.kept),
        old_states=_branches(found.old_states),
        history_from=found.history_from.isoformat() if found.history_from else None,
        unasked=found.unasked,
        held=[each.id for each in found.held],
        before=None,
        wal_position=None,
        branch=None,
        branch_id=None,
        expires_at=None,
        url=None,
        tables=[],
        files=[],
        activated_roles=[],
    )


def look_document(environment: str | None, look: Look, *, show: bool, files: Iterable[str] = ()) -> Restore:
    """A look, and the files that --take made of it."""
    branch, url = look.lease.branch, look.lease.url
    taken = list(files)
    return Restore(
        verb="restore",
        environment=environment,
        action="take" if taken else "look",
        points=[],
        kept=[],
        old_states=[],
        history_from=None,
        unasked="",
        held=sorted(look.ground.view.history.held),
        before=look.migration.id,
        wal_position=look.migration.lsn,
        branch=branch.name,
        branch_id=branch.id,
        expires_at=branch.expires_at.isoformat() if branch.expires_at else None,
        url=None if url is None else url.reveal() if show else str(url),
        tables=tables_document(look.tables),
        files=taken,
        activated_roles=[],
    )


def back_document(environment: str | None, back: WentBack) -> Restore:
    """An environment that went back; the tables are as they were just before."""
    old = back.old_state
    return Restore(
        verb="restore",
        environment=environment,
        action="in-place",
        points=[],
        kept=[],
        old_states=_branches([old]),
        history_from=None,
        unasked="",
        held=list(back.held),
        before=back.before,
        wal_position=back.lsn,
        branch=old.name,
        branch_id=old.id,
        expires_at=old.expires_at.isoformat() if old.expires_at else None,
        url=None,
        tables=tables_document(back.tables),
        files=[],
        activated_roles=list(back.activated),
    )


def tables_document(found: Iterable[TableChanges]) -> list[RestoreTable]:
    """The counts of each table."""
    lists = ("key", "dropped", "added")
    return [RestoreTable(**asdict(each) | {name: list(getattr(each, name)) for name in lists}) for each in found]


def _branches(found: Iterable[Branch]) -> list[RestoreBranch]:
    return [
        RestoreBranch(
            each.name,
            each.id,
            (each.parent_timestamp or each.created_at).isoformat(),
            each.expires_at.isoformat() if each.expires_at else None,
        )
        for each in found
    ]
