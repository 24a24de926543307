"""`docs`: the schema as a page for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import on_local, verb

if TYPE_CHECKING:
    from pathlib import Path


@verb("checkout", "everybody", flags={"page": "the file to write (.local/schema.html)"}, bare="page")
def docs(root: Path, page: str = "") -> None:
    """Write the schema that the migrations build as a page, and print the file's name."""
    from pathlib import Path as File

    from pipeline.console.pages import write
    from pipeline.console.pages.schema import schema_page
    from pipeline.console.text import say
    from pipeline.generate.entry import document_here

    file = File(page) if page else root / ".local" / "schema.html"
    with on_local(root, "docs") as checkout:
        found = document_here(checkout)
    if not page:
        file.parent.mkdir(exist_ok=True)
    write(file, schema_page(found))
    say(str(file))
