"""A data change that runs batch by batch: what the head of its file says, and where a batch's range goes in its statement.

The marker is a comment in front of a condition that is always true, `/* batch */ true`. So the file as it stands is one
statement in plain SQL, which changes every row: linters read it, a shadow runs it, and so does psql or stock yoyo.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import MigrationFileError
from pipeline.migrations.sql_text import Unterminated, statements, tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.migrations.sql_text import Statement, Token

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
# `batched="Message" key="threadId","createdAt"`: names as SQL has them.
BATCHED = re.compile(
    rf"(?:^|(?<=\s))batched=(?P<table>{_NAME}(?:\.{_NAME})?)(?:\s+key=(?P<key>{_NAME}(?:\s*,\s*{_NAME})*))?(?=\s|$)"
)
_MARKER = re.compile(rf"/\*\s*batch(?:\s+(?P<alias>{_NAME}))?\s*\*/\Z")
_VERBS = ("UPDATE", "DELETE", "INSERT")
_EXAMPLE = (
    'Write `-- pipeline: batched="Message" key="id"`: the table, and the columns of a unique index (docs/backfills.md).'
)

Directives = dict[str, list[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Batched:
    """The one statement of a file that runs batch by batch.

    `table` and the columns of `key` are spelled as in the file; `remaining` is the query that counts what is left. `before`
    and `after` are the statement's text around its marker, and `alias` what the table is called there.
    """

    table: str
    key: tuple[str, ...]
    remaining: str
    before: str
    after: str
    alias: str
    line: int

    def statement(self, condition: str) -> str:
        """The statement of those rows for which a condition holds as well."""
        return f"{self.before}({condition}){self.after}"

    @property
    def whole(self) -> str:
        """The statement of all rows."""
        return self.statement("true")

    def columns(self, of: str | None = None) -> tuple[str, ...]:
        """The key's columns with a name of the table before them: its alias in the statement, or the one that is given."""
        return tuple(f"{of or self.alias}.{column}" for column in self.key)


class BatchedHead:
    """What the directives of a file say about batches, and the faults of that. False where they say nothing."""

    def __init__(self, directives: Directives, path: str) -> None:
        self._path = path
        self._remaining = directives.get("remaining", [])
        self._found = [
            (match, line) for value, line in directives.get("pipeline", []) for match in BATCHED.finditer(value)
        ]

    def __bool__(self) -> bool:
        return bool(self._found or self._remaining)

    def read(self, found: Sequence[Statement], settings: Mapping[str, str], *, transactional: bool) -> Batched:
        """The file's statement.

        Raises:
            MigrationFileError: the head or the statement is at fault; `where` names the line.
        """
        if not self._found:
            raise self._fault("`-- remaining:` without `batched=`", self._remaining[0][1], _EXAMPLE)
        (match, line), *more = self._found
        if more:
            raise self._fault("`batched=` twice", more[0][1], "One file holds one statement of one table.")
        if match["key"] is None:
            raise self._fault("`batched=` without `key=` behind it", line, _EXAMPLE)
        if not transactional:
            raise self._fault(
                "`batched=` with `-- transactional: false`", line, "Remove the latter: a batch is a transaction."
            )
        if settings:
            raise self._fault(
                f"{next(iter(settings))} in a file with `batched=`",
                line,
                "Remove it: a batch waits for no lock for long, and takes as many rows as it can in its time.",
            )
        statement = self._single(found)
        marker, true = self._marker(statement)
        alias = _MARKER.match(marker.text)["alias"]  # type: ignore[index] # it did match
        return Batched(
            match["table"],
            tuple(re.findall(_NAME, match["key"])),
            self._counting(line),
            statement.text[: marker.start],
            statement.text[true.end :],
            alias or re.findall(_NAME, match["table"])[-1],
            statement.line,
        )

    def _single(self, found: Sequence[Statement]) -> Statement:
        if len(found) > 1:
            raise self._fault(
                f"{len(found)} statements in a file with `batched=`", found[1].line, "Give each a file of its own."
            )
        if found[0].first_word not in _VERBS:
            raise self._fault(
                "a file with `batched=` holds one UPDATE, DELETE or INSERT … SELECT",
                found[0].line,
                "Write it so that it begins with that word; a WITH goes behind it, into a sub-select.",
            )
        parameter = next((token for token in found[0].tokens if re.match(r"\$[0-9]", token.text)), None)
        if parameter is not None:
            raise self._fault(f"{parameter.text} has no value here", found[0].line, "Write the value.")
        return found[0]

    def _marker(self, statement: Statement) -> tuple[Token, Token]:
        """The comment, and the word `true` behind it."""
        every = list(tokens(statement.text))
        at = [number for number, token in enumerate(every) if token.kind == "comment" and _MARKER.match(token.text)]
        what = "the marker of the batch's range" if not at else f"{len(at)} markers of the batch's range"
        remedy = (
            "Write `/* batch */ true` once, as a condition of the WHERE: `WHERE … AND /* batch */ true`; `/* batch m */ true` "
            "where the statement calls the table m."
        )
        if len(at) != 1:
            raise self._fault(f"{what}{' is missing' if not at else ''}", statement.line, remedy)
        behind = every[at[0] + 1 : at[0] + 2]
        if not behind or behind[0].upper != "TRUE":
            line = statement.line_at(every[at[0]].start)
            raise self._fault("the marker of the batch's range without `true` behind it", line, remedy)
        return every[at[0]], behind[0]

    def _counting(self, line: int) -> str:
        """The query of `-- remaining:`, which may go on in further lines that begin so."""
        text = "\n".join(value for value, _ in self._remaining)
        first = self._remaining[0][1] if self._remaining else line
        remedy = (
            "Write `-- remaining: SELECT count(*) FROM … WHERE …`: the rows that are not done, in lines that begin so."
        )
        if not text:
            raise self._fault("`batched=` without `-- remaining:`", first, remedy)
        try:
            found = statements(text)
        except Unterminated as fault:
            raise self._fault(f"{fault.what} in `-- remaining:` that is never closed", first, "Close it.") from fault
        if len(found) != 1 or found[0].first_word != "SELECT":
            raise self._fault("`-- remaining:` is one SELECT", first, remedy)
        return found[0].text

    def _fault(self, what: str, line: int, remedy: str) -> MigrationFileError:
        return MigrationFileError(what, where=f"{self._path}:{line}", remedy=remedy)
