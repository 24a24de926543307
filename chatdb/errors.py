"""What chatdb raises by itself, beside what dbclient.errors has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.errors import ClientError

if TYPE_CHECKING:
    from uuid import UUID


class ThreadNotFound(ClientError):
    """There is no thread of this id."""

    def __init__(self, thread_id: UUID) -> None:
        super().__init__(f"there is no thread {thread_id}")
        self.thread_id = thread_id
