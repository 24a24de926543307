"""Running committed migrations: deploy, rollback, and the looks at a database that deploy's siblings take."""

from pipeline.deploy.back import rollback
from pipeline.deploy.run import apply, look

__all__ = ["apply", "look", "rollback"]
