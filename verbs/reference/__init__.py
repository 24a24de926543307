"""The fields of a document, read off its type: as lines of a table and as a JSON Schema."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def described(document: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each field's path, as `applied[].id`, with its meaning, outer ones before those that they hold."""
    for name, kind, meaning in _annotated(document):
        yield f"{prefix}{name}", meaning
        there = get_args(kind)[0] if isinstance(kind, UnionType) else kind  # where it is not null
        inner, ending = (get_args(there)[0], "[]") if get_origin(there) is list else (there, "")
        if is_dataclass(inner):
            yield from described(inner, f"{prefix}{name}{ending}.")  # type: ignore[arg-type] # a class, no instance


def json_schema(document: type) -> dict[str, Any]:
    """The document's JSON Schema (draft 2020-12). Fields may be added to a document, so others are allowed."""
    schema = _schema(document)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": document.__name__, **schema}


def _schema(kind: Any) -> dict[str, Any]:
    if is_dataclass(kind):
        properties = {
            name: {**_schema(inner), "description": meaning}
            for name, inner, meaning in _annotated(kind)  # type: ignore[arg-type] # a class, no instance
        }
        return {"type": "object", "properties": properties, "required": list(properties)}
    if get_origin(kind) is list:
        return {"type": "array", "items": _schema(get_args(kind)[0])}
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": _schema(get_args(kind)[1])}
    if isinstance(kind, UnionType):
        parts = get_args(kind)
        if all(each in _SCALARS for each in parts):
            return {"type": [_SCALARS[each] for each in parts]}
        return {"anyOf": [_schema(each) for each in parts]}
    return {"type": _SCALARS[kind]}


def _annotated(document: type) -> Iterator[tuple[str, Any, str]]:
    """Name, type and meaning of each field, in order."""
    hints = get_type_hints(document, include_extras=True)
    for field in fields(document):
        hint = hints[field.name]
        if get_origin(hint) is not Annotated:
            raise TypeError(f"{document.__name__}.{field.name} has no meaning: write Annotated[type, meaning]")
        kind, meaning = get_args(hint)
        yield field.name, kind, meaning
