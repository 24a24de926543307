"""A merge that left a conflict in the ER diagram: it is drawn, so nobody needs to solve it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb.url import DatabaseURL

_MARKER = b"\n<<<<<<< "


def draw_after_conflict(root: Path, local: DatabaseURL) -> Path | None:
    """Draw the diagram from the local database, which has every migration now; None where there is no conflict in it."""
    page = root / "docs" / "schema.md"
    if not page.is_file() or _MARKER not in page.read_bytes():  # the usual case, which needs no import
        return None
    from pipeline.schema.er_diagram import in_conflict, redrawn, write_page

    return write_page(page, redrawn(page, local)) if in_conflict(page) else None
