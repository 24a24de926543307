"""What the documentation, the workflows and the messages of the code tell people to run and to read is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from verbs.reference.__main__ import verb_contexts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "clients/**/*.md",
        "examples/**/*.md",
        "benchmarks/**/*.md",
    )
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
SOURCES = [
    *PAGES,
    *sorted((ROOT / ".github").rglob("*.yml")),
    *sorted((ROOT / "pipeline").rglob("*.py")),
    *sorted((ROOT / "infra").rglob("*.py")),
    *sorted((ROOT / "verbs").rglob("*.py")),
    *sorted((ROOT / "servers").rglob("*.py")),
    ROOT / ".ci" / "run",
    ROOT / ".env.example",
    ROOT / "docker-compose.yml",
]

VERBS = verb_contexts()

COMMAND = re.compile(r"(?:\./inv|\binvoke) (?P<verb>[a-z]+)(?P<rest>(?: (?:[^\s`\"'|;)#…]|'[^'\n]*')+)*)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
# Not migrations/: a how-to names files that its reader is about to write.
IN_CODE = re.compile(r"`(?P<path>(?:dbclient|servers|verbs|pipeline|infra|emulator|tests|docs|benchmarks|clients|examples"
                     r"|locks|\.github|\.ci)/[A-Za-z0-9_./-]*)`")  # fmt: skip


def by_file(paths: Iterable[Path], wrong_in: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """What is wrong in each file that has something wrong."""
    return {str(path.relative_to(ROOT)): wrong for path in paths if (wrong := wrong_in(path))}


def test_every_command_that_is_mentioned_exists() -> None:
    def wrong_in(path: Path) -> list[str]:
        text = path.read_text()
        found = list(COMMAND.finditer(text))
        if path.suffix == ".py":  # elsewhere it is a sentence about ./inv
            found = [each for each in found if text[each.start() - 1] == "`"]
        return [each[0] for each in found if not exists(each["verb"], each["rest"])]

    assert by_file(SOURCES, wrong_in) == {}


def exists(verb: str, rest: str) -> bool:
    """Whether there is such a verb, and each of its flags up to `--`."""
    context = VERBS.get(verb)
    if context is None:
        return False
    words = shlex.split(rest.replace("\\", ""))
    ours = words[: words.index("--")] if "--" in words else words
    return all(word.partition("=")[0] in [*context.flags, "--help"] for word in ours if word.startswith("-"))


def test_the_readme_names_every_verb() -> None:
    named = {found["verb"] for found in COMMAND.finditer((ROOT / "README.md").read_text())}
    assert set(VERBS) - named == set()


def test_a_verb_or_a_flag_that_is_not_there_would_be_found() -> None:
    assert exists("deploy", " --env prod")
    assert exists("test", " -- --any")
    assert not exists("deploy", " --force")
    assert not exists("destroy", "")


def test_every_relative_link_leads_somewhere() -> None:
    def wrong_in(path: Path) -> list[str]:
        targets = (found["target"] for found in LINK.finditer(path.read_text()))
        return [target for target in targets if "://" not in target and not leads_somewhere(path, target)]

    assert by_file(PAGES, wrong_in) == {}


def leads_somewhere(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    return file.exists() and (not anchor or file.suffix != ".md" or anchor in anchors(file))


def test_every_path_of_this_repository_that_is_named_exists() -> None:
    def wrong_in(path: Path) -> list[str]:
        return [name for name in IN_CODE.findall(path.read_text()) if not (ROOT / name).exists()]

    assert by_file(PAGES, wrong_in) == {}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+?)\s*$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
