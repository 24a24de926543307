"""python -m benchmarks [--repeat N] [--json] [case …]: the runner beside psql, stock yoyo and node-pg-migrate (if on PATH)."""

from __future__ import annotations

import argparse

from benchmarks.bench import Limits, measure
from benchmarks.cases import CASES
from benchmarks.table import show
from pipeline.console.outcome import reported
from pipeline.console.progress import Progress


def main() -> None:
    """Parse the arguments, measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(case.name for case in CASES))
    parser.add_argument("--repeat", type=int, default=Limits().repeat, help="times that each is run")
    parser.add_argument("--json", action="store_true", help="print one JSON document with every run")
    arguments = parser.parse_args()
    with reported(as_json=arguments.json):
        rows = measure(arguments.cases, limits=Limits(repeat=arguments.repeat), tell=Progress().say)
        show(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
