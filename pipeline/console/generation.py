"""What the verbs around schema.sql print: migrate --name, verify, push and diff."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.console.text import counted, say, show_report
from pipeline.errors import InvalidPlan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.check.renumbering import Renumbered
    from pipeline.generate.drift import Comparison
    from pipeline.generate.following import Followed
    from pipeline.generate.generating import Generated
    from pipeline.generate.pushing import Pushed
    from pipeline.generate.verifying import Verified


def show_files(files: Iterable[Path]) -> None:
    """The files that were written, by name."""
    for file in files:
        say(f"wrote {file.parent.name}/{file.name}")


def show_generated(generated: Generated) -> None:
    """The new files with their text, what they lose, what check will ask, and what was applied."""
    if not generated.files:
        say("no difference: the migrations build schema.sql already")
    for file in generated.files:
        say(f"-- wrote {file.parent.name}/{file.name}")
        say(file.read_text(encoding="utf-8").rstrip() + "\n")
    for loss in generated.losses:
        say(f"loses data: {loss}")
    for loss in generated.rollback_losses:
        say(f"rolling back loses data: {loss}")
    for note in generated.notes:
        say(f"note: {note}")
    if generated.findings:
        from pipeline.lint.reporting import as_text

        say(as_text(generated.findings))
    _show_followed(generated.followed)
    if generated.report is not None:
        show_report(generated.report)


def show_verified(verified: Verified) -> None:
    """What was proven, forward and back."""
    for id_ in verified.proven:
        say(f"proven, forward and back: {id_}{' (no longer a draft)' if id_ in verified.were_drafts else ''}")
    _show_followed(verified.followed)


def _show_followed(followed: Followed) -> None:
    if (page := followed.page) is not None:
        say(f"the ER diagram of {page.parent.name}/{page.name} was drawn anew")
    if (file := followed.prisma) is not None:
        say(
            f"{file.parent.parent.name}/{file.parent.name}/{file.name} was written anew, as Prisma's engine finds the database"
        )


def show_renumbered(renumbered: Renumbered) -> None:
    """Which migration has which number now, in the folder and in the local history, and what is to be done there."""
    for old, new in renumbered.ids:
        say(f"{old} is {new} now, with its rollback file")
    if not renumbered.ids:
        say(f"no number is taken{f' on {renumbered.base}' if renumbered.base else ''}")
    if renumbered.history is None:
        say(f"the local history was not changed: {renumbered.why}")
        say("`./inv renumber` brings it up to date once the database can be asked")
        return
    for old, new in renumbered.history.rows:
        say(f"in the local history, {old} is {new} now")
    if early := renumbered.history.too_early:
        to = renumbered.history.last_before[:4] or "0000"
        say(
            f"{', '.join(early)}: not applied here, and before what is. `./inv rollback --to {to}`, then `./inv migrate`"
        )


def show_pushed(pushed: Pushed) -> None:
    """The statements that were run."""
    for statement in pushed.statements:
        say(f"{statement};")
    for loss in pushed.losses:
        say(f"lost data: {loss}")
    if not pushed.statements:
        say("nothing to do: the local database is as schema.sql says")


def show_comparison(comparison: Comparison) -> None:
    """A line for each object that is not what the migrations made of it."""
    for drift in comparison.drift:
        say(f"{drift.verdict:11}{drift.kind} {drift.name}")
        if drift.verdict == "changed" or drift.kind in {"role", "setting"}:  # the value is what matters there
            say(f"{'':11}  expected: {drift.expected or 'none'}")
            say(f"{'':11}  found:    {drift.found or 'none'}")
    pending = f", {len(comparison.pending)} pending" if comparison.pending else ""
    verdict = _drifted(comparison) if comparison.drift else "no drift"
    say(f"{comparison.server}: {verdict} ({counted(comparison.applied)} applied{pending})")


def comparison_document(environment: str | None, comparison: Comparison) -> dict[str, Any]:
    """What `diff --json` prints."""
    return {
        "verb": "diff",
        "environment": environment,
        "server": comparison.server,
        "applied": comparison.applied,
        "pending": list(comparison.pending),
        "drift": [{"verdict": drift.verdict, **asdict(drift)} for drift in comparison.drift],
    }


def refuse_drift(comparison: Comparison) -> None:
    """Raise InvalidPlan where there is drift."""
    if comparison.drift:
        raise InvalidPlan(
            f"{comparison.server} is not what its migrations build: {_drifted(comparison)}",
            remedy="Bring the change into a migration, or take it back by hand; then look again.",
        )


def _drifted(comparison: Comparison) -> str:
    return f"{counted(len(comparison.drift), 'object')} drifted"
