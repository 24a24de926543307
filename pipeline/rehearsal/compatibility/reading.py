"""Which statements the services send: the catalogues of the commit that is live, and those of this checkout.

The live commit is the one that production's own history names with the newest migration. A release that brought no migration
is not in the history: its commit has to be named.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import services as product
from pipeline.errors import ConfigurationError
from pipeline.git import ask_git, run_git
from pipeline.history.record import UNCOMMITTED
from pipeline.rehearsal.compatibility.catalogue import Sent, parse_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pipeline.history import History

FOLDER = "queries"
LIVE, HEAD, TRAFFIC = "live", "head", "traffic"
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """A statement of a service, and of which releases it is: LIVE, HEAD, or both, or TRAFFIC."""

    role: str
    sent: Sent
    releases: frozenset[str]


@dataclass(frozen=True)
class Catalogues:
    """What is planned before and after the migrations. `live_commit` is None where nobody knows it.

    `notes` and `not_measured` are those of `Compatibility`; `services` are the services' names by their roles.
    """

    live_commit: str | None
    statements: tuple[Known, ...]
    notes: tuple[str, ...] = ()
    not_measured: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)

    def with_more(self, statements: Iterable[Known], notes: Iterable[str], not_measured: Iterable[str]) -> Catalogues:
        """The same and these; a statement that is there already is not taken twice."""
        have = {(known.role, known.sent.sql) for known in self.statements}
        more = [known for known in statements if (known.role, known.sent.sql) not in have]
        return replace(
            self,
            statements=(*self.statements, *more),
            notes=(*self.notes, *notes),
            not_measured=(*self.not_measured, *not_measured),
        )


def live_commit(history: History) -> str | None:
    """The commit that the newest applied migration was deployed from; None where the history does not say, or is empty."""
    newest = max(history.applied.values(), key=lambda each: (each.applied_at or _EARLIEST, each.id), default=None)
    return newest.commit if newest is not None and newest.commit not in {"", UNCOMMITTED} else None


def named_commit(root: Path, name: str) -> str:
    """The commit that a name, as a tag or a branch, stands for in a checkout.

    Raises:
        ConfigurationError: git knows none.
    """
    found = ask_git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
    if not found:
        raise ConfigurationError(
            f"git knows no commit {name}",
            remedy="`git fetch --tags --unshallow` brings all of them; or name another one.",
        )
    return found


def catalogues(root: Path, commit: str | None, *, anything_live: bool = True) -> Catalogues:
    """Read the catalogues under `queries/` of a checkout, and at the commit that is live.

    With no commit nothing is known of the live release, unless nothing is live at all (`anything_live`: the history has a
    migration): the half of it is then not measured. A live release that had no catalogues yet is taken for this checkout's.

    Raises:
        ConfigurationError: a catalogue cannot be read.
    """
    here = {
        file.stem: parse_catalogue(file.read_text(encoding="utf-8"), f"{FOLDER}/{file.name}")
        for file in sorted((root / FOLDER).glob("*.sql"))
    }
    live, notes, not_measured = _live(root, commit, here) if anything_live else ({}, (), ())
    found: dict[tuple[str, str], Known] = {}
    for release, texts in ((LIVE, live), (HEAD, here)):
        for role, sents in texts.items():
            for sent in sents:
                known = found.get((role, sent.sql), Known(role, sent, frozenset()))
                both = replace(known.sent, nulls=known.sent.nulls | sent.nulls)
                found[role, sent.sql] = Known(role, both, known.releases | {release})
    missing = [each for each in product.SERVICES if each.role not in here]
    if missing:
        names = ", ".join(f"{each.name} ({FOLDER}/{each.role}.sql)" for each in missing)
        notes = (*notes, f"there is no catalogue of what these services send: {names}")
    return Catalogues(
        commit,
        tuple(found.values()),
        notes,
        not_measured,
        {each.role: each.name for each in product.SERVICES},
    )


_Texts = dict[str, tuple[Sent, ...]]


def _live(root: Path, commit: str | None, here: _Texts) -> tuple[_Texts, tuple[str, ...], tuple[str, ...]]:
    if commit is None:
        if not here:
            return {}, (), ()
        why = "production's history does not say from which commit its newest migration was deployed"
        return {}, (), (f"compatibility with the live release: {why}",)
    paths = _files_at(root, commit)
    if paths is None:
        why = f"this clone does not have the commit {commit[:12]} that is live; `git fetch --unshallow` brings all of them"
        return {}, (), (f"compatibility with the live release: {why}",) if here else ()
    if not paths:
        note = f"the live release ({commit[:12]}) has no catalogues: the statements of this checkout were taken for its own"
        return dict(here), (note,) if here else (), ()
    found = {}
    for path in paths:
        text = run_git(root, "show", f"{commit}:./{path}").stdout
        try:
            found[PurePosixPath(path).stem] = parse_catalogue(text, f"{path} of {commit[:12]}")
        except ConfigurationError as error:
            return {}, (), (f"compatibility with the live release: {error.where}: {error.message}",)
    return found, (), ()


def _files_at(root: Path, commit: str) -> list[str] | None:
    """The catalogues at a commit, as paths from the checkout's root; None where git does not know it."""
    try:
        done = run_git(root, "ls-tree", "--name-only", f"{commit}^{{commit}}", f"{FOLDER}/")
    except OSError:
        return None
    if done.returncode != 0:
        return None
    return sorted(path for path in done.stdout.splitlines() if path.endswith(".sql"))
