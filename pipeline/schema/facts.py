"""What writing a careful migration needs to know of a database: tables, columns, indexes, constraints, and roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatdb.quoting import literal
from pipeline.history.tables import SCHEMA
from pipeline.postgres.connect import open_session
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from chatdb.url import DatabaseURL

_OURS = f"n.nspname NOT IN ('pg_catalog', 'information_schema', {literal(SCHEMA)}) AND n.nspname !~ '^pg_'"
_NAME = "CASE WHEN n.nspname = 'public' THEN {0} ELSE n.nspname || '.' || {0} END"

_COLUMNS = f"""
SELECT {_NAME.format("c.relname")}, c.relkind,
       a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p', 'm', 'v') AND {_OURS}
 ORDER BY 1, a.attnum
"""
_INDEXES = f"""
SELECT {_NAME.format("c.relname")}, {_NAME.format("t.relname")}, pg_get_indexdef(c.oid), coalesce(k.conname, ''),
       (SELECT {_NAME.format("p.relname")} FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent WHERE h.inhrelid = c.oid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')
 WHERE {_OURS}
"""
_CONSTRAINTS = f"""
SELECT {_NAME.format("c.relname")}, k.conname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.conparentid = 0 AND k.coninhcount = 0 AND k.contype <> 't' AND {_OURS}
"""
_PARTITIONS = f"""
SELECT {_NAME.format("c.relname")}, (SELECT {_NAME.format("c.relname").replace("n.", "o.")}
    FROM pg_class c JOIN pg_namespace o ON o.oid = c.relnamespace WHERE c.oid = h.inhparent)
  FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relispartition AND c.relkind IN ('r', 'p') AND {_OURS}
"""
_SEQUENCES = f"""
SELECT {_NAME.format("s.relname")}, {_NAME.format("t.relname")}
  FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
  JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
  JOIN pg_namespace n ON n.oid = s.relnamespace
 WHERE s.relkind = 'S' AND {_OURS}
"""
# Where a column's numbers come from: an identity's sequence, one that belongs to the column, or one that its default names.
_COUNTERS = f"""
SELECT DISTINCT ON (1, 2)
       {_NAME.format("t.relname")}, a.attname,
       CASE WHEN s.relnamespace = 'public'::regnamespace THEN s.relname
            ELSE s.relnamespace::regnamespace::text || '.' || s.relname END,
       CASE d.deptype WHEN 'i' THEN 'identity' WHEN 'a' THEN 'owned' ELSE 'shared' END, q.seqincrement < 0
  FROM (SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number, deptype FROM pg_depend
         WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
           AND refobjsubid > 0
        UNION ALL
        SELECT d.refobjid, f.adrelid, f.adnum, 's' FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
         WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> f.adrelid) d
  JOIN pg_sequence q ON q.seqrelid = d.sequence JOIN pg_class s ON s.oid = d.sequence
  JOIN pg_class t ON t.oid = d.relation JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.number
 WHERE {_OURS} AND (d.deptype <> 'a' OR a.atthasdef)
 ORDER BY 1, 2, d.deptype
"""
_ENUMS = f"""
SELECT {_NAME.format("t.typname")}, e.enumlabel
  FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE {_OURS} ORDER BY 1, e.enumsortorder
"""
# What has a name of its own beside tables, and can be moved to another schema under it.
_OTHERS = f"""
SELECT {_NAME.format("c.relname")}, 'SEQUENCE', 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND {_OURS}
UNION ALL
SELECT {_NAME.format("t.typname")}, CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, 1
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND {_OURS}
UNION ALL
SELECT {_NAME.format("p.proname")},
       CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, count(*)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS} GROUP BY 1, 2
"""
_SCHEMAS = f"SELECT n.nspname FROM pg_namespace n WHERE {_OURS}"
_ROLES = f"""
SELECT DISTINCT r.rolname FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles r ON r.oid = a.grantee
 WHERE n.nspname = 'public' AND r.rolname IN ({", ".join(literal(role) for role in RUNTIME_ROLES)})
