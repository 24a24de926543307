"""What becomes of the services' statements, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.text import counted
from pipeline.rehearsal.result import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.rehearsal.result import Compatibility, StatementTrouble

KINDS = {
    Trouble.FAILS: "fails",
    Trouble.CHANGED: "changed",
    Trouble.LOST_INDEX: "lost its index",
    Trouble.FAILED_BEFORE: "failed before too",
}

# By the reason, and of the table and the name that it is about.
_WHY = {
    "null": "puts NULL into {table}.{name}, which takes none now",
    "unique": "is against {name} of {table}, a rule that was not there",
    "value gone": "uses a value that {name} does not have any more",
    "narrower": "fills {table}.{name}, which takes less than before",
    "parameters": "takes other parameters: {name}",
    "results": "gives other results: {name}",
    "default": "leaves {table}.{name} to a default that is gone",
    "index": "reads all of {table} now, and used {name} before",
}


def trouble_text(trouble: StatementTrouble) -> str:
    """A statement, what becomes of it, and since which migration."""
    cause = f", since {trouble.file}" if trouble.file else ""
    return f"{trouble.service}, {trouble.release}: {trouble.statement} {why_text(trouble)}{cause}"


def why_text(trouble: StatementTrouble) -> str:
    """What becomes of a statement; the statement's name is to stand before it."""
    rows = "" if trouble.rows is None else f" ({trouble.rows:,} rows)"
    server = f" ({trouble.condition or trouble.sqlstate})" if trouble.sqlstate else ""
    if trouble.trouble is Trouble.FAILED_BEFORE:
        return f"cannot be planned, before the migrations either{server}"
    if trouble.reason in _WHY:
        table = f"{trouble.table}{rows}"
        return f"{_WHY[trouble.reason].format(table=table, name=trouble.name or 'an index')}{server}"
    return f"cannot be planned any more{server}"


def compatibility_text(compatibility: Compatibility) -> str:
    """What was compared with what, and how much of it is in trouble."""
    planned = sum(number for _, _, number in compatibility.statements)
    unknown = "a commit that nobody knows" if compatibility.not_measured else "nothing yet"
    live = f"commit {compatibility.live_commit[:12]}" if compatibility.live_commit else unknown
    told = [f"{number} {kind}" for kind, number in _numbers(compatibility.troubles).items() if number]
    return (
        f"live is {live}; {counted(planned, 'statement')} of the services planned, {', '.join(told) or 'none breaks'}"
    )


def _numbers(troubles: Sequence[StatementTrouble]) -> dict[str, int]:
    """How many statements break, are slower, and failed before; a break is one whatever its kind."""
    late = [each for each in troubles if not each.is_break]
    return {
        "break": len(troubles) - len(late),
        "lost an index": sum(each.trouble is Trouble.LOST_INDEX for each in late),
        "failed before too": sum(each.trouble is Trouble.FAILED_BEFORE for each in late),
    }
