"""Whether the release that is live, and the one of this checkout, can use the database that the pending files leave behind.

    known = catalogues(root, live_commit(history))     # what the services send
    before = plan(url, known)                          # on a copy, before the files
    after = plan(url, known)                           # and after them
    compare(before, after)

Nothing is built or run of a service, and no statement of one is executed: the server plans it, as the service's role.
"""

from __future__ import annotations

from pipeline.rehearsal.compatibility.comparing import compare
from pipeline.rehearsal.compatibility.planning import plan
from pipeline.rehearsal.compatibility.reading import Catalogues, catalogues, live_commit, named_commit
from pipeline.rehearsal.compatibility.traffic import add_traffic

__all__ = ["Catalogues", "add_traffic", "catalogues", "compare", "live_commit", "named_commit", "plan"]
