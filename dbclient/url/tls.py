"""The TLS parameters of Prisma, node-postgres, asyncpg and JDBC in libpq's terms, and what a client has no word for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.errors import InvalidDatabaseURL
from dbclient.url.protection import effective_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbclient.url.parameters import Parameters
    from dbclient.url.parts import URLParts

# Any of them is a request for TLS, though libpq's own default would fall back to none in silence.
_ASKING = ("sslcrl", "sslcrldir", "ssl_min_protocol_version")


def take_tls(url: URLParts, parameters: Parameters, *, binds_channels: bool) -> dict[str, str]:
    """sslmode, sslrootcert, sslcert, sslkey and sslpassword as libpq means them, those that apply.

    Prisma's `sslcert` is the server's CA. libpq takes it for the client's certificate and, under its default `prefer`,
    falls back to no TLS at all without a word. So `sslcert` without `sslkey` becomes `sslrootcert`, and asks for TLS.
    Neon refuses connections without TLS, so its hosts ask for it even where the URL does not say so.

    `channel_binding=require` proves that nobody stands between. A client that cannot bind channels checks the server's
    certificate in full instead.
    """
    given = dict(url.params)
    mode = effective_mode(given)
    for name in ("sslmode", "ssl", "uselibpqcompat"):
        parameters.take(name)
    if mode == "disable":
        for name in ("sslrootcert", "sslcert", "sslkey"):
            if parameters.take(name):
                parameters.leave_out(name)
        parameters.take("sslaccept")
        return {"sslmode": mode}
    accept = parameters.take("sslaccept")
    client, root = _take_certificates(parameters, verified=accept != "accept_invalid_certs")
    bound = given.get("channel_binding") == "require" and not binds_channels
    if accept == "strict" or bound or (mode == "verify-full" and given.get("uselibpqcompat") == "false"):
        mode, root = "verify-full", root or "system"
    if root == "system":
        mode = "verify-full"  # libpq refuses anything weaker with the system's store
    if mode in {None, "allow", "prefer"} and given.get("sslnegotiation") == "direct":
        mode = "require"  # libpq refuses anything weaker
    if mode is None and (root or client or url.is_neon or any(given.get(name) for name in _ASKING)):
        mode = "require"
    return ({"sslmode": mode} if mode else {}) | ({"sslrootcert": root} if root else {}) | client


def refuse_what_would_be_lost(
    url: URLParts, client: str, asking: Mapping[str, Callable[[str], bool]], *, instead: str
) -> None:
    """Refuse a parameter that asks for protection and that this client cannot give.

    `asking` says for each such parameter which values ask for something; `instead` what to do.

    Raises InvalidDatabaseURL.
    """
    for name, value in url.params:
        if value and name in asking and asking[name](value):
            raise InvalidDatabaseURL(
                f"{client} has nothing like {name}, and would connect without what it asks for; {instead}"
            )


def always(value: str) -> bool:
    """Say that any value of a parameter asks for protection."""
    return bool(value)


def is_required(value: str) -> bool:
    """Say whether a parameter's value insists."""
    return value == "require"


def _take_certificates(parameters: Parameters, *, verified: bool) -> tuple[dict[str, str], str | None]:
    root, certificate, key = (parameters.take(name) for name in ("sslrootcert", "sslcert", "sslkey"))
    if certificate and key:
        client = {"sslcert": certificate, "sslkey": key}
        password = parameters.take("sslpassword")
        return client | ({"sslpassword": password} if password else {}), root
    if certificate and (root or not verified):
        parameters.leave_out("sslcert")
        return {}, root
    return {}, root or certificate
