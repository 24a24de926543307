"""Which database a verb works on: `local`, or one that a Pulumi stack or DATABASE_URL names."""

from pipeline.environments.environment import Environment
from pipeline.environments.guard import require_local, require_not_neon
from pipeline.environments.resolving import LOCAL, resolve

__all__ = ["LOCAL", "Environment", "require_local", "require_not_neon", "resolve"]
