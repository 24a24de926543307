"""What the API answers when it does not do what was asked: Neon's error body, and the texts seen in the wild."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ApiError(Exception):
    """An answer other than success. `code` is often the empty string, as in Neon's own answers."""

    def __init__(self, status: int, message: str, *, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})


def bad_request(message: str) -> ApiError:
    """400: the request itself is wrong."""
    return ApiError(400, message)


def not_found(noun: str, name: str) -> ApiError:
    """404, naming what was looked for."""
    return ApiError(404, f'{noun} not found; {noun}_id:"{name}"')


def conflict(message: str) -> ApiError:
    """409: something of that name or kind is there already."""
    return ApiError(409, message)


def unprocessable(message: str, code: str = "") -> ApiError:
    """422: well-formed, but not in this state or not on this plan."""
    return ApiError(422, message, code=code)


def busy() -> ApiError:
    """423: the project runs operations; always safe to retry."""
    return ApiError(423, "project already has running conflicting operations, scheduling of new ones is prohibited")


def not_emulated(what: str) -> ApiError:
    """501: Neon can do it, the emulator does not."""
    return ApiError(501, f"{what} is not part of the emulator (see docs/emulator.md)", code="NOT_EMULATED")
