"""What asyncpg takes. It sends a parameter that it does not know to the server, which then refuses the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.errors import InvalidDatabaseURL
from dbclient.quoting import identifier
from dbclient.url.parameters import Parameters, is_behind_pooler, take_neon_options
from dbclient.url.settings import ClientSettings
from dbclient.url.tls import always, is_required, refuse_what_would_be_lost, take_tls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from dbclient.url.parts import URLParts

_SAME = ("application_name", "target_session_attrs", "timezone", "passfile", "krbsrvname")
_OF_TLS = ("sslcrl", "ssl_min_protocol_version", "ssl_max_protocol_version")
_IMPOSSIBLE = {
    "gssencmode": is_required,
    "require_auth": always,
    "requirepeer": always,
    "sslcertmode": is_required,
    "sslcrldir": always,
}


def for_asyncpg(url: URLParts) -> ClientSettings:
    """Render for asyncpg.connect (dsn, connect), asyncpg.create_pool (pool) and Pool.acquire (acquire)."""
    refuse_what_would_be_lost(url, "asyncpg", _IMPOSSIBLE, instead="use psycopg, or take it out for this client")
    parameters = Parameters(url)
    pooler = is_behind_pooler(url)
    tls = take_tls(url, parameters, binds_channels=False) | dict(parameters.take_all(_OF_TLS))
    connect = _connect(parameters, pooler=pooler)
    if tls.get("sslrootcert") == "system":
        # asyncpg would read a file of that name: so the URL alone, without this argument, fails, and never goes without.
        connect["ssl"] = _system_trust(tls)
    query = [*tls.items(), *parameters.take_all(_SAME)]
    if parameters.take("sslnegotiation") == "direct":
        query.append(("sslnegotiation", "direct"))
    options = take_neon_options(parameters, pooler=pooler)
    if options:
        query.append(("options", options))
    pool = _pool(parameters)
    wait = parameters.take_number("pool_timeout")
    return ClientSettings(
        url.render(params=query),
        masked=url.render(params=query, masked=True),
        connect=connect,
        pool=pool,
        acquire={"timeout": wait or None} if wait is not None else {},
        left_out=parameters.left_out(),
    )


def _connect(parameters: Parameters, *, pooler: bool) -> dict[str, Any]:
    connect: dict[str, Any] = {}
    timeout = parameters.take_number("connect_timeout")
    if timeout is not None:
        connect["timeout"] = timeout or None
    timeout = parameters.take_number("socket_timeout")
    if timeout is not None:
        connect["command_timeout"] = timeout or None
    cache = parameters.take_number("statement_cache_size")
    parameters.take("pgbouncer")
    if pooler:
        connect["statement_cache_size"] = 0
    elif cache is not None:
        connect["statement_cache_size"] = cache
    path = _take_search_path(parameters, pooler=pooler)
    if path:
        connect["server_settings"] = {"search_path": path}
    return connect


def _take_search_path(parameters: Parameters, *, pooler: bool) -> str | None:
    """PgBouncer refuses a search_path at start-up; the role or the database must then carry it."""
    schema = parameters.take("schema")
    path = parameters.take("search_path")
    wanted = path or (identifier(schema) if schema and schema != "public" else None)
    if wanted and pooler:
        parameters.leave_out("search_path" if path else "schema")
        return None
    return wanted


def _pool(parameters: Parameters) -> dict[str, Any]:
    limit = parameters.take_number("connection_limit")
    if not limit:
        return {}
    return {"max_size": limit, "min_size": 0}  # its default of 10 may be more than the limit


def _system_trust(tls: Mapping[str, str]) -> object:
    """Make a context that trusts the system's CAs. Beside one, asyncpg reads no other TLS parameter of the URL."""
    import ssl  # costs 15 ms, for the spellings that need it

    context = ssl.create_default_context()
    try:
        if "sslcert" in tls:
            context.load_cert_chain(tls["sslcert"], tls["sslkey"], tls.get("sslpassword", ""))
        if "sslcrl" in tls:
            context.load_verify_locations(cafile=tls["sslcrl"])
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    except OSError:
        raise InvalidDatabaseURL("the file of sslcert, sslkey or sslcrl cannot be read") from None
    for bound in ("minimum", "maximum"):
        version = tls.get(f"ssl_{bound[:3]}_protocol_version")
        if version:
            setattr(context, f"{bound}_version", getattr(ssl.TLSVersion, version.replace(".", "_")))
    if ssl.HAS_ALPN:
        context.set_alpn_protocols(["postgresql"])  # sslnegotiation=direct is refused without it
    return context
