"""The refusals of Neon's API, told apart where a caller can act on them.

::

    NeonFailed              (pipeline.errors)
     +-- ApiError           Neon answered with an error, or not at all
     |    +-- NotFound      404: there is no such thing
     |    +-- OutcomeUnknown  a call that is not safe to repeat may or may not have taken effect
     +-- OperationFailed    Neon took the call, and what it then did in the background failed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import NeonFailed

if TYPE_CHECKING:
    from pipeline.neon.shapes import Operation


class ApiError(NeonFailed):
    """Neon answered with an error (`status`, `code`, `request_id`), or not at all (`status` None)."""

    def __init__(
        self, message: str, *, status: int | None = None, code: str = "", request_id: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.code = code
        self.request_id = request_id

    @property
    def says_no_room(self) -> bool:
        """Whether the plan allows no more branches: with a code or in the message alone, and not always with one status."""
        text = f"{self.code} {self.message}".lower().replace("_", " ")
        return self.status in {402, 403, 409, 422} and "branches limit exceeded" in text


class NotFound(ApiError):
    """There is no such project, branch, endpoint or role (any more)."""


class OutcomeUnknown(ApiError):
    """The answer was lost, or was a fault of the server, after a call that must not be repeated blindly."""


class OperationFailed(NeonFailed):
    """An operation ended without doing what it was for."""

    def __init__(self, operation: Operation) -> None:
        detail = f": {operation.error}" if operation.error else ""
        super().__init__(
            f"{operation} ended as {operation.status}{detail}",
            remedy="Look at the project's Operations page in Neon's console, then run the command again.",
        )
        self.operation = operation
