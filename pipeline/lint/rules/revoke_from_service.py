"""revoke-from-service: a right that the running release may be using."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def revoke_from_service(source: Source) -> Iterable[Finding]:
    """REVOKE from a runtime role, of anything but a right on what this deploy has made."""
    for step in source.running:
        phrase = Phrase(step.statement)
        phrase.take("ALTER", "DEFAULT", "PRIVILEGES")
        if not phrase.take("REVOKE"):
            continue
        on = phrase.skip_to("ON")
        phrase.take("TABLE")
        names = phrase.names() if on else []
        if not phrase.skip_to("FROM"):
            continue
        found = {token.identifier for token in phrase.rest if token.kind in {"word", "quoted"}} & set(RUNTIME_ROLES)
        if not found or (names and not any(step.before.in_use(name) for name in names)):
            continue
        who = " and ".join(sorted(found))
        yield source.at(
            step,
            "revoke-from-service",
            f"the release of {who} that runs at the deploy gets `permission denied` from the commit on, if it uses the right",
            "First deploy a release that does not need it; then ignore this rule with that release as the reason: "
            "-- lint: ignore revoke-from-service (not used since …)",
        )
