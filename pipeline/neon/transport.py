"""One HTTP call to Neon: sent with a time-out, repeated where that is safe, and its failure explained.

What is safe to repeat:

* 423 (another operation runs on the project) and 429 (rate limit) were refused before anything happened, and a request
  that never left (no connection) did nothing: repeated whatever the call is.
* 503 and every other 5xx, and an answer that was lost or cannot be read, say nothing about the effect: repeated only
  when the call may be made twice (`repeatable`), else raised as `OutcomeUnknown` for the caller to look first.
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import ConfigurationError, UsageError
from pipeline.neon.failures import ApiError, NotFound, OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

API: Final = "https://console.neon.tech/api/v2"

REFUSED_FOR_NOW: Final = frozenset({423, 429})

_KEY: Final = re.compile(r"[!-~]+")  # what a header holds without being changed
_ADDRESS: Final = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#\[\]:@]+)(:\d{1,5})?(/[^\s?#]*)?$")
# What the client library would make another address of: /branches/.. is the project, /branches/ a list.
_NO_SEGMENT: Final = re.compile(r"//|[?#]|/\.{0,2}(/|$)")

REMEDIES: Final = {
    401: "Set NEON_API_KEY to a key that is valid: Neon console, Account settings, API keys.",
    403: "The key in NEON_API_KEY may not do this: use one of an organization admin, or of this project.",
    423: "Another operation holds the project. Wait for it, then run the command again.",
    429: "Neon's rate limit (700 requests a minute for an account) is used up. Run the command again in a minute.",
}


@dataclass(frozen=True)
class RetryPolicy:
    """How long to keep trying. Times are seconds.

    A pause is drawn between 0 and a ceiling that doubles from `first_pause` to `longest_pause` (full jitter).
    """

    attempts: int = 10
    first_pause: float = 0.25
    longest_pause: float = 10.0
    request_timeout: float = 30.0
    connect_timeout: float = 10.0
    operation_timeout: float = 300.0
    operation_poll: float = 0.2

    def ceilings(self) -> Iterator[float]:
        """Yield the ceiling of the pause before each further attempt."""
        for attempt in range(self.attempts - 1):
            yield min(self.first_pause * 2**attempt, self.longest_pause)


@dataclass(frozen=True)
class Clock:
    """The time, handed in so that a test can watch the pauses instead of living through them."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float, float], float] = random.uniform


