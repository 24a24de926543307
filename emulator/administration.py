"""A client of the administration (admin.py), with the standard library alone: a command must not wait for more."""

from __future__ import annotations

import http.client
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
            raise _refusal(data, refused) from None
    except (OSError, ValueError, http.client.HTTPException) as fault:
        raise _unreachable(data, fault) from None


def _refusal(data: Path, refused: urllib.error.HTTPError) -> Rejected | Unreachable:
    """What its answer says, if it is the emulator's: the port of a killed one may be another program's by now."""
    try:
        return Rejected(json.load(refused)["message"])
    except (OSError, ValueError, TypeError, LookupError, http.client.HTTPException):
        return _unreachable(data, refused)


def _unreachable(data: Path, fault: Exception) -> Unreachable:
    words = " ".join(str(fault).split())
    return Unreachable(f"none runs in {data} ({words}); start it, or give --data")
