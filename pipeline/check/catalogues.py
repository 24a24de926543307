"""The committed catalogues of what the services send (docs/queries.md), planned on what the migrations build.

A statement of this checkout has to be planned by the server. One of the base branch, whose release may be the live one, has to
be where a new migration takes the old column of an expansion away: that is what the expansion was for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.lint.finding import about_file
from pipeline.rehearsal.compatibility import catalogues, plan
from pipeline.rehearsal.compatibility.reading import FOLDER, HEAD
from pipeline.rehearsal.measuring import condition_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.lint.finding import Finding
    from pipeline.migrations import MigrationFile
    from pipeline.rehearsal.compatibility.planning import Answer
    from pipeline.rehearsal.compatibility.reading import Known


def refused_statements(
    root: Path, database: DatabaseURL, *, base: str | None, new: Sequence[MigrationFile]
) -> list[Finding]:
    """Find the statements that the server refuses on `database`, which the migrations have built.

    `base` is a commit, or None; `new` are the migrations that it does not have. Raises what `plan` raises.
    """
    if not any((root / FOLDER).glob("*.sql")):
        return []
    ending = [file for file in new if file.forward.contracts]
    try:
        known = catalogues(root, base, anything_live=base is not None and bool(ending))
    except ConfigurationError as error:
        return [about_file(error.where.rpartition(":")[0] or FOLDER, "catalogue", error.message, error.remedy)]
    planned = plan(database, known)
    refused = [
        (each, answer)
        for each in known.statements
        if (answer := planned.answers.get((each.role, each.sent.sql))) is not None and answer.sqlstate
    ]
    return [*_of_this_checkout(root, refused), *_of_the_base(refused, ending, base)]


def _of_this_checkout(root: Path, refused: Sequence[tuple[Known, Answer]]) -> Iterator[Finding]:
    for known, answer in refused:
        if HEAD in known.releases:
            path = f"{FOLDER}/{known.role}.sql"
            lines = (root / path).read_text(encoding="utf-8").splitlines()
            yield about_file(
                path,
                "catalogue",
                f"what {known.role} sends is refused on what the migrations build: {known.sent.name} "
                f"({answer.sqlstate} {condition_of(answer.sqlstate)})",
                "Is the catalogue older than the service's code? Its first lines say how it is written anew. Else the service "
                "would break: docs/expand-contract.md has the way.",
                line=next((n for n, text in enumerate(lines, start=1) if text == f"-- name: {known.sent.name}"), 1),
            )


def _of_the_base(
    refused: Sequence[tuple[Known, Answer]], ending: Sequence[MigrationFile], base: str | None
) -> Iterator[Finding]:
    broken = sorted({f"{known.role}: {known.sent.name}" for known, _ in refused if HEAD not in known.releases})
    if not broken:
        return
    shown = "; ".join(broken[:5]) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
    for file in ending:
        yield about_file(
            file.path,
            "contraction",
            f"services of {base} still name what goes: {shown}",
            "Release the services without it first and merge that. This is a change of its own, for the day when no release that "
            "may still run names the column.",
        )
