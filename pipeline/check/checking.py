"""One report about what is committed: every check adds its findings, and none hides another's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from pipeline.check.base import against_base, new_ids, read_base
from pipeline.check.catalogues import refused_statements
from pipeline.check.deploys import deploys
from pipeline.check.hotfixes import unproven_hotfixes
from pipeline.check.rollbacks import unproven_rollbacks
from pipeline.errors import InvalidPlan, PipelineError
from pipeline.generate.derived_files import prisma_schema
from pipeline.lint import lint
from pipeline.lint.finding import Finding, about_file
from pipeline.lint.source import read_sources
from pipeline.migrations import read_folder, text_faults
from pipeline.schema.dump import deviations
from pipeline.schema.er_diagram import redrawn
from pipeline.schema.replay import build_beside, read_built, replay
from pipeline.schema.schema_text import read_schema
from pipeline.schema.shadows import open_shadows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.check.base import Base
    from pipeline.generate import Workbench
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.schema.dump import Deviation
    from pipeline.schema.replay import BothSchemas, BuiltSchema

# How many of the migrations, the first ones, are the early half of the work: the later ones take longer, since there is
# more schema to compare.
_EARLY = 0.7


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what was found."""

    migrations: int
    linted: int
    findings: tuple[Finding, ...]


def check(workbench: Workbench, *, base: str | None = None, lint_everything: bool = False) -> Checked:
    """Check what is committed.

    With `base`, a branch or commit: files that are on it must not be edited or removed, and only others are linted,
    unless `lint_everything`.

    Raises:
        UsageError: git does not know the base.
        ConfigurationError: squawk, pg_dump or a server is missing.
    """
    folder = read_folder(workbench.migrations)
    found = [_from_fault(fault) for fault in (*folder.faults, *text_faults(folder.files))]
    sound = not found
    chosen = list(folder.files)
    on_base: Base | None = None
    if base is not None:
        on_base = read_base(workbench.migrations, base)
        found = [each for each in found if not _is_about_merged(each, on_base)]
        found += against_base(folder, workbench.migrations, on_base)
        if not lint_everything:
            chosen = [file for file in folder.files if file.id in new_ids(folder, on_base)]
    with ThreadPoolExecutor(max_workers=1) as pool:
        linted = pool.submit(_lint, workbench, folder, chosen, base)
        if sound:
            found += _proofs(workbench, folder, on_base)
        found += linted.result()
    return Checked(len(folder.files), len(chosen), tuple(sorted(set(found))))


def _lint(workbench: Workbench, folder: Folder, chosen: list[MigrationFile], base: str | None) -> list[Finding]:
    """Lint the chosen files; what those that are not chosen make is known all the same."""
    paths = {path for file in chosen for path in (file.path, file.rollback_path)}
    sources = read_sources(folder.files, deploys(workbench.migrations, base))
    return lint([source for source in sources if source.path in paths])


def _proofs(workbench: Workbench, folder: Folder, base: Base | None) -> list[Finding]:
    """Build both sides and compare them, and try every rollback.

    The rollbacks take longest, and are tried in two databases at once. One of the two ends with all migrations applied:
    it is the current side of the comparison.
    """
    split = round(len(folder.files) * _EARLY)
    early, late = replace(folder, files=folder.files[:split]), folder.files[split:]
    unproven: list[Finding] = []
    with open_shadows(workbench.local, workbench.shadow) as shadows, ThreadPoolExecutor(max_workers=1) as pool:
        current, beside, desired = (shadows.create(purpose) for purpose in ("current", "rollbacks", "desired"))

        def build_current() -> BuiltSchema:
            replay(current, early)
            unproven.extend(unproven_rollbacks(current, late, workbench.local))
            if not unproven:
                return read_built(current)
            # a rollback outside a transaction may have left what is not the migrations' doing
            anew = shadows.create("anew")
            replay(anew, folder)
            return read_built(anew)

        proven = pool.submit(unproven_rollbacks, beside, early.files, workbench.local)
        try:
            seen = build_beside(build_current, desired, workbench.schema)
            found = [*_about_study(workbench, seen), *_about_prisma(workbench, folder, seen.current.database)]
        except InvalidPlan as fault:
            found = [_from_fault(fault)]
        if base is not None:
            found += unproven_hotfixes(workbench, folder, base, shadows)
        unproven += proven.result()
        if not found and not unproven:  # a schema that is not the one that is meant says nothing of a statement
            found += _about_catalogues(workbench, folder, seen.current.database, base)
        return [*found, *unproven]


