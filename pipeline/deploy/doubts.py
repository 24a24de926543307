"""What a database cannot tell, said where it would otherwise be passed over. None of it stops a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.migrations.names import number_of
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.deploy.target import Target
    from pipeline.errors import PipelineError
    from pipeline.history import History
    from pipeline.migrations.plan import Plan
    from pipeline.postgres import Identity

_SHOWN = 3

# duplicate_table, _object, _column, _function, _schema: what is to be made is there
_THERE_ALREADY = frozenset({"42P07", "42710", "42701", "42723", "42P06"})
_ADOPT = "`./inv baseline --env … --through ID` records the files whose work is in it already (docs/adopting.md)"


def doubts(history: History, plan: Plan) -> tuple[str, ...]:
    """A sentence for each thing that nobody can tell from this history."""
    found = []
    if _has_tables_and_no_history(history) and plan.pending:
        found.append(
            f"the database has tables (as {history.other_table}) and no history of migrations. If it was restored from a "
            f"dump without the schema migration_history, or made by other means: {_ADOPT}"
        )
    unknown = [each.id for each in plan.applied if not each.checksum]
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        last = number_of(unknown[-1])
        found.append(
            f"no checksum is known of {', '.join(unknown[:_SHOWN])}{more}: whether a file was edited after it was applied "
            f"cannot be told. `./inv baseline --env … --through {last}` compares the database with what the files "
            "build, and keeps their checksums"
        )
    return tuple(found)


def passwords_unseen(target: Target, history: History, identity: Identity) -> str:
    """That nobody compared the roles' passwords with a stack's, where a deploy with the stack had set them; or nothing.

    On a branch that was made anew the history has its parent's rows: there the roles still have the parent's passwords.
    """
    roles = sorted({each.role for each in history.passwords})
    if target.passwords or not identity.is_neon or not roles:
        return ""
    return (
        f"DATABASE_URL is set, so no stack was asked for the passwords of {', '.join(roles)}. After a rotation, "
        f"`env -u DATABASE_URL ./inv deploy --env {target.environment or '…'}` brings the new ones into force"
    )


def remedy_without_history(history: History, error: PipelineError) -> str:
    """What to do about a failure because something is there already, in a database that nobody migrated; or nothing."""
    cause = error.__cause__
    if not _has_tables_and_no_history(history) or not isinstance(cause, ServerError):
        return ""
    if cause.sqlstate not in _THERE_ALREADY:
        return ""
    return f"The database had tables before the first migration, and no history. If the files' work is among them: {_ADOPT}."


def _has_tables_and_no_history(history: History) -> bool:
    return bool(history.other_table) and not history.applied
