"""What the documentation, the workflows and the messages of the code tell people to run and to read is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.console.reference import verb_contexts

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "chatdb/**/*.md",
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
    ROOT / "tasks.py",
    ROOT / ".ci" / "run",
    ROOT / ".env.example",
    ROOT / "docker-compose.yml",
]

VERBS = verb_contexts()

COMMAND = re.compile(r"(?:\./inv|\binvoke) (?P<verb>[a-z]+)(?P<rest>(?: (?:[^\s`\"'|;)#…]|'[^'\n]*')+)*)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
# Not migrations/: a how-to names files that its reader is about to write.
IN_CODE = re.compile(r"`(?P<path>(?:chatdb|pipeline|infra|emulator|tests|docs|benchmarks|clients|examples|locks"
                     r"|\.github|\.ci)/[A-Za-z0-9_./-]*)`")  # fmt: skip


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_every_command_that_is_mentioned_exists(path: Path) -> None:
    wrong = []
    text = path.read_text()
    for found in COMMAND.finditer(text):
        if path.suffix == ".py" and text[found.start() - 1] != "`":
            continue  # a sentence about ./inv
        context = VERBS.get(found["verb"])
        known = {flag for flag in context.flags} if context else set()  # noqa: C416 - a Lexicon, which has its own methods
        if context is None or not set(flags_in(found["rest"])) <= known | {"--help"}:
            wrong.append(found[0])
    assert wrong == []


def flags_in(rest: str) -> list[str]:
    """The flags of a command line up to `--`, without their values."""
    words = shlex.split(rest.replace("\\", ""))
    ours = words[: words.index("--")] if "--" in words else words
    return [word.partition("=")[0] for word in ours if word.startswith("-")]


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    broken = []
    for found in LINK.finditer(path.read_text()):
        target, _, anchor = found["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(found[0])
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_every_path_of_this_repository_that_is_named_exists(path: Path) -> None:
    named = (found["path"] for found in IN_CODE.finditer(path.read_text()))
    assert [each for each in named if not (ROOT / each).exists()] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+?)\s*$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
