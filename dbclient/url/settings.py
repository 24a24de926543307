"""What a client's connect() and pool take."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from dbclient.url.sealed import Sealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class ClientSettings(Sealed):
    """A connection string rendered for one client. Immutable; `repr` and `str` mask the password.

    `dsn` is what the client takes as its URL, with the password in it. `connect` holds the keyword arguments of its
    connect() that the URL cannot carry, `pool` those of its pool, `acquire` those of taking a connection from the pool.
    `left_out` names the parameters that have no equivalent in this client.
    """

    __slots__ = ("_masked", "acquire", "connect", "dsn", "left_out", "pool")

    dsn: str
    connect: Mapping[str, Any]
    pool: Mapping[str, Any]
    acquire: Mapping[str, Any]
    left_out: tuple[str, ...]
    _masked: str

    def __init__(
        self,
        dsn: str,
        *,
        masked: str,
        connect: Mapping[str, Any] | None = None,
        pool: Mapping[str, Any] | None = None,
        acquire: Mapping[str, Any] | None = None,
        left_out: tuple[str, ...] = (),
    ) -> None:
        self._set(
            dsn=dsn,
            _masked=masked,
            connect=MappingProxyType(dict(connect or {})),
            pool=MappingProxyType(dict(pool or {})),
            acquire=MappingProxyType(dict(acquire or {})),
            left_out=left_out,
        )

    def masked(self) -> str:
        """Give the dsn with its password masked."""
        return self._masked

    def __repr__(self) -> str:
        shown = [f"dsn={self._masked!r}"]
        shown += [
            f"{name}={dict(values)!r}" for name in ("connect", "pool", "acquire") if (values := getattr(self, name))
        ]
        if self.left_out:
            shown.append(f"left_out={self.left_out!r}")
        return f"ClientSettings({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClientSettings):
            return NotImplemented
        names = ("dsn", "connect", "pool", "acquire", "left_out")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __hash__(self) -> int:
        return hash((self.dsn, self.left_out))
