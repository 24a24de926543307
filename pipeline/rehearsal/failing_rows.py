"""Which rows stop a statement: how many, and the query that finds them. Never a value of one.

What rule a statement brings along, the server itself says: run again on the emptied table, the statement succeeds, and the
catalog has the rule as the server understood it. A rule that was there before is taken away instead, so that the statement
runs, and the rows that break it are counted behind it. All of that is rolled back.

Not found are rows of a partitioned table beyond the partition that the server names, what an exclusion constraint
refuses, and a cast in a statement that is no ALTER TABLE: then `rows` is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import identifier, literal
from pipeline.history.tables import SCHEMA
from pipeline.migrations.phrase import Phrase, altered_table
from pipeline.migrations.sql_text import tokens
from pipeline.postgres.session import ServerError
from pipeline.rehearsal.values import FailingRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.migrations.concurrent import Concurrent
    from pipeline.migrations.sql_text import Statement
    from pipeline.postgres.session import Row, Session

NOT_NULL, UNIQUE, FOREIGN_KEY, CHECK, TYPE = "not null", "unique", "foreign key", "check", "type"

_RULES = {"23502": NOT_NULL, "23505": UNIQUE, "23503": FOREIGN_KEY, "23514": CHECK, "23P01": "exclusion"}
_DATA_EXCEPTION = "22"

# Of these types a value becomes another type's as its text does: then the type's own input says which do not.
_READ_AS_TEXT = frozenset({"text", "character varying", "character", "smallint", "integer", "bigint"})

_HAS_CONSTRAINT = "SELECT count(*) FROM pg_catalog.pg_constraint WHERE conrelid = @table AND conname = @name"
_CHECK = (
    "SELECT pg_catalog.pg_get_expr(conbin, conrelid) FROM pg_catalog.pg_constraint "
    "WHERE conrelid = @table AND conname = @name AND contype = 'c'"
)
_FOREIGN_KEY = """
SELECT quote_ident(a.attname), quote_ident(b.attname), format('%I.%I', n.nspname, r.relname), f.confmatchtype
  FROM pg_constraint f CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY AS k (ours, theirs, place)
  JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.ours
  JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.theirs
  JOIN pg_class r ON r.oid = f.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE f.conrelid = @table AND f.conname = @name AND f.contype = 'f' ORDER BY k.place
"""
_INDEX = """
SELECT pg_get_indexdef(i.indexrelid, k, true), i.indkey[k - 1] = 0, pg_get_expr(i.indpred, i.indrelid, true),
       i.indnullsnotdistinct
  FROM pg_index i CROSS JOIN generate_series(1, i.indnkeyatts) AS k
 WHERE i.indexrelid = @index AND i.indisunique ORDER BY k
