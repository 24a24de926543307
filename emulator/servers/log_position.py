"""Positions in the write-ahead log, and the names of the files that hold them (PostgreSQL: xlog_internal.h)."""

from __future__ import annotations

import re
from dataclasses import dataclass

SEGMENT_BYTES = 1 << 20  # what initdb is given, see template.py
_PER_ID = (1 << 32) // SEGMENT_BYTES
_POSITION = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")


def parse(text: str) -> int:
    """A position as a number of bytes, from the text that pg_lsn takes; ValueError when it is none."""
    found = _POSITION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no log position, such as 0/1E8A9B8")
    return int(found[1], 16) << 32 | int(found[2], 16)


def write(position: int) -> str:
    """A position as pg_lsn writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


@dataclass(frozen=True, order=True)
class Segment:
    """A file of the log: `number` counts from the log's begin, `timeline` is PostgreSQL's id of the line of history."""

    number: int
    timeline: int

    @classmethod
    def at(cls, position: int, timeline: int) -> Segment:
        """The segment that the byte at a position lies in."""
        return cls(position // SEGMENT_BYTES, timeline)

    @classmethod
    def parse(cls, name: str) -> Segment | None:
        """The segment of a file's name; None for a file that is no segment."""
        found = _SEGMENT.fullmatch(name)
        if found is None:
            return None
        return cls(int(found[2], 16) * _PER_ID + int(found[3], 16), int(found[1], 16))

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.timeline:08X}{self.number // _PER_ID:08X}{self.number % _PER_ID:08X}"

    @property
    def begin(self) -> int:
        """The position of its first byte."""
        return self.number * SEGMENT_BYTES