class Transport:
    """Calls below one base URL with one key. The key is in no message and no repr."""

    def __init__(self, api_key: str, *, base_url: str, policy: RetryPolicy, clock: Clock) -> None:
        import httpx  # of locks/infra.lock: what only speaks of branches does not need it

        self.policy = policy
        self.clock = clock
        self._key = api_key
        if not _KEY.fullmatch(api_key):
            raise ConfigurationError(
                "NEON_API_KEY is no key: it holds characters that none has",
                remedy="Copy the key again, without a line break or a quote mark in it, then: export NEON_API_KEY=...",
            )
        if not _ADDRESS.match(base_url):
            raise ConfigurationError(
                "NEON_API_URL is no address of an API",  # not shown: a password may stand in it
                remedy=f"Unset it, which is {API}, or give an address that begins with http:// or https://.",
            )
        # trust_env (httpx's default) honours HTTPS_PROXY and SSL_CERT_FILE, as the Terraform provider does.
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}", "Accept": "application/json"},
            timeout=httpx.Timeout(policy.request_timeout, connect=policy.connect_timeout),
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, **params: str | int | bool | None) -> dict[str, Any]:
        """Send GET; parameters that are None are left out."""
        return self.call("GET", path, params={k: _text(v) for k, v in params.items() if v is not None})

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """Send one request, and again while that is safe and there are attempts left.

        Returns the JSON object of the answer ({} for 204). Raises ApiError, or OutcomeUnknown when `repeatable` is
        false and the request may have taken effect. UsageError for a path in which an id is empty or no id.
        """
        if _NO_SEGMENT.search(path):
            raise UsageError(
                f"{method} {path}: an id or a name in it is empty, or is none", remedy="Check the settings."
            )
        for ceiling in self.policy.ceilings():
            try:
                return self._send(method, path, params, json)
            except _TryAgain as fault:
                if fault.may_have_acted and not repeatable:
                    raise _unknown(fault.error) from fault
                self.pause(ceiling, fault.retry_after)
        try:
            return self._send(method, path, params, json)
        except _TryAgain as fault:
            if fault.may_have_acted and not repeatable:
                raise _unknown(fault.error) from fault
            raise fault.error from fault

    def pause(self, ceiling: float, at_least: float = 0.0) -> None:
        """Wait a random part of `ceiling` seconds, on top of what Neon asked for (never above the longest pause)."""
        asked = min(at_least, self.policy.longest_pause)
        self.clock.sleep(asked + self.clock.jitter(0.0, ceiling))

    def _send(self, method: str, path: str, params: Mapping[str, str] | None, json: Any) -> dict[str, Any]:
        import httpx

        what = f"{method} {path}"
        try:
            answer = self._http.request(method, path, params=params, json=json)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as fault:
            raise _TryAgain(self._unreachable(what, fault), may_have_acted=False) from fault
        except (httpx.TransportError, httpx.DecodingError) as fault:
            raise _TryAgain(self._unreachable(what, fault), may_have_acted=True) from fault
        if answer.is_success:
            return self._object(what, answer)
        error = self._error(what, answer)
        if answer.status_code in REFUSED_FOR_NOW:
            raise _TryAgain(error, may_have_acted=False, retry_after=_retry_after(answer))
        if answer.status_code >= 500:
            raise _TryAgain(error, may_have_acted=True, retry_after=_retry_after(answer))
        raise error

    def _object(self, what: str, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code == 204 or not answer.content:
            return {}
        try:
            body = answer.json()
        except (ValueError, RecursionError):
            body, kind = None, "something that is not JSON"
        else:
            kind = "JSON that is not an object"
        if not isinstance(body, dict):
            error = ApiError(f"Neon answered {what} with {kind}", status=answer.status_code)
            raise _TryAgain(error, may_have_acted=True)
        return body

    def _error(self, what: str, answer: httpx.Response) -> ApiError:
        body: Any = None
        with contextlib.suppress(ValueError, RecursionError):  # the gateway's own pages (524, some 502) are HTML
            body = answer.json()
        fields = body if isinstance(body, dict) else {}
        said = str(fields.get("message") or answer.reason_phrase or "no message").replace(self._key, "***")
        request_id = str(fields.get("request_id") or answer.headers.get("x-neon-ret-request-id", ""))
        message = f"Neon refused {what}: {answer.status_code} {said}"
        if request_id:
            message += f" (request {request_id})"
        remedy = REMEDIES.get(answer.status_code, "")
        if answer.status_code == 400 and "org_id" in said:
            remedy = (
                "A personal API key needs the organization, which its settings page shows. For the stack that owns the "
                "project: pulumi config set --stack prod orgId org-..."
            )
        if answer.is_redirect:
            remedy = "NEON_API_URL is not where the API is: unset it, or give the address that it leads to."
        kind = NotFound if answer.status_code == 404 else ApiError
        code = str(fields.get("code") or "")
        return kind(message, status=answer.status_code, code=code, request_id=request_id, remedy=remedy)

    def _unreachable(self, what: str, fault: httpx.RequestError) -> ApiError:
        reason = (str(fault) or type(fault).__name__).replace(self._key, "***")
        return ApiError(
            f"no answer from Neon to {what}: {reason}",
            remedy="Check the network (HTTPS_PROXY, SSL_CERT_FILE) and https://neonstatus.com, then run it again.",
        )


class _TryAgain(Exception):
    """Inside this module: a failure that may pass."""

    def __init__(self, error: ApiError, *, may_have_acted: bool, retry_after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.may_have_acted = may_have_acted
        self.retry_after = retry_after


def _unknown(error: ApiError) -> OutcomeUnknown:
    return OutcomeUnknown(
        error.message, status=error.status, code=error.code, request_id=error.request_id, remedy=error.remedy
    )


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _retry_after(answer: httpx.Response) -> float:
    """Read Retry-After, in seconds or as a date (RFC 9110, 10.2.3); 0 without one."""
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return 0.0
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0