"""

# The catalog's expressions and names in full, and read back as they were written. The file's own settings come back behind it.
_ASIDE = "SAVEPOINT aside;SET LOCAL search_path = '';SET LOCAL statement_timeout = 0;"
_BACK = ";ROLLBACK TO aside;RELEASE aside"


def find_failing_rows(
    session: Session,
    replay: Callable[[], None],
    statement: Statement | None,
    error: ServerError,
    concurrent: Concurrent | None = None,
) -> FailingRows | None:
    """Find the rows for which a statement failed; None where it did not fail on data.

    `session` has no transaction open. `replay` opens one, and brings it to where the statement failed. Without a statement it
    failed at the end of its file, on a deferred constraint. What is done here is rolled back, or the caller's to roll back.

    Raises:
        ConnectionLost: the connection ended.
    """
    rule = _RULES.get(error.sqlstate) or (TYPE if error.sqlstate.startswith(_DATA_EXCEPTION) else "")
    if not rule:
        return None
    search = _Search(session, replay, statement, _in_a_transaction(statement, concurrent), rule, error)
    try:
        return search.for_type() if rule == TYPE else search.for_rule()
    except ServerError:  # what was tried is not possible here
        return search.nothing
    finally:
        search.undo()


def without_literals(expression: str) -> str:
    """An SQL expression with $1, $2 … in place of its strings and numbers."""
    parts: list[str] = []
    position = number = 0
    for token in tokens(expression):
        if token.kind in {"string", "number", "dollar"}:
            number += 1
            parts += [expression[position : token.start], f"${number}"]
            position = token.end
        elif token.kind == "comment":
            parts.append(expression[position : token.start])
            position = token.end
    return "".join((*parts, expression[position:]))


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule as the catalog has it: the condition under which rows of `table` break it, or the keys that have to be unique."""

    condition: str
    keys: tuple[str, ...] = ()

    def query(self, table: str) -> str:
        """What shows the rows, or for keys each that is there more than once; without literals of the file."""
        where = f" WHERE {self.condition}" if self.condition else ""
        if not self.keys:
            return without_literals(f"SELECT * FROM {table} AS t{where}")
        keys = ", ".join(self.keys)
        grouped = f"SELECT {keys}, count(*) FROM {table} AS t{where} GROUP BY {keys}"
        return f"{without_literals(grouped)} HAVING count(*) > 1"

    def count(self, table: str) -> str:
        """What counts the rows."""
        where = f" WHERE {self.condition}" if self.condition else ""
        if not self.keys:
            return f"SELECT count(*) FROM {table} AS t{where}"
        keys = ", ".join(self.keys)
        grouped = f"SELECT count(*) AS n FROM {table} AS t{where} GROUP BY {keys} HAVING count(*) > 1"
        return f"SELECT coalesce(sum(n), 0) FROM ({grouped}) AS repeated"


