"""Run B: the files measured on the other copy, with the services' statements planned there before and after them.

What goes wrong here leaves the deploy's own outcome as it is: it is told as what could not be measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.rehearsal import compatibility
from pipeline.rehearsal.deploying import shown
from pipeline.rehearsal.digests import digests_of
from pipeline.rehearsal.measuring import measure
from pipeline.rehearsal.telling import Told

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from pipeline.deploy.observer import Observer
    from pipeline.history.record import Author
    from pipeline.migrations import Folder
    from pipeline.receipts.digests import Digests
    from pipeline.rehearsal.compatibility import Catalogues
    from pipeline.rehearsal.compatibility.planning import Planned
    from pipeline.rehearsal.result import Compatibility
    from pipeline.rehearsal.values import Measured


@dataclass(frozen=True)
class MeasuredRun:
    """What came of it. `after` is the state that it ended in, and `why_not` says why nothing was measured."""

    measured: Measured | None = None
    after: Digests | None = None
    compatibility: Compatibility | None = None
    why_not: str = ""
    not_compared: str = ""


def measure_on_copy(
    make_copy: Callable[[], DatabaseURL], folder: Folder, author: Author, catalogues: Catalogues, observer: Observer
) -> MeasuredRun:
    """Make the copy, and measure what is pending there."""
    try:
        url = make_copy()
        planned, why_not = _planned(url, catalogues)
        measured = measure(url, folder, author=author, listener=Told(observer, "measured"))
        after = digests_of(url)
    except PipelineError as error:
        return MeasuredRun(why_not=shown(error), not_compared="there is no measured copy to plan them on")
    if planned is None or measured.failure is not None:
        return MeasuredRun(measured, after, None, "", why_not or "the files did not come to their end")
    again, why_not = _planned(url, catalogues)
    compared = None if again is None else compatibility.compare(planned, again)
    return MeasuredRun(measured, after, compared, "", why_not)


def _planned(url: DatabaseURL, catalogues: Catalogues) -> tuple[Planned | None, str]:
    """The services' statements as the server plans them, or why it does not."""
    try:
        return compatibility.plan(url, catalogues), ""
    except PipelineError as error:
        return None, shown(error)
