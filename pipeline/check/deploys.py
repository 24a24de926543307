"""Which migrations are deployed together, by git: what came to the branch at once, and what is not merged yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.git import ask_git
from pipeline.lint import lint
from pipeline.lint.source import read_sources
from pipeline.lint.squawk import has_squawk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.deploy.checkout import Checkout
    from pipeline.lint.finding import Finding
    from pipeline.migrations import MigrationFile

# Where a change is merged to, when nobody says it; the first that git knows.
_BASES = ("origin/HEAD", "origin/main", "main")
_PENDING = "pending"


def deploys(folder: Path, base: str | None) -> dict[str, str]:
    """Give, by a migration's id, what it came with: a commit of the base branch's first-parent history, or "pending".

    A merge or a squash is one commit there. A migration that is not named came alone, or nobody can tell: without git, or
    from a clone that does not go back as far. Nothing is raised: what is not known is judged more strictly.
    """
    tip = next((found for name in ([base] if base else _BASES) if (found := _commit(folder, name))), "")
    shared = ask_git(folder, "merge-base", tip, "HEAD").strip() if tip else ""
    shared = shared or _commit(folder, "HEAD")
    if not shared:
        return {}
    merged = _by_commit(folder, shared)
    there = {path.stem for path in folder.glob("*.sql") if not path.name.endswith(".rollback.sql")}
    names = ask_git(folder, "ls-tree", "-z", "--name-only", shared, "./").split("\0")
    on_base = {name.removesuffix(".sql") for name in names}
    return merged | dict.fromkeys(there - on_base, _PENDING)


def lint_pending(checkout: Checkout, pending: Sequence[MigrationFile]) -> list[Finding]:
    """Lint what one deploy would run, as one deploy: of what is applied already nothing is said.

    Where squawk cannot be had the rest is looked for, and the observer is told.
    """
    with_squawk = has_squawk(checkout.observer.note)
    paths = {file.path for file in pending}
    sources = read_sources(checkout.folder().files, {file.id: _PENDING for file in pending})
    return lint([source for source in sources if source.path in paths], with_squawk=with_squawk)


def _by_commit(folder: Path, commit: str) -> dict[str, str]:
    listed = ask_git(
        folder, "log", "--first-parent", "-m", "--diff-filter=A", "--name-only", "--relative", "--format=%x00%H", commit,
        "--", ".",
    )  # fmt: skip
    found: dict[str, str] = {}
    is_cut = ask_git(folder, "rev-parse", "--is-shallow-repository").strip() == "true"
    commits = [part.split("\n", 1) for part in listed.split("\0") if part.strip()]
    for sha, names in commits[: -1 if is_cut else None]:
        for name in names.split():
            if name.endswith(".sql") and not name.endswith(".rollback.sql"):
                found[name.removesuffix(".sql")] = sha
    return found


def _commit(folder: Path, name: str) -> str:
    return ask_git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
