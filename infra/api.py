"""The Neon client for the parts of the graph that the Terraform provider cannot be trusted with.

The key is read when a step runs, in the process that runs it: a dynamic provider is stored in the state, and must hold
nothing secret.
"""

from __future__ import annotations

import os

from pipeline.neon import NeonClient


def neon() -> NeonClient:
    """Return a client with the key of the environment; ConfigurationError without one."""
    return NeonClient.from_environment(os.environ)
