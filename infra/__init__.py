"""The Pulumi program: a Neon project with its main branch, or a branch of one, and their connection strings.

Here is the Neon client for the parts of the graph that the Terraform provider cannot be trusted with.

The key is read when a step runs, in the process that runs it: a dynamic provider is stored in the state, and must hold
nothing secret.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipeline.neon import ApiError, NeonClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


def neon() -> NeonClient:
    """Return a client with the key of the environment; ConfigurationError without one."""
    return NeonClient.from_environment(os.environ)


def require_key(environ: Mapping[str, str] = os.environ) -> None:
    """Raise ConfigurationError without a key, and ApiError when Neon does not know it: before a run does anything.

    Trap: the provider asks for no key before it deletes or makes something, and then does not name the variable; a
    preview without --refresh asks nobody. Whatever else Neon says here (a fault, no organization) is for the step that
    meets it, which tries again or knows the remedy.
    """
    with NeonClient.from_environment(environ, policy=RetryPolicy(attempts=1)) as client:
        try:
            client.projects(search="a search for the key's sake, which finds nothing")
        except ApiError as error:
            if error.status == 401:
                raise
