"""The schema of a database as a value: everything that a migration can make, read in one round trip, and compared.

Two databases have equal catalogs when the same migrations built them, whatever their names, their owners, the order of
their columns, how far their sequences got and which PostgreSQL from 16 to 18 runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from pipeline.history.tables import HISTORY_SCHEMAS, HISTORY_TABLES
from pipeline.kinds import QUERIES, union

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import psycopg


@dataclass(frozen=True, order=True)
class SchemaObject:
    """One object: what it is, its qualified name, its definition as text, and what it goes away with (or "")."""

    kind: str
    name: str
    definition: str
    parent: str = ""


@dataclass(frozen=True)
class Difference:
    """One object that two catalogs do not share. `ours` and `theirs` are its definitions, None where it is absent."""

    kind: str
    name: str
    ours: str | None
    theirs: str | None

    def __str__(self) -> str:
        """Tell it in a line such as `column public."Thread".model: "text" here, "character varying(40)" there`."""
        return f"{self.kind} {self.name}: {_told(self.ours)} here, {_told(self.theirs)} there"


@dataclass(frozen=True)
class Catalog:
    """Every object of the user's schemas, sorted."""

    objects: tuple[SchemaObject, ...]

    def differences(self, other: Catalog, *, without: Collection[str] = ()) -> list[Difference]:
        """Return what separates this catalog ("ours") from `other` ("theirs"), in order of kind and name.

        An object that is missing together with its table is told by the table alone. `without` names kinds to leave
        out, such as "privilege" where one side is schema.sql, which has no roles.
        """
        return sorted(
            (difference for difference in self._all_differences(other) if difference.kind not in without),
            key=lambda difference: (difference.kind, difference.name),
        )

    def of_kind(self, kind: str) -> dict[str, str]:
        """Return the definitions of one kind ("table", "column", "index" …) by name."""
        return {found.name: found.definition for found in self.objects if found.kind == kind}

    def _all_differences(self, other: Catalog) -> Iterator[Difference]:
        ours = {(found.kind, found.name): found for found in self.objects}
        theirs = {(found.kind, found.name): found for found in other.objects}
        our_names = {found.name for found in self.objects}
        their_names = {found.name for found in other.objects}
        for kind, name in ours.keys() | theirs.keys():
            mine, yours = ours.get((kind, name)), theirs.get((kind, name))
            if mine and yours:
                if mine.definition != yours.definition:
                    yield Difference(kind, name, mine.definition, yours.definition)
            elif mine:
                if not mine.parent or mine.parent in their_names:
                    yield Difference(kind, name, mine.definition, None)
            elif yours and (not yours.parent or yours.parent in our_names):
                yield Difference(kind, name, None, yours.definition)


def read_catalog(
    connection: psycopg.Connection[Any],
    *,
    ignore_schemas: Collection[str] = HISTORY_SCHEMAS,
    ignore_tables: Collection[str] = HISTORY_TABLES,
) -> Catalog:
    """Read the catalog in one round trip. Any role may; nothing is written, and the session's settings are kept.

    Objects of extensions are left out (the extension itself is an object), and so are what Neon itself adds and the
    tables in which migration tools keep their history.
    """
    with connection.cursor() as cursor:
        cursor.execute(_statements(ignore_schemas, ignore_tables))
        while cursor.description is None or cursor.description[0].name != "kind":
            cursor.nextset()
        return Catalog(
            tuple(
                sorted(
                    SchemaObject(kind, name, definition or "", parent or "")
                    for kind, name, parent, definition in cursor
                )
            )
        )


def _statements(ignore_schemas: Collection[str], ignore_tables: Collection[str]) -> sql.Composed:
    """Several statements that go out as one message, hence in one transaction, where SET LOCAL holds.

    With an empty search_path every name is printed in full. The caller may have a transaction open, which outlives
    this, so the path is put back at the end. JIT would compile for longer than the query runs.
    """
    everything = union(QUERIES, ignored_schemas=ignore_schemas, ignored_tables=ignore_tables)
    return sql.SQL(";\n").join(
        [
            sql.SQL("SELECT set_config('pipeline.search_path', current_setting('search_path'), true)"),
            sql.SQL("SELECT set_config('search_path', '', true), set_config('jit', 'off', true)"),
            everything + sql.SQL("SELECT kind, name, parent, definition FROM everything"),
            sql.SQL("SELECT set_config('search_path', current_setting('pipeline.search_path'), true)"),
        ]
    )


def _told(definition: str | None) -> str:
    if definition is None:
        return "absent"
    return f'"{definition}"' if definition else "present"