class _Search:
    def __init__(
        self,
        session: Session,
        replay: Callable[[], None],
        statement: Statement | None,
        sql: str,
        rule: str,
        error: ServerError,
    ) -> None:
        self._session = session
        self._replay = replay
        self._statement = statement
        self._sql = sql
        self._rule = rule
        named = error.fields.get
        self._table = ""  # with its schema, quoted where SQL needs it
        self._bare_table = named("table", "")
        self._schema = named("schema", "")
        self._constraint = named("constraint", "")
        self._column = named("column", "")

    @property
    def nothing(self) -> FailingRows:
        """What the server's error alone says."""
        return FailingRows(self._rule, self._table, self._column, self._constraint)

    def undo(self) -> None:
        if self._session.in_transaction:
            self._session.run("ROLLBACK")

    def for_rule(self) -> FailingRows:
        """The rows that break a constraint, an index or NOT NULL."""
        if not self._bare_table:
            return self.nothing
        names = f"{literal(self._schema)}, {literal(self._bare_table)}"
        self._again()
        self._table = self._rows(f"SELECT pg_catalog.format('%I.%I', {names})")[0][0] or ""
        if self._rule == NOT_NULL:
            nulls = self._not_null()
            # without one, the column is the statement's own
            return self._found(_Rule("")) if nulls is None else self._found_not_null(nulls)
        there = self._read_rule()
        if there is not None:
            return self._found_by_old(there)
        self._run(f"TRUNCATE {self._table} CASCADE")
        self._run(self._sql)
        new = self._read_rule()
        if new is None:
            return self.nothing
        self._again()
        try:
            return self._found(new)
        except ServerError:  # it is about a column that the statement makes: the rows have it all alike
            self._again()
            return self._found(_Rule(""))

    def for_type(self) -> FailingRows:
        """The rows whose value a column's new type does not take."""
        if self._statement is None:
            return self.nothing
        for clause in altered_table(self._statement)[1]:
            change = _type_change(clause)
            found = None if change is None else self._for_column(_table_of(self._statement), *change)
            if found is not None:
                return found
        return self.nothing

    def _for_column(self, spelled: str, column: str, using: str) -> FailingRows | None:
        """The rows that fail in this column; None where there is none."""
        self._again()
        self._table, bare = self._names(spelled)
        self._column = column
        self._run("SAVEPOINT filled")
        old = self._column_type(column)
        self._run(f"TRUNCATE {self._table} CASCADE")
        self._run(self._sql)
        new = self._column_type(column)
        self._run("ROLLBACK TO filled")
        name = identifier(column)
        # the expression as the file has it, which reads it with the file's search_path
        body = (
            f"#variable_conflict use_column\nDECLARE taken {new}; BEGIN SELECT {using or name} INTO taken FROM "
            f"(SELECT checked.*) AS {bare}; RETURN false; EXCEPTION WHEN data_exception THEN RETURN true; END"
        )
        function = f"{SCHEMA}.fails"
        self._run(
            f"CREATE FUNCTION {function}(checked {self._table}) RETURNS boolean LANGUAGE plpgsql AS {literal(body)};"
            "SET LOCAL statement_timeout = 0"
        )
        failing = self._number_as_the_file(f"SELECT count(*) FROM {self._table} AS t WHERE {function}(t)")
        if not failing:
            return None
        condition = f"NOT pg_input_is_valid({name}::text, {literal(new)})"
        wrong = (
            f"SELECT count(*) FROM {self._table} AS t WHERE {function}(t) IS DISTINCT FROM coalesce({condition}, false)"
        )
        tells = old.partition("(")[0] in _READ_AS_TEXT and not self._number_as_the_file(wrong)
        query = f"SELECT * FROM {self._table} AS t WHERE {condition}" if tells else ""
        return FailingRows(TYPE, self._table, column, "", failing, query)

    def _found_not_null(self, rule: _Rule) -> FailingRows:
        """Rows that are NULL, before the statement or behind it."""
        found = self._found(rule)
        if found.rows:
            return found
        return self._found_behind(
            rule, f"ALTER TABLE {self._table} ALTER COLUMN {identifier(self._column)} DROP NOT NULL"
        )

    def _found_by_old(self, rule: _Rule) -> FailingRows:
        """Rows that break a rule that was there before: those that a VALIDATE met, or those that the statement makes."""
        if self._statement is not None and "VALIDATE" in self._statement.words:
            return self._found(rule)
        name = identifier(self._constraint)
        drop = f"ALTER TABLE {self._table} DROP CONSTRAINT {name} CASCADE"
        if self._rule == UNIQUE and not self._number(self._of_table(_HAS_CONSTRAINT)):
            drop = f"DROP INDEX {identifier(self._schema)}.{name} CASCADE"
        return self._found_behind(rule, drop)

    def _found_behind(self, rule: _Rule, without: str) -> FailingRows:
        self._again()
        if self._statement is not None:  # else the rows are there, and the rule would have been looked at only now
            self._run(without)
            self._run(self._sql)
        return self._found(rule, after=True)

    def _found(self, rule: _Rule, *, after: bool = False) -> FailingRows:
        rows = self._number(rule.count(self._table))
        query = rule.query(self._table)
        return FailingRows(self._rule, self._table, self._column, self._constraint, rows, query, after)

    def _not_null(self) -> _Rule | None:
        """The condition of a column that is there before the statement."""
        there = self._number(
            "SELECT count(*) FROM pg_catalog.pg_attribute WHERE NOT attisdropped AND "
            f"attrelid = {self._oid()} AND attname = {literal(self._column)}"
        )
        return _Rule(f"{identifier(self._column)} IS NULL") if there else None

    def _read_rule(self) -> _Rule | None:
        """The rule that the table has under the constraint's name now."""
        if self._rule == UNIQUE:
            index = literal(f"{identifier(self._schema)}.{identifier(self._constraint)}")
            rows = self._rows(_INDEX.replace("@index", f"pg_catalog.to_regclass({index})"))
            return _unique(rows) if rows else None
        if self._rule not in {CHECK, FOREIGN_KEY}:
            return None
        sql = _CHECK if self._rule == CHECK else _FOREIGN_KEY
        rows = self._rows(self._of_table(sql))
        if not rows:
            return None
        return _Rule(f"({rows[0][0]}) IS FALSE") if self._rule == CHECK else _foreign_key(rows)

    def _again(self) -> None:
        """Go back, and to where the statement failed."""
        self.undo()
        self._replay()

    def _run(self, sql: str) -> None:
        self._session.run(sql)

    def _rows(self, sql: str) -> tuple[Row, ...]:
        return self._session.run(f"{_ASIDE}{sql}{_BACK}")[3].rows

    def _number_as_the_file(self, sql: str) -> int:
        return int(self._session.run(sql)[0].rows[0][0] or 0)

    def _number(self, sql: str) -> int:
        return int(self._rows(sql)[0][0] or 0)

    def _of_table(self, sql: str) -> str:
        return sql.replace("@table", self._oid()).replace("@name", literal(self._constraint))

    def _oid(self) -> str:
        return f"pg_catalog.to_regclass({literal(self._table)})"

    def _names(self, spelled: str) -> tuple[str, str]:
        """The names of a table of the file, with its schema and bare, quoted where SQL needs it."""
        [found] = self._session.run(
            "SELECT pg_catalog.quote_ident(nspname), pg_catalog.quote_ident(relname) "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace "
            f"WHERE c.oid = pg_catalog.to_regclass({literal(spelled)})"
        )
        schema, bare = found.rows[0] if found.rows else ("", "")
        return f"{schema}.{bare}", bare or ""

    def _column_type(self, column: str) -> str:
        rows = self._rows(
            "SELECT pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute "
            f"WHERE attrelid = {self._oid()} AND attname = {literal(column)} AND NOT attisdropped"
        )
        return rows[0][0] or "" if rows else ""


