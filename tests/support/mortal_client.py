"""A client of Neon's whose process dies behind its n-th call that changes something, as if it were killed."""

from __future__ import annotations

from typing import Any

from pipeline.neon import NeonClient


class Killed(BaseException):
    """As SIGKILL: nothing that is called afterwards does anything either."""


class MortalClient(NeonClient):
    """A client whose process is killed behind its n-th call that changes something."""

    left = 10**9
    dead = False

    def mortal_for(self, lives: int) -> MortalClient:
        """Kill it behind so many of them."""
        self.left = lives
        send = self._transport._send

        def counted(method: str, path: str, *rest: Any) -> dict[str, Any]:
            if self.dead:
                raise Killed
            answer = send(method, path, *rest)
            if method != "GET":
                self.left -= 1
                if self.left == 0:
                    self.dead = True
                    raise Killed
            return answer

        self._transport._send = counted  # type: ignore[method-assign, assignment]
        return self
