"""What came of a run that did not end as it was meant to, as a value: errors carry it, and consoles and programs render it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """What of a run is done and what is not. str() tells a person.

    `planned` are the ids of its migrations in their order, `done` those that are applied, or rolled back by a `backward` run;
    None where nobody could be asked, and `at_least` these where more may be. `concurrent` are the planned ones that run
    outside a transaction; `left` is what the first that is not done left half-way: "" for nothing, None where nobody looked.
    """

    planned: tuple[str, ...]
    done: frozenset[str] | None
    concurrent: frozenset[str] = frozenset()
    left: str | None = None
    at_least: bool = False
    backward: bool = False

    @property
    def applied(self) -> tuple[str, ...]:
        """The planned migrations that are done for certain, in order."""
        return tuple(id_ for id_ in self.planned if id_ in (self.done or ()))

    @property
    def stopped_at(self) -> str:
        """The first planned migration that is not done, or empty."""
        return next((id_ for id_ in self.planned if id_ not in (self.done or ())), "")

    def __str__(self) -> str:
        """One sentence about what is done, and one about what a concurrent migration left."""
        return "\n".join(filter(None, [self._sentence(), self.left]))

    def _sentence(self) -> str:
        verb = "rolled back" if self.backward else "applied"
        if self.done is None:
            return f"what of this run is {verb} is not known: `./inv status` tells."
        head = f"{'at least ' if self.at_least else ''}{len(self.applied)} of {len(self.planned)} {verb} in this run"
        if self.backward:
            return f"{head}."
        if self.applied:
            head += f" (through {self.applied[-1]})"
        if not self.stopped_at or self.at_least:
            return f"{head}."
        if self.stopped_at not in self.concurrent:
            return f"{head}; nothing of {self.stopped_at} is."
        if self.left == "":
            return f"{head}; {self.stopped_at} is not, and it left nothing behind."
        return f"{head}; {self.stopped_at} is not, and the next run looks at what it may have left."
