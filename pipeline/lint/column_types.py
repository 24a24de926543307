"""Types as people write them, and what a change of one does: write the table again, convert values, or fail on some."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.migrations.phrase import Phrase

_MODIFIER = re.compile(r"\((?P<numbers>-?\d+(?:, *-?\d+)?)\)")
# What the grammar takes for one type (documentation: "Data Types", table of aliases).
_ALIASES = {
    "int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "serial": "integer", "serial4": "integer",
    "bigserial": "bigint", "serial8": "bigint", "smallserial": "smallint", "serial2": "smallint", "bool": "boolean",
    "varchar": "character varying", "char varying": "character varying", "char": "character", "bpchar": "character",
    "decimal": "numeric", "dec": "numeric", "float8": "double precision", "float": "double precision", "float4": "real",
    "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
    "timetz": "time with time zone", "time": "time without time zone", "varbit": "bit varying",
}  # fmt: skip
_INSTANTS = {
    "timestamp with time zone", "timestamp without time zone", "time with time zone", "time without time zone", "interval",
}  # fmt: skip
_INTEGERS = ("smallint", "integer", "bigint")
_SIZED = {"character varying", "timestamp with time zone", "timestamp without time zone", "bit varying"}
_FAMILIES = (
    {"text", "character varying", "character"},
    {*_INTEGERS, "numeric", "real", "double precision"},
    {"date", "timestamp with time zone", "timestamp without time zone"},
)
_MOST_DIGITS = 6  # of a second, which is also what no modifier means


def rewrites(old: str, new: str) -> bool:
    """Whether ALTER COLUMN … TYPE from one to the other writes every row again, in the words of `definitions.type_text`.

    By the notes of ALTER TABLE: not when the old type is binary coercible to the new one and no value has to be cut. A
    test compares the answers with a server's. An unknown old type (empty) counts as one that does.
    """
    old, new = old.removeprefix("pg_catalog.").removeprefix("public."), new.removeprefix("public.")
    (old_base, old_size), (new_base, new_size) = _taken_apart(old), _taken_apart(new)
    if not old_base:
        return True
    if (old_base, old_size) == (new_base, new_size):
        return False
    if old_base == "character varying" and new_base in {"text", "character varying"}:
        return bool(new_size) and not (old_size and old_size[0] <= new_size[0])
    if old_base == "text" and new_base == "character varying":
        return bool(new_size)
    if (old_base, new_base) == ("cidr", "inet"):
        return False
    if old_base != new_base:
        return True
    if new_base == "numeric":
        return bool(new_size) and not _fits(old_size, new_size)
    if new_base in _INSTANTS:
        digits = new_size[0] if new_size else _MOST_DIGITS
        return digits < (old_size[0] if old_size else _MOST_DIGITS)
    if new_base == "bit varying":
        return bool(new_size) and not (old_size and old_size[0] <= new_size[0])
    return True


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new, and the conversion cannot fail."""
    if old == new:
        return True
    old_base, old_size = _taken_apart(old)
    new_base, new_size = _taken_apart(new)
    if old_base in _INTEGERS and new_base in (*_INTEGERS, "numeric"):
        return not new_size if new_base == "numeric" else _INTEGERS.index(old_base) <= _INTEGERS.index(new_base)
    if new_base == "text":
        return old_base in {"character varying", "uuid", "boolean", *_INTEGERS, "numeric", "inet", "date"}
    if old_base == new_base:
        return not new_size or _holds(old_base, old_size, new_size)
    return (old_base, new_base) in {("real", "double precision"), ("date", "timestamp without time zone")}


def casts_by_itself(old: str, new: str) -> bool:
    """Whether ALTER COLUMN … TYPE needs no USING: the server then refuses a value that does not fit.

    With USING column::varchar(10) it would cut such a value off without a word.
    """
    old_base, new_base = _taken_apart(old)[0], _taken_apart(new)[0]
    return widens(old, new) or any(old_base in family and new_base in family for family in _FAMILIES)


def new_type(clause: Phrase) -> str:
    """Read the type at the start of a clause, up to USING or COLLATE, as format_type writes it but for `public.`."""
    text = clause.clause_text()
    found = clause.clause_tokens()
    for token in found:
        if token.upper in {"USING", "COLLATE"}:
            text = text[: token.start - found[0].start]
            break
    return text.strip().removeprefix("public.")


def _holds(base: str, old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether every value of the old size has room in the new one."""
    if not old:
        return False
    if base != "numeric":
        return base in _SIZED and old[0] <= new[0]
    (old_digits, old_scale), (new_digits, new_scale) = ((*size, 0)[:2] for size in (old, new))
    return new_scale >= old_scale and new_digits - new_scale >= old_digits - old_scale


def _fits(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether a numeric of the old size is one of the new as it stands: more digits, and the same scale."""
    if not old:
        return False
    (old_digits, old_scale), (new_digits, new_scale) = ((*size, 0)[:2] for size in (old, new))
    return new_scale == old_scale and new_digits >= old_digits


def _taken_apart(type_: str) -> tuple[str, tuple[int, ...]]:
    match = _MODIFIER.search(type_)
    base = type_ if match is None else " ".join(f"{type_[: match.start()]} {type_[match.end() :]}".split())
    numbers = () if match is None else tuple(int(number) for number in match["numbers"].split(","))
    array = base.endswith("[]")
    base = base.removesuffix("[]").strip()
    if not numbers and base in {"char", "character", "bit"}:
        numbers = (1,)
    return _ALIASES.get(base, base) + ("[]" if array else ""), numbers
