"""The key by which a table's rows can be gone through: a unique btree index without nulls, the primary key if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.generate.style import quoted
from pipeline.kinds.one_table import ROW_KEY

if TYPE_CHECKING:
    from pipeline.postgres.session import Session


def read_row_key(session: Session, table: str, *, without: str) -> tuple[str, ...]:
    """The columns of a key that does not have the column `without`, in order; empty where the table has none."""
    rows = session.run(ROW_KEY.format(table=literal(quoted(table)), without=literal(without)))[-1].rows
    return tuple(str(row[0]) for row in rows)
