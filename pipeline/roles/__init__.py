"""What a server says of its runtime roles: one statement, which goes out with the first query of a verb.

Any role may read all of it, on Neon too. What nobody but a superuser may read is the password: see `login`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.history.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Each part gives (role, kind, name, value, detail). Settings of the database have an empty role. Rights that PUBLIC has
# are every role's. The settings that say which Neon compute this is are left out. Roles belong to the
# server, so one counts only where this database has given it something.
_FACTS = """
WITH here AS MATERIALIZED (SELECT oid, datacl, datdba FROM pg_catalog.pg_database WHERE datname = current_database()),
runtime AS MATERIALIZED (
    SELECT r.* FROM pg_catalog.pg_roles r, here
     WHERE r.rolname IN ({roles}) AND EXISTS (
           SELECT FROM pg_catalog.pg_shdepend d
            WHERE d.refobjid = r.oid AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
              AND (d.dbid = here.oid OR d.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND d.objid = here.oid))
)
SELECT rolname, 'attribute', a.name, a.value, NULL::text
  FROM runtime, LATERAL (VALUES
       ('SUPERUSER', CASE WHEN rolsuper THEN 'yes' END), ('CREATEROLE', CASE WHEN rolcreaterole THEN 'yes' END),
       ('CREATEDB', CASE WHEN rolcreatedb THEN 'yes' END), ('REPLICATION', CASE WHEN rolreplication THEN 'yes' END),
       ('BYPASSRLS', CASE WHEN rolbypassrls THEN 'yes' END), ('LOGIN', CASE WHEN rolcanlogin THEN 'yes' ELSE 'no' END),
       ('CONNECTION LIMIT', rolconnlimit::text), ('VALID UNTIL', nullif(rolvaliduntil::text, 'infinity'))
  ) AS a (name, value) WHERE a.value IS NOT NULL
UNION ALL
SELECT r.rolname, 'membership', g.rolname, by.rolname, NULL
  FROM runtime r JOIN pg_catalog.pg_auth_members m ON m.member = r.oid
  JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles by ON by.oid = m.grantor
UNION ALL
SELECT r.rolname, CASE s.setdatabase WHEN 0 THEN 'setting' ELSE 'setting here' END,
       split_part(c, '=', 1), substr(c, strpos(c, '=') + 1),
       CASE WHEN s.setdatabase <> 0 THEN current_database()::text END
  FROM runtime r JOIN pg_catalog.pg_db_role_setting s ON s.setrole = r.oid
  CROSS JOIN LATERAL unnest(s.setconfig) AS c
 WHERE s.setdatabase IN (0, (SELECT oid FROM here))
UNION ALL
SELECT '', CASE s.setdatabase WHEN 0 THEN 'every database' ELSE 'database' END,
       split_part(c, '=', 1), substr(c, strpos(c, '=') + 1), NULL
  FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c
 WHERE s.setrole = 0 AND s.setdatabase IN (0, (SELECT oid FROM here)) AND c NOT LIKE 'neon.%'
UNION ALL
SELECT r.rolname, 'owns', o.type, o.identity, NULL
  FROM runtime r JOIN pg_catalog.pg_shdepend d ON d.refobjid = r.oid AND d.deptype = 'o'
   AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.dbid IN (0, (SELECT oid FROM here))
  CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o
 WHERE d.classid NOT IN ('pg_catalog.pg_default_acl'::pg_catalog.regclass, 'pg_catalog.pg_largeobject'::pg_catalog.regclass)
UNION ALL
SELECT r.rolname, h.kind, h.thing, string_agg(DISTINCT h.privilege_type, ', ' ORDER BY h.privilege_type),
       CASE h.grantee WHEN 0 THEN 'PUBLIC' END
  FROM runtime r JOIN (
       SELECT 'history' AS kind, 'SCHEMA {history}' AS thing, e.*
         FROM pg_catalog.pg_namespace n, LATERAL pg_catalog.aclexplode(n.nspacl) AS e WHERE n.nspname = '{history}'
       UNION ALL
       SELECT 'history', format('TABLE %s.%I', '{history}', c.relname), e.*
         FROM pg_catalog.pg_class c, LATERAL pg_catalog.aclexplode(c.relacl) AS e
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = '{history}')
       UNION ALL
       SELECT 'history', format('TABLE %s.%I', '{history}', c.relname), e.*
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid,
              LATERAL pg_catalog.aclexplode(a.attacl) AS e
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = '{history}')
       UNION ALL
       SELECT 'right', 'DATABASE', e.* FROM here,
              LATERAL pg_catalog.aclexplode(coalesce(datacl, pg_catalog.acldefault('d', datdba))) AS e
        WHERE e.privilege_type <> 'CONNECT'
       UNION ALL
       SELECT 'right', format('SCHEMA %I', n.nspname), e.*
         FROM pg_catalog.pg_namespace n, LATERAL pg_catalog.aclexplode(n.nspacl) AS e
        WHERE e.privilege_type = 'CREATE' AND n.nspname NOT IN ('{history}', 'pg_catalog', 'information_schema')
       UNION ALL
       SELECT 'right', format('TABLE %I.%I', n.nspname, c.relname), e.*
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
              LATERAL pg_catalog.aclexplode(c.relacl) AS e
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('{history}', 'pg_catalog', 'information_schema')
          AND (e.is_grantable OR e.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
       UNION ALL
       SELECT 'right', 'TABLES that are made later', e.*
         FROM pg_catalog.pg_default_acl d, LATERAL pg_catalog.aclexplode(d.defaclacl) AS e
        WHERE d.defaclobjtype = 'r' AND d.defaclrole NOT IN (SELECT oid FROM runtime)
  ) AS h ON h.grantee IN (r.oid, 0)
 GROUP BY r.rolname, h.kind, h.thing, h.grantee
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that the server says of a role (or, with an empty role, of the database's settings).

    `kind` is attribute, membership, setting, setting here (the role's in this database), database, every database,
    owns, history or right; `name` and `value` are what the kind has; `detail` is PUBLIC for a right that is everybody's,
    and the database's name for a setting here.
    """

    role: str
    kind: str
    name: str
    value: str
    detail: str = ""


def read_facts_sql(roles: Iterable[str]) -> str:
    """The statement whose rows `parse_facts` takes."""
    return _FACTS.format(roles=", ".join(literal(role) for role in roles), history=SCHEMA)


def parse_facts(rows: Iterable[Sequence[str | None]]) -> tuple[Fact, ...]:
    """The rows as facts, in an order that does not depend on the server's."""
    return tuple(
        sorted(
            (Fact(*(value or "" for value in row)) for row in rows),
            key=lambda fact: (fact.role, fact.kind, fact.name, fact.value, fact.detail),
        )
    )
