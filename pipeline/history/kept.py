"""What a local database keeps of its migrations beside the records: their texts, and the git branch that they came with.

So they can be taken back when git has switched to a branch that has not their files. The table is made on local databases
only; yoyo does not know it, and nothing else reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.git import branch_here
from pipeline.history.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.migrations import Folder, MigrationFile
    from pipeline.migrations.plan import Applied
    from pipeline.postgres.session import Session

_TABLE = f"{SCHEMA}.kept_text"
_CREATE = f"""
CREATE TABLE {_TABLE} (
    migration_hash varchar(64) PRIMARY KEY,
    migration_id varchar(255) NOT NULL,
    forward text NOT NULL,
    backward text,
    branch text NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A migration as it was applied: both texts (`backward` is None where it had no rollback file), and its branch or nothing."""

    id: str
    forward: str
    backward: str | None
    branch: str

    @property
    def checksum(self) -> str:
        """As MigrationFile has it."""
        return sha256(self.forward.encode()).hexdigest()


def read_kept(session: Session) -> dict[str, Kept] | None:
    """What is kept, by the migrations' ids, or None where nothing ever was. Some of them may not be applied any more."""
    if session.run(f"SELECT pg_catalog.to_regclass('{_TABLE}')")[0].rows[0][0] is None:
        return None
    rows = session.run(f"SELECT migration_id, forward, backward, branch FROM {_TABLE}")[0].rows
    return {
        id_ or "": Kept(id_ or "", forward or "", backward, branch or "") for id_, forward, backward, branch in rows
    }


def keep_texts(session: Session, folder: Folder, applied: Mapping[str, Applied]) -> None:
    """Keep in a local database what takes each migration back: of those that are applied, and those that are about to be."""
    kept = read_kept(session)
    if _keep_sql(folder.files, applied, kept, ""):  # git is asked only then
        session.run(_keep_sql(folder.files, applied, kept, branch_here(folder.path)))


def _keep_sql(
    files: Iterable[MigrationFile], applied: Mapping[str, Applied], kept: Mapping[str, Kept] | None, branch: str
) -> str:
    """What keeps the texts of these files where they are not kept yet; nothing where all are.

    A file that is applied in another text than it has now is left out: what was kept of it is what ran. `branch` is that of
    the files that are not applied yet; where the others came from, nobody knows.
    """
    rows = []
    for file in files:
        known, was = (kept or {}).get(file.id), applied.get(file.id)
        forward, backward = _text(file.data), _text(file.rollback_data)
        if forward is None or (was is not None and was.checksum not in {"", file.checksum}):
            continue
        same = known is not None and known.forward == forward
        row = Kept(file.id, forward, backward, branch if was is None else known.branch if known and same else "")
        if row != known:
            texts = (file.hash, row.id, row.forward, row.backward, row.branch)
            rows.append(f"({', '.join('NULL' if text is None else literal(text) for text in texts)})")
    if not rows:
        return ""
    columns = ("migration_id", "forward", "backward", "branch")
    return (
        f"{_CREATE if kept is None else ''}INSERT INTO {_TABLE} (migration_hash, {', '.join(columns)}) VALUES {', '.join(rows)} "
        f"ON CONFLICT (migration_hash) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in columns)};"
    )


def _text(data: bytes | None) -> str | None:
    """The text, or None where there is none that a database would take."""
    try:
        return None if data is None or b"\0" in data else data.decode("utf-8")
    except UnicodeDecodeError:
        return None
