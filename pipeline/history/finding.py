"""Whether there is a history, all of it, and whether there is anything else: asked with the first query of every verb."""

from __future__ import annotations

import re

from pipeline.errors import Refused
from pipeline.history.tables import OURS, SCHEMA, YOYO, YOYO_VERSION

_RECORDS = "_yoyo_migration"  # without it nobody knows what is applied
_DEFINITIONS = {
    match[1]: " ".join(match[0].split())
    for match in re.finditer(rf"CREATE TABLE {SCHEMA}\.(\w+) \(.*?\n\);", YOYO + OURS, re.DOTALL)
}
_NAMES = ", ".join(f"'{name}'" for name in _DEFINITIONS)

# Three columns: whether the schema is there, the tables of the history in it, and a table that is not the history's (of an
# extension or of the server itself neither), which a database that is new does not have. Each is found through an index.
FOUND = f"""
pg_catalog.to_regnamespace('{SCHEMA}') IS NOT NULL,
(SELECT pg_catalog.string_agg(relname, ',') FROM pg_catalog.pg_class
  WHERE relname IN ({_NAMES}) AND relnamespace = pg_catalog.to_regnamespace('{SCHEMA}')::pg_catalog.oid),
(SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'
    AND n.nspname NOT IN ('information_schema', '{SCHEMA}')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY c.oid LIMIT 1)
"""


def incomplete(tables: str, shown: str) -> Refused:
    """The refusal of a history that lacks a table. `tables` are those that are there, joined by commas."""
    missing = [name for name in _DEFINITIONS if name not in tables.split(",")]
    if _RECORDS in missing:
        how = (
            f"What is applied stood in {_RECORDS}: restore it from a backup. Without one, as the owner: keep what is left "
            f"(pg_dump --schema={SCHEMA}), DROP SCHEMA {SCHEMA} CASCADE, then `./inv baseline --env … --through ID` compares the "
            "database with what the files build, and records them."
        )
    else:
        how = f"Make it again, as the owner, and run this again: {' '.join(map(_definition, missing))}"
        if "_yoyo_log" in missing:
            how += " The checksums that it had are lost: `./inv baseline --env … --through ID` proves the files and keeps theirs."
    return Refused(
        f"the history of {shown} is incomplete: the schema {SCHEMA} lacks {', '.join(missing)}",
        remedy=f"Nothing was changed. {how}",
    )


def _definition(name: str) -> str:
    filled = f" INSERT INTO {SCHEMA}.{name} VALUES ({YOYO_VERSION});" if name == "_yoyo_version" else ""
    return _DEFINITIONS[name] + filled
