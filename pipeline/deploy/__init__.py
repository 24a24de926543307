"""Running committed migrations: deploy, rollback, and the looks at a database that deploy's siblings take."""

from typing import TYPE_CHECKING, Any

from pipeline.deploy.run import apply, look

if TYPE_CHECKING:
    from pipeline.deploy.rolling_back import rollback

__all__ = ["apply", "look", "rollback"]


def __getattr__(name: str) -> Any:
    # what rolls back is imported when it is asked for: every deploy would pay for it
    if name == "rollback":
        from pipeline.deploy.rolling_back import rollback

        return rollback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
