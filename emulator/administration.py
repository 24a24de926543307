"""A client of the administration (admin.py), with the standard library alone: a command must not wait for more."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 10.0


class Unreachable(Exception):
    """No emulator answers for the folder."""


class Rejected(Exception):
    """It refused; the message is its own."""


def administer(data: Path, method: str, path: str, body: dict[str, Any] | None) -> Any:
    """Call the emulator of a data folder; returns its answer. Raises Unreachable or Rejected."""
    try:
        url = (data / "address").read_text().strip() + "/emulator" + path
        headers = {"Authorization": f"Bearer {(data / 'admin-token').read_text().strip()}"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310 - http on loopback
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            raise Rejected(json.load(refused)["message"]) from None
    except (OSError, ValueError) as fault:
        raise Unreachable(f"none runs in {data} ({fault}); start it, or give --data") from None
