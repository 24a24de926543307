"""What node-postgres takes, and with it Prisma 7's pg adapter. It ignores what it does not know, in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.url.parameters import Parameters, is_behind_pooler, take_neon_options
from dbclient.url.protection import ON
from dbclient.url.settings import ClientSettings
from dbclient.url.tls import always, is_required, refuse_what_would_be_lost, take_tls

if TYPE_CHECKING:
    from typing import Any

    from dbclient.url.parts import URLParts


# node-postgres reads the database's name with decodeURI, which leaves these as they are. Of its kind are also ? and #,
# which cannot stand raw: a database with one of them in its name is out of its reach.
_NEVER_DECODED = ";/:@&=+$,"
_IMPOSSIBLE = {
    "gssencmode": is_required,
    "require_auth": always,
    "requirepeer": always,
    "ssl_min_protocol_version": lambda version: version == "TLSv1.3",  # Node's own least is TLS 1.2
    "sslcertmode": is_required,
    "sslcrl": always,
    "sslcrldir": always,
}
_LONGEST_TIMER = 2**31 - 1  # milliseconds; Node makes one of 1 ms of anything longer


def for_prisma(url: URLParts) -> ClientSettings:
    """Render for `new PrismaPg({connectionString: dsn, ...pool}, connect)` and for node-postgres's Pool.

    `schema` stays in the URL for Prisma's command line and goes to the adapter as an option, which is where it counts.
    """
    refuse_what_would_be_lost(url, "node-postgres", _IMPOSSIBLE, instead="take it out for this client")
    parameters = Parameters(url)
    query = _tls(url, parameters) + parameters.take_all(("application_name", "fallback_application_name"))
    options = take_neon_options(parameters, pooler=is_behind_pooler(url))
    if options:
        query.append(("options", options))
    connect: dict[str, Any] = {}
    schema = parameters.take("schema")
    if schema:
        query.append(("schema", schema))
        connect["schema"] = schema
    parameters.take("pgbouncer")  # not needed: node-postgres prepares nothing unless it is given a name
    return ClientSettings(
        url.render(params=query, raw_in_name=_NEVER_DECODED),
        masked=url.render(params=query, masked=True, raw_in_name=_NEVER_DECODED),
        connect=connect,
        pool=_pool(parameters),
        left_out=parameters.left_out(),
    )


def _pool(parameters: Parameters) -> dict[str, Any]:
    pool: dict[str, Any] = {}
    limit = parameters.take_number("connection_limit")
    if limit:
        pool["max"] = limit
    for name, option in (("connect_timeout", "connectionTimeoutMillis"), ("socket_timeout", "query_timeout")):
        seconds = parameters.take_number(name)
        if seconds is not None:
            pool[option] = min(seconds * 1000, _LONGEST_TIMER)
    return pool


def _tls(url: URLParts, parameters: Parameters) -> list[tuple[str, str]]:
    """Say in node-postgres's words what libpq means: its bare `require` verifies, and no sslmode is no TLS at all."""
    verifying = (url.get("ssl") or "").lower() in ON and url.get("sslmode") is None  # a bare ssl=true does, in Node
    tls = take_tls(url, parameters, binds_channels=False)
    mode, root = tls.pop("sslmode", None), tls.pop("sslrootcert", None)
    if tls.pop("sslpassword", None):
        parameters.leave_out("sslpassword")
    if mode in {"allow", "prefer"}:
        # No client of Node's falls back; a server elsewhere gets TLS or nothing.
        mode = None if url.is_local else "require"
    if mode is None:
        return []
    if mode == "disable":
        return [("sslmode", mode)]
    if root == "system":
        root = None
    if mode == "verify-full" or (root is None and (mode == "verify-ca" or verifying or url.is_neon)):
        query = [("sslmode", "verify-full")]  # Node brings the public CAs, and Neon's certificate is signed by one
    else:
        query = [("uselibpqcompat", "true"), ("sslmode", mode)]
    query += [("sslrootcert", root)] if root else []
    query += tls.items()
    return query + parameters.take_all(("sslnegotiation",))
