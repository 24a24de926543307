"""Made-up conversations that look like real ones: turns of a person, a model and its tools, in words of a few trades.

Everything follows from a `random.Random`, so the same seed gives the same rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_SUBJECTS = (
    ("the invoice from March", "billing", "find_invoice"),
    ("a slow SQL query", "databases", "explain_query"),
    ("the release notes", "documentation", "read_file"),
    ("a train from Berlin to Hamburg", "travel", "search_trains"),
    ("the failing build", "continuous integration", "read_log"),
    ("our refund policy", "support", "search_articles"),
    ("next week's calendar", "planning", "list_events"),
    ("the survey results", "research", "read_table"),
)
_OPENINGS = (
    "Can you help me with {}?",
    "I have a question about {}.",
    "What do we know about {}?",
    "Please summarise {} for me.",
    "Something is odd about {}. Could you take a look?",
)
_FOLLOW_UPS = (
    "And what changed since last time?",
    "Could you make that shorter, please?",
    "Why is that?",
    "Thanks! What should I do next?",
    "Can you show me an example?",
    "That is not quite what I meant. I need the exact numbers.",
)
_ANSWERS = (
    "Sure. In {} the first thing to check is the date, then the amount. Both look right here.",
    "Short answer: yes. The longer one depends on {}, and I would verify two things before deciding.",
    "Here is what I found in {}:\n\n1. The cause is a change of last Tuesday.\n2. Going back is safe.",
    "I could not find a definite statement on that in {}. The closest match is from two months ago.",
    "The result is 42 items, 7 of them open. Tell me if you want the list grouped by {}.",
)
_MODELS = (("anthropic", "large-1"), ("openai", "small-2"), ("mistral", "open-3"))
_USAGES = 64  # different ones; enough to look real, few enough to be written once


@dataclass(frozen=True, slots=True)
class Line:
    """One message without its thread and its place: its columns in the order of COLUMNS, escaped for COPY."""

    columns: str
    pause: tuple[int, int]
    """Milliseconds before it, from and to."""


COLUMNS = ("role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage", "metaJson")
NULL = "\\N"


class Conversations:
    """Writes conversations from parts that are put together once."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._by_subject = tuple(_parts(subject, chance) for subject in _SUBJECTS)

    def lines(self, length: int) -> Iterator[Line]:
        """One conversation of so many messages."""
        pick = self._chance.choice
        opening, follow_ups, answers, (call, result) = pick(self._by_subject)
        left = length
        for human in (opening, follow_ups):
            while left > 0:
                turn = (pick(human), call, result, pick(answers)) if pick(_ONE_IN_SIX) else (pick(human), pick(answers))
                yield from turn[:left]
                left -= len(turn)
                if human is opening:
                    break


_ONE_IN_SIX = (True, False, False, False, False, False)
_Parts = tuple[tuple[Line, ...], tuple[Line, ...], tuple[Line, ...], tuple[Line, Line]]


def _parts(subject: tuple[str, str, str], chance: random.Random) -> _Parts:
    topic, field, tool = subject
    provider, model = chance.choice(_MODELS)
    call_id = f"call_{chance.getrandbits(48):012x}"
    person, thinking, tool_time = (2_000, 120_000), (700, 9_000), (40, 1_500)
    answers = tuple(
        _line("ai", text.format(field), thinking, provider=provider, model=model, usage=usage, meta={"topic": field})
        for text in _ANSWERS
        for usage in _usages(chance, _USAGES // len(_ANSWERS))
    )
    call = {"id": call_id, "type": "function", "function": {"name": tool, "arguments": {"about": topic}}}
    return (
        tuple(_line("human", text.format(topic), person) for text in _OPENINGS),
        tuple(_line("human", text, person) for text in _FOLLOW_UPS),
        answers,
        (
            _line("ai", "", thinking, provider=provider, model=model, calls=[call], usage=_usages(chance, 1)[0]),
            _line("tool", json.dumps({"found": 3, "about": topic}), tool_time, name=tool, call_id=call_id),
        ),
    )


def _usages(chance: random.Random, count: int) -> list[dict[str, int]]:
    return [{"inputTokens": chance.randint(20, 4000), "outputTokens": chance.randint(5, 900)} for _ in range(count)]


def _line(  # noqa: PLR0913 - a column each
    role: str,
    content: str,
    pause: tuple[int, int],
    *,
    name: str | None = None,
    call_id: str | None = None,
    calls: object = None,
    provider: str | None = None,
    model: str | None = None,
    usage: object = None,
    meta: object = None,
) -> Line:
    values = (role, content, name, call_id, _json(calls), provider, model, _json(usage), _json(meta))
    return Line("\t".join(NULL if value is None else _escape(value) for value in values), pause)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _escape(text: str) -> str:
    """Escape for COPY's text format."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
