"""The history of the tool that was there before: what it says, and how yoyo's tables move into our schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.errors import Refused
from pipeline.history.tables import CREATE_SCHEMA, OURS, SCHEMA, YOYO_TABLES, YOYO_VERSION
from pipeline.migrations.plan import Applied

if TYPE_CHECKING:
    from pipeline.postgres.session import Session


@dataclass(frozen=True)
class OtherHistory:
    """What another tool recorded. Prisma's names are its own, so nothing of them is `applied` here."""

    tool: str = ""  # "yoyo", "Prisma" or empty
    applied: dict[str, Applied] = field(default_factory=dict)
    tables: tuple[str, ...] = ()  # yoyo's tables that are in public


NO_OTHER = OtherHistory()


def read_other(session: Session, found: str) -> OtherHistory:
    """What the history table `found` (as Identity.other_history names it) says.

    Raises:
        Refused: yoyo's tables are of another version, or its lock is taken; or a Prisma migration failed half-way.
    """
    if found.endswith("_prisma_migrations"):
        return _read_prisma(session)
    return _read_yoyo(session) if found else NO_OTHER


def takeover_sql(other: OtherHistory) -> str:
    """Move yoyo's tables from public, and make ours beside them. For use inside a transaction."""
    moved = "".join(f"ALTER TABLE public.{table} SET SCHEMA {SCHEMA};" for table in other.tables)
    return CREATE_SCHEMA + moved + OURS


def _read_yoyo(session: Session) -> OtherHistory:
    names = ", ".join(f"pg_catalog.to_regclass('public.{table}')" for table in YOYO_TABLES)
    present = session.run(f"SELECT {names}")[0].rows[0]
    if None in present:
        absent = [table for table, there in zip(YOYO_TABLES, present, strict=True) if there is None]
        raise Refused(
            f"yoyo's history is not complete: public.{absent[0]} is not there",
            remedy="Nothing was changed. Run `yoyo list` once with yoyo 9: it brings its tables up to date.",
        )
    versions, locks, rows = session.run(
        "SELECT max(version) FROM public._yoyo_version;SELECT pid FROM public.yoyo_lock;"
        "SELECT migration_id FROM public._yoyo_migration"
    )
    if versions.rows[0][0] != str(YOYO_VERSION):
        raise Refused(
            f"yoyo's tables are of its schema version {versions.rows[0][0]}, not {YOYO_VERSION}",
            remedy="Nothing was changed. Run `yoyo list` once with yoyo 9: it brings its tables up to date.",
        )
    if locks.rows:
        raise Refused(
            f"yoyo's own lock is taken (by process {locks.rows[0][0]})",
            remedy="Nothing was changed. Wait for it; if it crashed, `yoyo break-lock`.",
        )
    applied = {row[0] or "": Applied(row[0] or "") for row in rows.rows}
    return OtherHistory("yoyo", applied, YOYO_TABLES)


def _read_prisma(session: Session) -> OtherHistory:
    rows = session.run(
        "SELECT migration_name FROM public._prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL"
    )[0].rows
    if rows:
        raise Refused(
            f"the Prisma migration {rows[0][0]} never finished",
            remedy="Nothing was changed. Finish it, or resolve it with `prisma migrate resolve`, before it is adopted.",
        )
    return OtherHistory("Prisma")
