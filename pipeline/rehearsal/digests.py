"""The state of a copy, named as the deploy's guard names production's (`pipeline.receipts.digests`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import APPLICATION
from pipeline.receipts.digests import read_digests

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from pipeline.receipts.digests import Digests


def digests_of(url: DatabaseURL, *, has_history: bool = True) -> Digests:
    """The digests of a copy's schema and of its history.

    Raises:
        DatabaseFailed: no connection, or it was lost.
    """
    with open_session(url, application_name=f"{APPLICATION} digests") as session:
        return read_digests(session, has_history=has_history)
