"""lock-timeout: a wait without end, with everybody waiting behind it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.lint.finding import about_file
from pipeline.migrations.sql_text import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source, Step

_DIRECTIVE = re.compile(r"^--\s*pipeline:.*\block-timeout=(?P<value>\d+(?:ms|s|min|h))", re.MULTILINE)
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_LONGEST = 30.0  # seconds: services wait behind the migration that waits
_WHY = (
    "while the file waits for a running query, every query on the table that comes later waits behind it, reads as well, "
    "for as long"
)
_HELP = "Leave it out: the runner waits 2 s, and tries again. Or write in the head: -- pipeline: lock-timeout=5s"


def lock_timeout(source: Source) -> Iterable[Finding]:
    """Find a lock_timeout that is off or long, in the file's head; and any that a statement sets."""
    if source.is_rollback:
        return
    if source.is_transactional and (match := _DIRECTIVE.search(source.text)) is not None:
        number, unit = re.fullmatch(r"(\d+)(\w+)", match["value"]).groups()  # type: ignore[union-attr]
        seconds = int(number) * _SECONDS[unit]
        if seconds == 0 or seconds > _LONGEST:
            what = "no limit" if seconds == 0 else f"a limit of {match['value']}"
            line = line_of(source.text, match.start("value"))
            yield about_file(source.path, "lock-timeout", f"{what} for waiting: {_WHY}", _HELP, line=line)
    for step in source.running:
        if _sets_it(step):
            yield source.at(
                step, "lock-timeout", f"it sets aside the limit that the runner knows and retries by: {_WHY}", _HELP
            )


def _sets_it(step: Step) -> bool:
    words = step.words
    if words[0] in {"SET", "RESET"}:
        return "LOCK_TIMEOUT" in words[:3]
    names = {token.text.strip("'").lower() for token in step.statement.tokens if token.kind == "string"}
    return "SET_CONFIG" in words and "lock_timeout" in names