def _about_catalogues(workbench: Workbench, folder: Folder, current: DatabaseURL, base: Base | None) -> list[Finding]:
    new = new_ids(folder, base) if base is not None else set()
    files = [file for file in folder.files if file.id in new]
    return refused_statements(workbench.root, current, base=None if base is None else base.name, new=files)


def _about_study(workbench: Workbench, seen: BothSchemas) -> list[Finding]:
    wrong = deviations(seen.desired.objects, seen.current.objects, grants=False)
    return [*_about_deviations(workbench.schema, wrong), *_about_diagram(workbench, seen.current.database)]


def _about_deviations(schema: Path, wrong: Iterable[Deviation]) -> Iterable[Finding]:
    lines = _lines_by_name(schema)
    for each in wrong:
        what = {
            "missing": f"the migrations do not build {each.key}",
            "unexpected": f"the migrations build {each.key}, which is not here",
            "changed": f"the migrations build another {each.key}",
        }[each.verdict]
        line = next((lines[part] for part in reversed(each.key.name.split()) if part in lines), 1)
        yield about_file(
            schema.name,
            "schema",
            what,
            "`./inv migrate --name what_changed` writes the migration; or take the edit of schema.sql back.\n"
            + str(each),
            line=line,
        )


def _lines_by_name(schema: Path) -> dict[str, int]:
    """The line of each statement by the names of what it is about: its first few identifiers."""
    lines: dict[str, int] = {}
    try:
        found = read_schema(schema).statements
    except PipelineError:
        return lines
    for statement in found:
        for token in statement.tokens[:6]:
            if token.kind in {"word", "quoted"}:
                lines.setdefault(token.identifier, statement.line)
    return lines


def _about_diagram(workbench: Workbench, current: DatabaseURL) -> Iterable[Finding]:
    if redrawn(workbench.page, current) is not None:
        text = workbench.page.read_text(encoding="utf-8")
        yield about_file(
            workbench.page.relative_to(workbench.root).as_posix(),
            "diagram",
            "the ER diagram is not that of the migrations",
            "`./inv verify` draws it, and `./inv migrate` where a merge left a conflict in it.",
            line=text[: text.find("erDiagram")].count("\n") + 1,
        )


def _about_prisma(workbench: Workbench, folder: Folder, current: DatabaseURL) -> Iterable[Finding]:
    prisma = prisma_schema(workbench)
    new = prisma.refreshed_once(current, (file.checksum for file in folder.files))
    if new is not None:
        now = prisma.file.read_text(encoding="utf-8").splitlines()
        pairs = enumerate(zip_longest(now, new.splitlines()), start=1)
        line, (_, wanted) = next((number, pair) for number, pair in pairs if pair[0] != pair[1])
        yield about_file(
            prisma.file.relative_to(workbench.root).as_posix(),
            "prisma",
            f"Prisma finds something else in the database: {(wanted or 'nothing more').strip() or 'an empty line'}",
            "`./inv verify` writes it as Prisma's engine finds it; names of relations and defaults of the client stay.",
            line=min(line, len(now)),
        )


def _is_about_merged(finding: Finding, base: Base) -> bool:
    """Whether a number that two files have is held against the merged one: the other one is told to move."""
    return finding.message.startswith("number ") and finding.path.rpartition("/")[2] in base.tip


def _from_fault(fault: InvalidPlan) -> Finding:
    path, _, line = fault.where.rpartition(":")
    if not path or not line.isdigit():
        path, line = fault.where, "1"
    return about_file(path or "migrations", "malformed", fault.message, fault.remedy, line=int(line))
