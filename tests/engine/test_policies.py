"""The policy pack, asked by the real engine in a preview."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.workspace import Failed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.workspace import Workspace


def test_a_preview_that_breaks_a_policy_is_refused_and_says_which(
    shared: Workspace, policies_environment: Path
) -> None:
    pack = shared.folder / "infra" / "policies"
    (pack / ".venv").symlink_to(policies_environment)
    preview = ("preview", "--stack", "prod", "--policy-pack", "infra/policies")
    assert "db-pipeline@" in shared.pulumi(*preview)
    shared.set("prod", maxCu="8")
    with pytest.raises(Failed) as failure:
        shared.pulumi(*preview)
    shared.unset("prod", "maxCu")
    assert "maxCu is 8; of a project at most 4 are allowed" in " ".join(str(failure.value).split())
