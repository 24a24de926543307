"""`catalogue`: compares what a service's client was seen to send with `queries/ROLE.sql`, or writes that file anew.

./inv test -- --write-queries tests/product/clients/test_catalogues.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.migrations.sql_text import statements
from pipeline.rehearsal.compatibility.catalogue import Sent, write_catalogue
from pipeline.rehearsal.compatibility.reading import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.support.tapping import Tapped

    Catalogue = Callable[[str, Iterable[Tapped], str], None]

ROOT = Path(__file__).parents[2]
_LINE = "./inv test -- --write-queries {path}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-queries", action="store_true", help=f"write the catalogues in {FOLDER}/ anew")


@pytest.fixture
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    """Takes a service's role, what was sent as it, and a line that says by whom."""
    test = Path(request.node.path).relative_to(ROOT)
    line = _LINE.format(path=test)

    def compare_or_write(role: str, tapped: Iterable[Tapped], by: str) -> None:
        title = (
            f"What is sent as {role}, by {by}; parameters are $1, $2 …, and no value is kept.",
            "Not written by hand: docs/queries.md. When it is out of date:",
            f"  {line}",
        )
        text = write_catalogue(title, _named(tapped))
        file = ROOT / FOLDER / f"{role}.sql"
        if request.config.getoption("--write-queries"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        written = file.read_text(encoding="utf-8") if file.exists() else ""
        assert written == text, f"{FOLDER}/{role}.sql is not what {role} sends any more. Run: {line}"

    return compare_or_write


def _named(tapped: Iterable[Tapped]) -> list[Sent]:
    """Each with a name: its source where that is a function, else its verb and its tables; numbered where it is not alone."""
    names: dict[str, list[Tapped]] = {}
    for each in tapped:
        names.setdefault(_name(each), []).append(each)
    found = []
    for name, several in names.items():
        for number, each in enumerate(sorted(several, key=lambda one: one.sql), start=1):
            title = name if len(several) == 1 else f"{name} {number}"
            found.append(Sent(title, each.sql, ", ".join(sorted(each.sources)), frozenset(each.nulls)))
    return found


def _name(tapped: Tapped) -> str:
    functions = sorted(source for source in tapped.sources if "/" not in source)
    if functions:
        return functions[0]
    [statement] = statements(tapped.sql)
    tables = re.findall(r'(?:FROM|INTO|UPDATE|JOIN)\s+(?:"?\w+"?\.)?("?\w+"?)', tapped.sql)
    return " ".join((statement.first_word.lower(), *dict.fromkeys(table.strip('"') for table in tables)))
