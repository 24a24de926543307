"""`diff`: a live database, compared with what its migrations build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import JSON, READ_ENV, SUMMARY, failure_in, on_environment, verb

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.generate.drift import Comparison


@verb("read", "platform engineers", flags={"env": READ_ENV, "json": JSON, "summary": SUMMARY}, bare="env")
def diff(root: Path, env: str = "", json: bool = False, summary: str = "") -> None:
    """Compare a live database with what the migrations build."""
    from pipeline.generate.entry import diff as compare

    with failure_in(summary, "diff", env), on_environment(root, env, "diff", or_local=True) as checkout:
        comparison = compare(checkout)
        if summary:
            from pipeline.console.markdown import append, diff_text

            append(summary, diff_text(checkout.environment.name, comparison))
    if json:
        from pipeline.console.documents import diff_document, print_document

        print_document(diff_document(checkout.environment.name, comparison))
    else:
        show_comparison(comparison)
    _refuse_drift(comparison)


def show_comparison(comparison: Comparison) -> None:
    """A line for each object that is not what the migrations made of it."""
    from pipeline.console.text import counted, say

    for drift in comparison.drift:
        say(f"{drift.verdict:11}{drift.kind} {drift.name}", "due" if drift.verdict == "changed" else "wrong")
        if drift.verdict == "changed" or drift.kind in {"role", "setting"}:  # the value is what matters there
            say(f"{'':11}  expected: {drift.expected or 'none'}", "right")
            say(f"{'':11}  found:    {drift.found or 'none'}", "wrong")
    pending = f", {len(comparison.pending)} pending" if comparison.pending else ""
    verdict = _drifted(comparison) if comparison.drift else "no drift"
    say(f"{comparison.server}: {verdict} ({counted(comparison.applied)} applied{pending})")


def _refuse_drift(comparison: Comparison) -> None:
    from pipeline.errors import InvalidPlan

    if comparison.drift:
        raise InvalidPlan(
            f"{comparison.server} is not what its migrations build: {_drifted(comparison)}",
            remedy="Bring the change into a migration, or take it back by hand; then look again.",
        )


def _drifted(comparison: Comparison) -> str:
    from pipeline.console.text import counted

    return f"{counted(len(comparison.drift), 'object')} drifted"
