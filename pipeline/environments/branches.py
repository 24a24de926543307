"""The Neon branches of an environment's project."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipeline import packages
from pipeline.environments.stack import read_stack

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.neon.survey import Survey


def survey_of(root: Path, name: str) -> Survey:
    """Ask Neon about the project that the stack `name` names.

    Raises:
        ConfigurationError: there is no such stack, or no NEON_API_KEY.
        NeonFailed: Neon's API refused or was lost.
    """
    outputs = read_stack(name, root)
    packages.ensure("infra")
    from pipeline.neon.client import NeonClient
    from pipeline.neon.survey import survey

    with NeonClient.from_environment(os.environ) as client:
        return survey(client, outputs.project_id)
