"""A migration under construction: pieces of SQL, and the files that they will stand in."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement, without its semicolon. `why` becomes the comment above it.

    `undo` are the statements that take it back, in order; None means that the differ is asked. `undo_last` are those of them
    that come when all else of the part is taken back. `answers` are lint rules with
    what there is to say to them, where we know better than a rule that sees the text alone; `ignores` are the answers to
    what was really asked, as they are written. `is_rename`: the differ was asked behind
    it, and knows nothing of it.
    """

    sql: str
    why: str = ""
    undo: tuple[str, ...] | None = None
    undo_last: tuple[str, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    ignores: tuple[str, ...] = ()
    is_rename: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """A statement taken apart: what runs with the others, what outside of a transaction, what behind all that, and what last.

    `name` is the index or constraint that exists only then; statements that name it must wait for it.
    """

    name: str
    now: tuple[Piece, ...] = ()
    outside: tuple[Piece, ...] = ()
    behind: tuple[Piece, ...] = ()
    last: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one file holds. `kind` names it among its siblings: "" for the main one, index, validate, then."""

    pieces: tuple[Piece, ...]
    kind: str = ""
    outside: bool = False  # of a transaction

    @property
    def undo(self) -> tuple[str, ...] | None:
        """The statements that take the part back, or None when a piece does not know."""
        backwards: list[str] = []
        for piece in reversed(self.pieces):
            if piece.undo is None:
                return None
            backwards += piece.undo
        return (*backwards, *(sql for piece in reversed(self.pieces) for sql in piece.undo_last))


@dataclass(frozen=True)
class Arrangement:
    """The files' contents in order, what they lose, and what a gate without rows cannot see."""

    parts: tuple[Part, ...]
    losses: tuple[str, ...] = ()
    doubts: tuple[str, ...] = field(default=())
    careful: bool = True  # as far as it can be; otherwise in the differ's own order
