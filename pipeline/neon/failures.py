"""The refusals of Neon's API, told apart where a caller can act on them.

::

    NeonFailed              (pipeline.errors)
     +-- ApiError           Neon answered with an error, or not at all
          +-- NotFound      404: there is no such thing
          +-- OutcomeUnknown  a call that is not safe to repeat may or may not have taken effect
"""

from __future__ import annotations

from pipeline.errors import NeonFailed


class ApiError(NeonFailed):
    """Neon answered with an error (`status`, `request_id`), or not at all (`status` None)."""

    def __init__(self, message: str, *, status: int | None = None, request_id: str = "", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.request_id = request_id


class NotFound(ApiError):
    """There is no such project, branch, endpoint or role (any more)."""


class OutcomeUnknown(ApiError):
    """The answer was lost, or was a fault of the server, after a call that must not be repeated blindly."""
