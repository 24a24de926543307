"""What a rule makes of a value. The same value gives the same mask within one pull, so that keys and uniqueness survive.

The masks are keyed with random bytes that one pull makes and nobody keeps: without them a mask cannot be compared with that of
a guess. What is masked by itself has no part of the value in it, apart from the length of `fake text`.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.pull.tables import Column

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

FAKES = ("fake email", "fake name", "fake text")
RULES = ("keep", "mask", "null", *FAKES)

_TEXT = {"text", "varchar", "bpchar", "name", "citext"}
_TIMES = {"timestamp", "timestamptz", "date"}
_BITS = {"int2": 15, "int4": 31, "int8": 63}
_NUMBERS = {"numeric", "float4", "float8", "money"}
# 32 words: a byte of a digest chooses one, without a rest.
_FILLER = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed eiusmod tempor incididunt labore dolore magna aliqua "
    "enim minim veniam quis nostrud ullamco laboris nisi aliquip commodo consequat duis aute irure velit esse"
)
_WORDS = _FILLER.split()


@dataclass(frozen=True, slots=True)
class Mask:
    """How a column is read: an SQL expression over it, and what is made of each of its values here (None: nothing)."""

    expression: str
    transform: Callable[[str], str] | None = None


@dataclass(frozen=True)
class Masker:
    """The masks of one pull. `key` is as long as a digest, random, and kept nowhere."""

    key: bytes = field(repr=False)

    def of(self, column: Column, rule: str) -> Mask:
        """How a column is read under a rule.

        Raises:
            ConfigurationError: the rule is not for a column of that type, or for one that may not be null.
        """
        if rule == "keep":
            return Mask(column.quoted)
        if rule == "null":
            if column.not_null:
                raise _unfit(column, rule, "it may not be null")
            return Mask("NULL")
        if rule in FAKES:
            if column.base not in _TEXT:
                raise _unfit(column, rule, f"it is {column.type}, and that is for text")
            return Mask(column.quoted, partial(getattr(self, rule.replace(" ", "_")), column))
        return self._mask(column)

    def _mask(self, column: Column) -> Mask:
        name = column.quoted
        if column.base in _TEXT:
            return Mask(name, partial(self.masked, column))
        if column.base == "uuid":
            return Mask(name, self.uuid)
        if column.base in _BITS:
            return Mask(name, partial(self.integer, _BITS[column.base]))
        if column.base in _TIMES:
            return Mask(f"pg_catalog.date_trunc('year', {name})::{column.base}")
        if column.element in _TEXT:
            return Mask(f"pg_catalog.to_jsonb({name})", partial(self.array, column))
        constant = _constant(column)
        if constant is not None:
            return Mask(f"CASE WHEN {name} IS NOT NULL THEN {constant} END")
        if not column.not_null:
            return Mask("NULL")
        raise _unfit(column, "mask", f"there is no mask for the type {column.type}, and it may not be null")

    def masked(self, column: Column, value: str) -> str:
        """Text: `masked-` and a part of the digest; as much of it in letters and digits as the column has room for."""
        digest = self._digest(column, value)
        whole = f"masked-{digest[:24]}" if value else ""
        length = column.length
        return whole if length is None or len(whole) <= length else _short(digest, length)

    def fake_email(self, column: Column, value: str) -> str:
        """An address of a domain that nobody has (RFC 2606)."""
        return f"person-{self._digest(column, value)[:20]}@example.org" if value else ""

    def fake_name(self, column: Column, value: str) -> str:
        """A name that says that it is none."""
        return f"Person {self._digest(column, value)[:16]}" if value else ""

    def fake_text(self, column: Column, value: str) -> str:
        """Words, as many characters as the text had."""
        chosen = bytes.fromhex(self._digest(column, value))
        words = " ".join(_WORDS[byte % len(_WORDS)] for byte in chosen) + " "
        return (words * (len(value) // len(words) + 1))[: len(value)]

    def uuid(self, value: str) -> str:
        """A UUID in the form of version 4."""
        text = hmac.digest(self.key, value.encode(), "sha256").hex()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:32]}"

    def integer(self, bits: int, value: str) -> str:
        """Another number of the same sign, and for different numbers never the same: a Feistel network of four rounds.

        It permutes the 2**bits numbers that a sign has: an even number of bits, and what falls outside goes through it again.
        """
        given, half = int(value), (bits + 1) // 2
        number, mask = given if given >= 0 else -given - 1, (1 << half) - 1
        while True:
            left, right = number >> half, number & mask
            for turn in range(4):
                digest = hmac.digest(self.key, b"%d %d %d" % (bits, turn, right), "sha256")
                left, right = right, left ^ (int.from_bytes(digest[:4], "big") & mask)
            number = left << half | right
            if not number >> bits:
                return str(number if given >= 0 else -number - 1)

    def array(self, column: Column, value: str) -> str:
        """An array of text, given as JSON, as PostgreSQL writes arrays."""

        def written(item: object) -> str:
            if isinstance(item, list):
                return f"{{{','.join(map(written, item))}}}"
            return "NULL" if item is None else f'"{self.masked(column, str(item))}"'

        return written(json.loads(value))

    def _digest(self, column: Column, value: str) -> str:
        same = value.lower() if "citext" in {column.base, column.element} else value
        if column.base == "bpchar":
            same = same.rstrip(" ")  # which are no part of the value
        return hmac.digest(self.key, same.encode(), "sha256").hex()


def _short(digest: str, length: int) -> str:
    """The digest in so many characters; with small letters alone, which no column takes for others."""
    number, text = int(digest, 16), ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        text += _DIGITS[digit]
    return text


def _constant(column: Column) -> str | None:
    """One value of the type for every value, where nothing else is to be had."""
    name, base = column.quoted, column.base
    if base in {"json", "jsonb"}:
        return (
            f"(CASE pg_catalog.jsonb_typeof({name}::jsonb) WHEN 'object' THEN '{{}}' WHEN 'array' THEN '[]' ELSE 'null' END)"
            f"::{base}"
        )
    if base in _NUMBERS:
        return f"0::{base}"
    if column.label is not None:
        return literal(column.label)
    if column.element is not None:
        return "'{}'"
    return {"bool": "false", "bytea": "''::bytea", "inet": "'0.0.0.0'::inet", "cidr": "'0.0.0.0/0'::cidr"}.get(base)


def _unfit(column: Column, rule: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f'"{rule}" is not for the column {column.name} of {column.plain}: {why}',
        where="masking.toml",
        remedy='Nothing was changed. Say there what it is to be, as "keep" or "null".',
    )
