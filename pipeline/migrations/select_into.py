"""SELECT … INTO, which makes a table everywhere but in what PL/pgSQL's EXECUTE is given, as the runner's files are.

There the server refuses it when it runs (exec_stmt_dynexecute in pl_exec.c): too late, and with a hint about PL/pgSQL.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FAULT = (
    "SELECT … INTO: the server takes it for PL/pgSQL's, and would refuse it when it runs",
    "Write it as CREATE TABLE … AS SELECT …, which does the same.",
)


def selects_into(words: Sequence[str]) -> bool:
    """Whether a statement with these words is a SELECT with an INTO of its own: not INSERT INTO, nor a name."""
    opened = next((index for index, word in enumerate(words) if word != "("), 0)
    if words[opened] not in {"SELECT", "WITH"}:
        return False
    depth = 0
    for before, word in pairwise(words):
        depth += (before == "(") - (before == ")")
        if word == "INTO" and depth <= opened and before not in {"INSERT", "MERGE", "AS", "."}:
            return True
    return False
