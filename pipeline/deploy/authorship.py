"""Who deploys, from where, and which commit: kept with every migration that is applied.

The commit is the one that holds the file. Where none does, the record says so, and an environment that is not local refuses
the file unless somebody wants it to run all the same.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipeline.errors import Refused
from pipeline.history.record import UNCOMMITTED, Author

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.deploy.committed import Head
    from pipeline.migrations import Folder

_ANYHOW = "`--uncommitted` runs them all the same, and the history will say that no commit holds them."


def author_of(environ: Mapping[str, str]) -> Author:
    """Who and where, as CI's variables name it, else as the machine does. Never raises: an unknown part is empty."""
    actor = (
        environ.get("GITHUB_ACTOR") or environ.get("GITLAB_USER_LOGIN") or environ.get("USER") or environ.get("LOGNAME")
    )
    return Author(actor=_text(actor or f"uid {os.getuid()}"), host=_text(os.uname().nodename))


def author_on_local(folder: Folder, environ: Mapping[str, str]) -> Author:
    """The author with the commit of each file, where git knows one; without git, the one that CI's variables name."""
    from pipeline.deploy.committed import Unanswered, compare_with_head  # a process, for those who have work to do

    try:
        head = compare_with_head(folder, environ)
    except Unanswered:
        return author_of(environ).at(_text(environ.get("GITHUB_SHA") or environ.get("CI_COMMIT_SHA") or ""))
    return author_of(environ).at(head.commit, head.differing)


def author_of_committed(folder: Folder, environ: Mapping[str, str], *, uncommitted: bool = False) -> Author:
    """The author, where every migration of the folder is as it is in HEAD, or `uncommitted` ones are wanted.

    Raises:
        Refused: one is not, or git cannot tell.
    """
    from pipeline.deploy.committed import Unanswered, compare_with_head

    try:
        head = compare_with_head(folder, environ)
    except Unanswered as unanswered:
        if uncommitted:
            return author_of(environ).at(UNCOMMITTED)
        raise Refused(
            f"nobody can tell which commit holds {folder.path}: {unanswered}",
            remedy=f"Nothing was changed. {unanswered.remedy} {_ANYHOW}",
        ) from None
    if (head.differing or head.absent) and not uncommitted:
        raise _not_committed(folder, head)
    return author_of(environ).at(head.commit, head.differing)


def _not_committed(folder: Folder, head: Head) -> Refused:
    lines = [f"  {folder.path}/{id_}.sql: {how}" for id_, how in head.differing.items()]
    lines += [f"  {folder.path}/{id_}.sql: in it, and not here" for id_ in head.absent]
    listed = "\n".join(lines)
    return Refused(
        f"the migrations are not those of the commit that is checked out ({head.commit[:12]}):\n{listed}",
        remedy=f"Nothing was changed. Commit them, or check out what is to be deployed. {_ANYHOW}",
    )


def _text(value: str) -> str:
    """A name of the machine's, without the bytes of it that are no text and that no database would take."""
    return os.fsencode(value).decode("utf-8", "replace")