"""
_ALL_ROLES = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type as format_type writes it."""

    type: str
    not_null: bool
    has_default: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table (kind r), partitioned table (p), materialized view (m) or view (v)."""

    kind: str
    columns: dict[str, Column]


@dataclass(frozen=True, slots=True)
class Index:
    """An index; `constraint` names the constraint that it belongs to, if any."""

    table: str
    definition: str
    constraint: str


@dataclass(frozen=True, slots=True)
class Counter:
    """What numbers a column: its sequence, which is the column's own ("identity", "owned") or not ("shared")."""

    sequence: str
    kind: str
    descending: bool


@dataclass(frozen=True)
class Facts:
    """Names are as `Phrase.name` gives them: without a schema in public."""

    tables: dict[str, Table] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    partitions: dict[str, str] = field(
        default_factory=dict
    )  # of partitioned tables -> the table that they are a part of
    index_parents: dict[str, str] = field(default_factory=dict)  # of partitions' indexes
    constraints: dict[tuple[str, str], str] = field(default_factory=dict)  # (table, name) -> definition
    sequences: dict[str, str] = field(default_factory=dict)  # of serial columns -> table
    counters: dict[tuple[str, str], Counter] = field(default_factory=dict)  # (table, column)
    enums: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, str] = field(
        default_factory=dict
    )  # sequences, types, functions of one form -> what ALTER calls it
    schemas: tuple[str, ...] = ()
    runtime_roles: tuple[str, ...] = ()  # those that may use the schema public
    roles: tuple[str, ...] = ()  # all of the server

    def takes_rows(self, name: str) -> bool:
        """Whether it is a table that holds rows itself."""
        return name in self.tables and self.tables[name].kind in {"r", "m"}

    def is_partitioned(self, name: str) -> bool:
        """Whether it is a table whose rows are in its partitions."""
        return name in self.tables and self.tables[name].kind == "p"

    def parts_of(self, name: str) -> list[str]:
        """The partitions of a table that hold rows themselves, at any depth."""
        below = [child for child, parent in sorted(self.partitions.items()) if parent == name]
        return [leaf for child in below for leaf in (self.parts_of(child) if self.is_partitioned(child) else [child])]


def read_facts(url: DatabaseURL) -> Facts:
    """Read the facts of a database."""
    with open_session(url, application_name="chat-database facts") as session:
        queries = (
            _COLUMNS,
            _INDEXES,
            _CONSTRAINTS,
            _PARTITIONS,
            _SEQUENCES,
            _COUNTERS,
            _ENUMS,
            _OTHERS,
            _SCHEMAS,
            _ROLES,
            _ALL_ROLES,
        )
        columns, indexes, constraints, partitions, sequences, counters, labels, others, schemas, runtime, roles = (
            result.rows for result in session.run(";".join(queries))
        )
    tables: dict[str, Table] = {}
    for name, kind, column, type_, not_null, has_default in columns:
        table = tables.setdefault(str(name), Table(str(kind), {}))
        if column is not None:
            table.columns[column] = Column(str(type_), not_null == "t", has_default == "t")
    enums: dict[str, list[str]] = {}
    for name, label in labels:
        enums.setdefault(str(name), []).append(str(label))
    return Facts(
        tables=tables,
        indexes={str(row[0]): Index(str(row[1]), str(row[2]), str(row[3])) for row in indexes},
        partitions={str(row[0]): str(row[1]) for row in partitions},
        index_parents={str(row[0]): row[4] for row in indexes if row[4] is not None},
        constraints={(str(row[0]), str(row[1])): str(row[2]) for row in constraints},
        enums=enums,
        counters={
            (str(row[0]), str(row[1])): Counter(str(row[2]), str(row[3]), descending=row[4] == "t") for row in counters
        },
        sequences={str(row[0]): str(row[1]) for row in sequences},
        others={str(row[0]): str(row[1]) for row in others if row[2] == "1"},
        schemas=tuple(str(row[0]) for row in schemas),
        runtime_roles=tuple(sorted((str(row[0]) for row in runtime), key=RUNTIME_ROLES.index)),
        roles=tuple(str(row[0]) for row in roles),
    )
