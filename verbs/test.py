"""`test` and `bench`: this repository's own proofs and measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path


@verb("checkout", "developers")
def test(root: Path) -> None:
    """Run the linters, the type checker and the tests; with -- PATHS, pytest alone."""
    import sys

    from pipeline import testing
    from pipeline.console.flags import after_dashes
    from pipeline.console.progress import Progress

    paths = after_dashes(sys.argv)
    tell = Progress().say
    raise SystemExit(testing.run_tests(root, paths, tell=tell) if paths else testing.run_all(root, tell=tell))


@verb(
    "checkout",
    "developers",
    flags={
        "cases": "which, with commas: 1,10,100,1000,nothing,one-on-1000; left out, all of them",
        "repeat": "how often each tool runs (5), unless it takes long",
        "json": "print one JSON document with every single run",
    },
)
def bench(_root: Path, cases: str = "", repeat: int = 5, json: bool = False) -> None:
    """Measure the runner beside psql and stock yoyo."""
    from benchmarks.bench import Limits, measure
    from benchmarks.table import show
    from pipeline.console.progress import Progress

    names = [name for name in cases.split(",") if name]
    show(measure(names, limits=Limits(repeat=repeat), tell=Progress().say), as_json=json)
