"""One line of the log for one event: what a client sent cannot begin another, nor talk to the terminal that shows it."""

from __future__ import annotations

import logging
import re

# Everything that ends a line somewhere, or that a terminal obeys.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class OneLine(logging.Formatter):
    """Writes control characters as escapes. A traceback follows in lines that begin with `  | `."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line itself."""
        return escaped(super().formatMessage(record))

    def formatException(self, exc_info: object) -> str:  # noqa: N802 - logging's name
        """The traceback, whose last line is what somebody's text may be in."""
        lines = super().formatException(exc_info).split("\n")  # type: ignore[arg-type]
        return "\n".join(f"  | {escaped(line)}" for line in lines)

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """The stack, in the same way."""
        return "\n".join(f"  | {escaped(line)}" for line in stack_info.split("\n"))


def escaped(text: str) -> str:
    """The text with its control characters as Python writes them."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
