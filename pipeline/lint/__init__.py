"""One entry point: run the rules and squawk over files, and apply the ignore comments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.lint.finding import Finding, about_file
from pipeline.lint.rules import RULES
from pipeline.lint.source import offset_of
from pipeline.lint.squawk import FORMER_NAMES, REPLACED, SQUAWK_RULES, squawk
from pipeline.migrations.sql_text import Unterminated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.lint.source import Ignore, Source


def lint(sources: Sequence[Source], *, with_squawk: bool = True) -> list[Finding]:
    """Find what is wrong in these sources, sorted by place.

    squawk reads migrations and not their rollback files, which run on a developer's machine only. A source whose quotes
    do not close gives one finding and is not read further.
    """
    readable, found = [], []
    for source in sources:
        try:
            _ = source.statements
        except Unterminated as fault:
            found.append(about_file(source.path, "syntax", f"{fault.what} that is never closed", line=fault.line))
        else:
            readable.append(source)
    for source in readable:
        found += [finding for rule in RULES.values() for finding in rule(source)]
    looked_for, former = set(RULES) - set(REPLACED), list[Finding]()
    if with_squawk:
        told, former = squawk([source for source in readable if not source.is_rollback])
        found += told
        looked_for |= {*REPLACED, *SQUAWK_RULES}
    former += [finding for source in readable if source.ignores for finding in _if_it_came_alone(source)]
    return sorted(_without_ignored(readable, found, former, looked_for))


def _if_it_came_alone(source: Source) -> Iterable[Finding]:
    """What the rules would find in a deploy of its own: a comment about that is of use, however the file is deployed."""
    alone = replace(source, before=source.before.deployed(), folder=(), deploy=source.path)
    return (finding for rule in RULES.values() for finding in rule(alone))


def _without_ignored(
    sources: Iterable[Source], findings: list[Finding], former: list[Finding], looked_for: set[str]
) -> list[Finding]:
    """Leave out what is ignored with a reason, and add what is wrong with the ignore comments.

    `former` findings, of rules that see more by now or of a file that came alone, only tell that a comment is of use.
    """
    by_path: dict[str, list[Finding]] = {}
    for finding in findings:
        by_path.setdefault(finding.path, []).append(finding)
    for source in sources:
        here = by_path.get(source.path, [])
        used: set[tuple[int, str]] = set()
        for finding in former:
            if finding.path == source.path:
                _is_ignored(source, finding, used)
        kept = [finding for finding in here if not _is_ignored(source, finding, used)]
        kept += [fault for ignore in source.ignores for fault in _faults_of(source, ignore, used, looked_for)]
        by_path[source.path] = kept
    return [finding for kept in by_path.values() for finding in kept]


def _is_ignored(source: Source, finding: Finding, used: set[tuple[int, str]]) -> bool:
    offset = offset_of(source.text, finding.line, finding.column)
    for ignore in source.ignores:
        if (
            finding.rule in {FORMER_NAMES.get(rule, rule) for rule in ignore.rules}
            and ignore.reason
            and offset in ignore.covers
        ):
            used.add((ignore.line, finding.rule))
            return True
    return False


def _faults_of(source: Source, ignore: Ignore, used: set[tuple[int, str]], looked_for: set[str]) -> Iterable[Finding]:
    """Find what is wrong with an ignore comment itself. These cannot be ignored."""
    known = {*RULES, *SQUAWK_RULES, *FORMER_NAMES}
    if not ignore.rules or not ignore.reason:
        yield about_file(
            source.path,
            "ignore-without-reason",
            "an ignore comment without a rule or without a reason",
            "Write `-- lint: ignore rule-name (why it is right here)`.",
            line=ignore.line,
        )
        return
    for rule in ignore.rules:
        if rule not in known:
            message = f"there is no rule {rule!r} to ignore"
            yield about_file(source.path, "unknown-ignore", message, "docs/lint/ lists the rules.", line=ignore.line)
        elif rule in looked_for and (ignore.line, rule) not in used and not source.is_rollback:
            message = f"nothing here is against {rule}"
            yield about_file(source.path, "unused-ignore", message, "Remove the comment.", line=ignore.line)
