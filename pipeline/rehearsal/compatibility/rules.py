"""What a table demands of the rows that are written into it, as the catalog has it: the part that no plan shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.history.tables import SCHEMA
from pipeline.migrations.sql_text import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.postgres.session import Session
    from pipeline.rehearsal.compatibility.plans import Relation

NOT_NULL, UNIQUE, CHECK, ENUM = "23502", "23505", "23514", "22P02"  # the SQLSTATEs of what they refuse

_OURS = f"n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema', 'pg_toast', '{SCHEMA}']) AND n.nspname !~ '^pg_t'"
_RULES = f"""
SELECT json_build_array(n.nspname, c.relname, format('%I.%I', n.nspname, c.relname),
    (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '',
                                      a.attisdropped) ORDER BY a.attnum)
       FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
    (SELECT json_agg(json_build_array(i.indexrelid::regclass::text, pg_get_expr(i.indpred, i.indrelid), i.indnullsnotdistinct,
                     (SELECT json_agg(json_build_array(a.attname, pg_get_indexdef(i.indexrelid, k.place::int, true))
                                     ORDER BY k.place)
                        FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k (number, place)
                        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
                       WHERE k.place <= i.indnkeyatts)))
       FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisready),
    (SELECT json_agg(json_build_array(k.conname, pg_get_expr(k.conbin, k.conrelid),
                     (SELECT json_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey))))
       FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'),
    EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 7 = 7))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND {_OURS}
"""
_ENUMS = f"""
SELECT json_build_array(format_type(t.oid, NULL), t.typname,
                        (SELECT json_agg(e.enumlabel) FROM pg_enum e WHERE e.enumtypid = t.oid))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND {_OURS}
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or the place of a dropped one."""

    name: str
    type: str
    not_null: bool
    is_generated: bool
    is_dropped: bool


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index. `keys` are its columns and expressions; `columns` those of them that are columns."""

    name: str
    keys: frozenset[str]
    columns: frozenset[str]
    predicate: str
    with_nulls: bool  # two NULLs are the same to it


@dataclass(frozen=True, slots=True)
class OneColumn:
    """A CHECK of one column as a list of values, or as `IS NOT NULL` (then `values` is None)."""

    name: str
    column: str
    values: frozenset[str] | None


@dataclass(frozen=True)
class Table:
    """A table. `has_trigger`: one that may change a row before it is inserted."""

    shown: str
    columns: tuple[Column, ...]
    uniques: tuple[Unique, ...]
    checks: tuple[OneColumn, ...]
    has_trigger: bool

    def refusal_of_null(self, column: str) -> str:
        """The SQLSTATE with which the column refuses NULL; empty where it takes it."""
        if any(each.not_null for each in self.columns if each.name == column):
            return NOT_NULL
        return CHECK if any(check.column == column and check.values is None for check in self.checks) else ""


@dataclass(frozen=True)
class Rules:
    """Those of all tables, and the values of each enum by the name of its type."""

    tables: Mapping[Relation, Table]
    enums: Mapping[str, frozenset[str]]


def read_rules(session: Session) -> Rules:
    """Read them, as the owner."""
    tables, enums = session.run(f"{_RULES};{_ENUMS}")
    found = {}
    for (text,) in tables.rows:
        schema, name, shown, columns, uniques, checks, has_trigger = json.loads(text or "")
        found[schema, name] = Table(
            shown,
            tuple(Column(*each) for each in columns or ()),
            tuple(_unique(*each) for each in uniques or ()),
            tuple(check for each in checks or () if (check := _check(*each)) is not None),
            has_trigger,
        )
    values = [json.loads(text or "") for (text,) in enums.rows]
    return Rules(found, {shown: frozenset(labels or ()) for shown, _, labels in values})


def _unique(name: str, predicate: str | None, with_nulls: bool, keys: Iterable[tuple[str | None, str]]) -> Unique:
    keys = list(keys)
    columns = frozenset(column for column, _ in keys if column)
    return Unique(name, frozenset(column or text for column, text in keys), columns, predicate or "", with_nulls)


def _check(name: str, expression: str, columns: list[str] | None) -> OneColumn | None:
    """The two forms that say for certain what is refused; None for any other."""
    if not columns or len(columns) != 1:
        return None
    found = list(tokens(expression))
    words = [token.upper for token in found if token.text not in {"(", ")"}]
    if words[1:] == ["IS", "NOT", "NULL"]:
        return OneColumn(name, columns[0], None)
    # as the server writes a list: ("role" = ANY (ARRAY['a'::text, 'b'::text])), or of a single value ("role" = 'a'::text)
    if words[1:2] != ["="] or {"AND", "OR", "NOT", "<", ">"} & set(words):
        return None
    values = frozenset(token.text for token in found if token.kind in {"string", "number"})
    return OneColumn(name, columns[0], values) if values else None
