"""What `history` looks at: everything that was ever deployed to an environment, read without the lock and without a write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.deploy.locking import Deadlines, open_reading
from pipeline.deploy.target import check_target
from pipeline.history.log import READ_LOG, parse_log
from pipeline.history.rehearsals import read_admissions
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.deploy.checkout import Checkout
    from pipeline.history.log import Entry
    from pipeline.history.rehearsals import Admission
    from pipeline.postgres import Identity


@dataclass(frozen=True)
class Past:
    """A server, and the entries of its log, oldest first; none where no deploy has been yet."""

    server: str
    identity: Identity
    entries: tuple[Entry, ...]
    admissions: tuple[Admission, ...] = ()

    def let_in_by(self, entry: Entry) -> Admission | None:
        """The receipt that let it in, or what was written down instead; None where nobody asked for one."""
        return next((each for each in self.admissions if each.digest == entry.rehearsal), None)

    def without_rehearsal(self, entry: Entry) -> str:
        """The reason that somebody gave to run it without a rehearsal, or nothing."""
        admission = self.let_in_by(entry)
        return "" if admission is None else admission.reason


def read_past(checkout: Checkout) -> Past:
    """Read the log of a checkout's environment. A standby answers too, with what it has received so far.

    Raises:
        Refused: the server is not the one that was meant, or its history is incomplete.
        DatabaseFailed: no connection, or the server refused the query.
    """
    opened = open_reading(
        checkout.url, application="db-pipeline look", deadlines=Deadlines(), observer=checkout.observer
    )
    with opened.session as session:
        check_target(checkout.target, opened.identity, opened.history, session.shown_as, writes=False)
        if not opened.history.exists:
            return Past(session.shown_as, opened.identity, ())
        try:
            (log,) = session.run(READ_LOG)
            admissions = read_admissions(session)
        except ServerError as error:
            from pipeline.deploy.failure import explain

            raise explain(error, "the history could not be read", "Nothing was changed.") from error
    return Past(session.shown_as, opened.identity, parse_log(log.rows), admissions)
