"""docs/architecture.md draws the house that the import contract builds."""

from __future__ import annotations

import re
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def contract(name: str) -> dict[str, list[str]]:
    [found] = (each for each in LINTER["contracts"] if each["name"].startswith(name))
    return dict(found)


def test_the_floors_of_the_pipeline_are_those_of_the_contract() -> None:
    drawn = re.search(r"```text\n(.+?)```", PAGE, re.DOTALL)
    assert drawn is not None
    assert drawn[1].split("\n")[:-1] == contract("the pipeline: flows over nouns")["layers"]


def test_every_room_of_the_house_is_in_the_picture_and_in_the_table() -> None:
    picture = re.search(r"```mermaid\n(.+?)```", PAGE, re.DOTALL)
    assert picture is not None
    rooms = set(LINTER["root_packages"])
    assert {room for room in rooms if not re.search(rf"\b{room}\b", picture[1])} == set()
    assert {room for room in rooms if f"| `{room}/` |" not in PAGE} == set()


def test_the_arrows_of_the_picture_go_down_only() -> None:
    picture = re.search(r"```mermaid\n(.+?)```", PAGE, re.DOTALL)
    assert picture is not None
    arrows = set(re.findall(r"^\s+(\w+)(?:\[\S+\])? -->? ?(\w+)$", picture[1], re.MULTILINE))
    for name in ("the verbs call the pipeline", "the emulator builds on servers"):
        layers = [layer.split(" | ") for layer in contract(name)["layers"]]
        floors = {room: floor for floor, layer in enumerate(layers) for room in layer}
        told = {(above, below) for above, below in arrows if above in floors and below in floors}
        assert told
        assert all(floors[above] < floors[below] for above, below in told)
    assert not [above for above, below in arrows if below == "emulator"], "nobody imports the emulator"


def test_there_is_no_circle_of_imports() -> None:
    """Not in what a function imports either, nor in what only the type checker reads: each half would need the other."""
    graph = grimp.build_graph(*LINTER["root_packages"], cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # a CycleError names the circle