def _in_a_transaction(statement: Statement | None, concurrent: Concurrent | None) -> str:
    """The statement as it can be run in a transaction, which is rolled back."""
    if concurrent is not None and concurrent.kind == "create index":
        name = concurrent.name.removeprefix(concurrent.table.removesuffix(concurrent.bare_table))
        return (
            f"CREATE {'UNIQUE ' if concurrent.unique else ''}INDEX {name} ON {concurrent.table} {concurrent.definition}"
        )
    return "" if statement is None else statement.text


def _unique(rows: Sequence[Row]) -> _Rule:
    keys = tuple(f"({key})" if is_expression == "t" else key or "" for key, is_expression, *_ in rows)
    *_, predicate, nulls_not_distinct = rows[0]
    conditions = [f"({predicate})"] if predicate else []
    if nulls_not_distinct != "t":
        conditions += [f"{key} IS NOT NULL" for key in keys]
    return _Rule(" AND ".join(conditions), keys)


def _foreign_key(rows: Sequence[Row]) -> _Rule:
    others, match = rows[0][2], rows[0][3]
    pairs = " AND ".join(f"r.{theirs} = t.{ours}" for ours, theirs, *_ in rows)
    missing = f"NOT EXISTS (SELECT FROM {others} AS r WHERE {pairs})"
    filled = " AND ".join(f"t.{ours} IS NOT NULL" for ours, *_ in rows)
    if match != "f":
        return _Rule(f"{filled} AND {missing}")
    some = " OR ".join(f"t.{ours} IS NOT NULL" for ours, *_ in rows)
    return _Rule(f"({some}) AND (NOT ({filled}) OR {missing})")


def _type_change(clause: Phrase) -> tuple[str, str] | None:
    """The column and the USING expression (or "") of an ALTER COLUMN … TYPE; None for another clause."""
    if not clause.take("ALTER"):
        return None
    clause.take("COLUMN")
    if not clause.rest:
        return None
    column = clause.rest[0].identifier
    clause.at += 1
    clause.take("SET", "DATA")
    if not clause.take("TYPE"):
        return None
    words = clause.clause_words()
    if "USING" not in words:
        return column, ""
    clause.at += words.index("USING") + 1
    return column, clause.clause_text()


def _table_of(statement: Statement) -> str:
    """The table of an ALTER TABLE as it is written."""
    phrase = Phrase(statement)
    phrase.take("ALTER", "TABLE")
    phrase.take("IF", "EXISTS")
    phrase.take("ONLY")
    return phrase.spelled_name()
