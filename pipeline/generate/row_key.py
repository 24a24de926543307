"""The key by which a table's rows can be gone through: a unique btree index without nulls, the primary key if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.generate.style import quoted

if TYPE_CHECKING:
    from pipeline.postgres.session import Session

_KEY = """
SELECT a.attname
  FROM (SELECT i.indrelid, i.indkey
          FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
         WHERE i.indrelid = to_regclass({table}) AND i.indisunique AND i.indisvalid AND i.indimmediate AND m.amname = 'btree'
           AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
           AND NOT EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = i.indrelid AND o.attnum = ANY (i.indkey)
                              AND (NOT o.attnotnull OR o.attname = {without}))
         ORDER BY i.indisprimary DESC, i.indnkeyatts, x.relname LIMIT 1) k
  JOIN unnest(k.indkey::smallint[]) WITH ORDINALITY AS named(number, position) ON true
  JOIN pg_attribute a ON a.attrelid = k.indrelid AND a.attnum = named.number
 ORDER BY named.position
"""


def read_row_key(session: Session, table: str, *, without: str) -> tuple[str, ...]:
    """The columns of a key that does not have the column `without`, in order; empty where the table has none."""
    rows = session.run(_KEY.format(table=literal(quoted(table)), without=literal(without)))[-1].rows
    return tuple(str(row[0]) for row in rows)
