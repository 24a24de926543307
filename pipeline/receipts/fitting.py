"""Whether a receipt is one for this deploy: compared with what the deploy has read already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.errors import Refused
from pipeline.receipts.digests import history_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from pipeline.history import Unfinished
    from pipeline.migrations.plan import Applied
    from pipeline.receipts.receipt import Receipt

_BREAKS: Final = "FAILED"
_UNKNOWN: Final = "NOT_MEASURED"
_SKEW: Final = timedelta(minutes=5)  # of two machines' clocks


@dataclass(frozen=True)
class Found:
    """What a deploy has found: where it is, and what is applied and pending there.

    `environment` is empty where none was named and the database does not say. `project_id` and `branch_id` are what the
    server says of itself. `pending` has the checksums by id.
    """

    environment: str
    project_id: str
    branch_id: str
    pending: Mapping[str, str]
    applied: Mapping[str, Applied]
    unfinished: Mapping[str, Unfinished]
    now: datetime


def require_fit(receipt: Receipt, found: Found, *, where: str, rehearse: str) -> str:
    """Return the digest that the schema has to have now, or nothing where it cannot be known.

    A deploy that was ended half-way goes on with the receipt that it began with: files that are applied with its digest in
    their log rows are the beginning of what was rehearsed. The schema behind the last of them is the measured one. It is not
    compared behind a statement outside a transaction that was begun: what that leaves is judged file by file.

    Raises:
        Refused: it does not fit; the message has everything that differs.
    """
    own = {
        id_: was
        for id_, was in found.applied.items()
        if was.rehearsal == receipt.digest and receipt.checksums.get(id_) == was.checksum
    }
    differences = [*_own_faults(receipt, found), *_place(receipt, found), *_files(receipt, found, own)]
    others = [was for id_, was in found.applied.items() if id_ not in own]
    if history_digest(others) != receipt.history:
        differences.append("the history moved on: other migrations are applied than when it was made")
    if differences:
        again = "Mend what it found, then rehearse again" if receipt.result == _BREAKS else "Rehearse again"
        listed = "".join(f"\n  {each}" for each in differences)
        raise Refused(
            f"the receipt does not fit this deploy:{listed}",
            where=where,
            remedy=f"Nothing was changed. {again}: {rehearse}",
        )
    if any(each.rehearsal == receipt.digest for each in found.unfinished.values()):
        return ""
    if not own:
        return receipt.schema
    return receipt.schemas.get([id_ for id_ in receipt.checksums if id_ in own][-1], "")


def _own_faults(receipt: Receipt, found: Found) -> Iterator[str]:
    if receipt.result == _BREAKS:
        yield f"the rehearsal found a break ({', '.join(receipt.failed) or 'it does not say where'})"
    elif receipt.result == _UNKNOWN:
        yield f"the rehearsal could not measure what was asked for: {'; '.join(receipt.not_measured) or 'it does not say what'}"
    elif receipt.result != "PASSED":
        yield f"its result is {receipt.result}"
    if found.now >= receipt.expires:
        yield f"it expired at {_shown(receipt.expires)}: a receipt holds for a day"
    elif found.now < receipt.created - _SKEW:
        yield f"it was made at {_shown(receipt.created)}, which is not yet: is this machine's clock right?"


def _place(receipt: Receipt, found: Found) -> Iterator[str]:
    if found.environment and receipt.environment != found.environment:
        yield f"it is of {receipt.environment}, and this is {found.environment}"
    if receipt.project_id != found.project_id:
        yield f"it is of the Neon project {receipt.project_id}, and this is {found.project_id or 'no Neon project'}"
    elif receipt.branch_id != found.branch_id:
        yield (
            f"it is of the Neon branch {receipt.branch_id} ({receipt.branch_name}), and this is "
            f"{found.branch_id or 'no Neon branch'}"
        )


def _files(receipt: Receipt, found: Found, own: Mapping[str, Applied]) -> Iterator[str]:
    left = {id_: checksum for id_, checksum in receipt.checksums.items() if id_ not in own}
    for id_, checksum in found.pending.items():
        if id_ not in left:
            yield f"{id_} was added since, and was not rehearsed"
        elif left[id_] != checksum:
            yield f"{id_} was edited since"
    for id_ in left:
        if id_ not in found.pending:
            how = "is applied already, by another deploy" if id_ in found.applied else "was taken away since"
            yield f"{id_} was rehearsed, and {how}"


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
