"""A schema as people read about it: each table with what belongs to it, and the migration that each part came with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.kinds import FOR_DETAILS
from pipeline.migrations import Folder
from pipeline.postgres.connect import open_psycopg
from pipeline.schema.catalog import Catalog, SchemaObject, read_catalog
from pipeline.schema.er_diagram import Drawing, read_drawing
from pipeline.schema.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psycopg

    from dbclient.url import DatabaseURL

RELATIONS = ("table", "view", "materialized view", "foreign table")

_Key = tuple[str, str]  # kind and name


@dataclass(frozen=True, slots=True)
class Part:
    """An object, its comment, and by which migrations it was made and changed since (ids)."""

    kind: str
    name: str  # as in SQL; of a part of a relation without the relation's
    definition: str
    comment: str
    made_by: str
    changed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Right:
    """What a role may do with a thing, without what its owner may."""

    thing: str
    role: str
    rights: str
    made_by: str


@dataclass(frozen=True)
class Relation:
    """A table or a view with everything that goes away with it. `touched_by`: the migrations that changed any of it."""

    own: Part
    parts: tuple[Part, ...]
    rights: tuple[Right, ...]
    touched_by: tuple[str, ...]

    def of_kind(self, kind: str) -> list[Part]:
        """The parts of one kind ("column", "constraint", "index" …), by name."""
        return [part for part in self.parts if part.kind == kind]


@dataclass(frozen=True)
class Documented:
    """A schema: its relations by name, all else that stands by itself, and what there is to draw."""

    relations: tuple[Relation, ...]
    others: tuple[Part, ...]
    rights: tuple[Right, ...]  # on what is no relation
    drawing: Drawing
    migrations: tuple[str, ...]


@dataclass
class _Origins:
    """Which migration made and changed each object, as they are run one after the other."""

    now: Catalog = field(default_factory=lambda: Catalog(()))
    made: dict[_Key, str] = field(default_factory=dict)
    changed: defaultdict[_Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    touched: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def follow(self, id_: str, after: Catalog) -> None:
        before = {(each.kind, each.name): each for each in self.now.objects}
        new = {(each.kind, each.name): each for each in after.objects}
        for key in before.keys() | new.keys():
            was, is_now = before.get(key), new.get(key)
            if was == is_now:
                continue
            if is_now is None:
                self.made.pop(key, None)
                self.changed.pop(key, None)
            elif was is None:
                self.made[key] = id_
            else:
                self.changed[key].append(id_)
            relation = _relation(is_now or was)
            if relation and self.touched[relation][-1:] != [id_]:
                self.touched[relation].append(id_)
        self.now = after


def document(database: DatabaseURL, folder: Folder, *, tell: Callable[[str], None] = lambda _: None) -> Documented:
    """Build the folder's migrations in an empty database, one by one, and tell what each brought. `tell` hears each id.

    Raises what `replay` raises.
    """
    origins = _Origins()
    for count, file in enumerate(folder.files, start=1):
        tell(file.id)
        replay(database, Folder(folder.path, folder.files[:count], folder.faults))
        with _connect(database) as connection:
            origins.follow(file.id, read_catalog(connection))
    with _connect(database) as connection:
        connection.execute(FOR_DETAILS)
        drawing = read_drawing(connection)
    return _documented(origins, drawing, tuple(file.id for file in folder.files))


def _documented(origins: _Origins, drawing: Drawing, migrations: tuple[str, ...]) -> Documented:
    objects = origins.now.objects
    comments = {each.name: _unquoted(each.definition) for each in objects if each.kind == "comment"}
    by_relation: defaultdict[str, list[SchemaObject]] = defaultdict(list)
    others: list[Part] = []
    rights: list[Right] = []
    names = {each.name for each in objects if each.kind in RELATIONS}
    for each in objects:
        relation = _relation(each)
        if relation in names:
            by_relation[relation].append(each)
        elif each.kind == "privilege":
            rights.append(_right(each, origins))
        elif each.kind != "comment":
            others.append(_part(each, origins, comments))
    return Documented(
        tuple(_read_relation(name, by_relation[name], origins, comments) for name in sorted(by_relation)),
        tuple(others),
        tuple(rights),
        drawing,
        migrations,
    )


def _read_relation(name: str, objects: list[SchemaObject], origins: _Origins, comments: Mapping[str, str]) -> Relation:
    (own,) = (each for each in objects if each.kind in RELATIONS)
    parts = [
        _part(each, origins, comments, relation=name)
        for each in objects
        if each.kind not in {*RELATIONS, "privilege", "comment"} and (each.parent == name)
    ]
    rights = [_right(each, origins) for each in objects if each.kind == "privilege"]
    return Relation(_part(own, origins, comments), tuple(parts), tuple(rights), tuple(origins.touched[name]))


def _relation(each: SchemaObject | None) -> str:
    """The relation that an object is, or goes away with; the index of a constraint goes with that, and so with its table."""
    if each is None:
        return ""
    if each.kind in RELATIONS:
        return each.name
    return each.parent if each.kind != "index" else _first_two(each.parent)


def _first_two(name: str) -> str:
    """The schema and the table of a qualified name, which may go on with a constraint's; quotes hold dots together."""
    dots, quoted = 0, False
    for at, letter in enumerate(name):
        quoted ^= letter == '"'
        dots += letter == "." and not quoted
        if dots == 2:
            return name[:at]
    return name


def _part(each: SchemaObject, origins: _Origins, comments: Mapping[str, str], *, relation: str = "") -> Part:
    key = (each.kind, each.name)
    short = each.name.removeprefix(f"{relation}.") if relation else each.name
    on = {
        "column": f"table column {each.name}",
        "constraint": f"table constraint {short} on {relation}",
        "trigger": f"trigger {short} on {relation}",
        "policy": f"policy {short} on {relation}",
    }.get(each.kind, f"{each.kind} {each.name}")
    return Part(
        each.kind, short, each.definition, comments.get(on, ""), origins.made.get(key, ""), tuple(origins.changed[key])
    )


def _right(each: SchemaObject, origins: _Origins) -> Right:
    thing, _, role = each.name.rpartition(" to ")
    key = (each.kind, each.name)
    return Right(thing, role, each.definition, (origins.changed[key] or [origins.made.get(key, "")])[-1])


def _unquoted(literal: str) -> str:
    """The text of what quote_literal gave."""
    inner = literal.removeprefix("E")[1:-1].replace("''", "'")
    return inner.replace("\\\\", "\\") if literal.startswith("E") else inner


def _connect(database: DatabaseURL) -> psycopg.Connection[Any]:
    return open_psycopg(database, application_name="db-pipeline docs")
