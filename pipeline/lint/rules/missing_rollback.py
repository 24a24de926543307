"""missing-rollback: what cannot be undone cannot be proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.finding import about_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def missing_rollback(source: Source) -> Iterable[Finding]:
    """Find a migration without its NNNN_name.rollback.sql."""
    if not source.is_rollback and source.rollback_path is None:
        rollback = source.path.removesuffix(".sql") + ".rollback.sql"
        yield about_file(
            source.path,
            "missing-rollback",
            "it has no rollback file",
            f"Write {rollback}. If there is nothing to undo, ignore this rule in the file's head and say why.",
        )
