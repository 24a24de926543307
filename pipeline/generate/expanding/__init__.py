"""Expand and contract: a column that gets another name or type while two releases of the services use both.

Expanding writes the column beside the old one, a trigger that keeps both equal, the backfill of the rows that were there, and
what the old one's rules and indexes are for the new one; contracting takes the old one away. Both edit schema.sql, and all of
it is proven as every generated file is, and with an old and a new writer between each two files.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.generate.style import quoted


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a column.

    `table` is named as `Phrase.name` gives it. `type` is the new column's, as it is written. `forward` is the new value, an
    expression over the old column; `back` the old value, over the new one. `name` is that of the migration, and of the
    trigger and its function, where it is `spelled` so: a keyword has quotes. `comparable`: values of the new type can be told
    apart, which those of json cannot.
    """

    name: str
    spelled: str
    table: str
    old: str
    new: str
    type: str
    forward: str
    back: str
    comparable: bool = True

    @property
    def is_rename(self) -> bool:
        """Whether both columns hold the same."""
        return self.forward == quoted(self.old) and self.back == quoted(self.new)

    @property
    def function(self) -> str:
        """The trigger's function, in the table's schema."""
        schema, dot, _ = self.table.rpartition(".")
        return f"{quoted(schema)}{dot}{self.spelled}" if dot else self.spelled
