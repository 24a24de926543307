"""What asyncpg takes. It sends a parameter that it does not know to the server, which then refuses the connection."""

from __future__ import annotations

from chatdb.url.parameters import Parameters, is_behind_pooler, quote_identifier, take_neon_options
from chatdb.url.settings import ClientSettings
from chatdb.url.tls import take_tls

TYPE_CHECKING = False  # a type checker takes it for True; importing typing would cost more than this package
if TYPE_CHECKING:
    from typing import Any

    from chatdb.url.value import DatabaseURL

_SAME = ("application_name", "target_session_attrs", "timezone", "passfile", "sslcrl", "krbsrvname")


def for_asyncpg(url: DatabaseURL) -> ClientSettings:
    """Render for asyncpg.connect (dsn, connect), asyncpg.create_pool (pool) and Pool.acquire (acquire)."""
    parameters = Parameters(url)
    pooler = is_behind_pooler(url)
    tls = take_tls(url, parameters)
    connect = _connect(parameters, pooler=pooler)
    if tls.get("sslrootcert") == "system":
        # asyncpg would read a file of that name.
        connect["ssl"] = _system_trust()
        tls = {name: value for name, value in tls.items() if name not in {"sslmode", "sslrootcert"}}
    query = [*tls.items(), *parameters.take_all(_SAME)]
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
    wanted = path or (quote_identifier(schema) if schema and schema != "public" else None)
    if wanted and pooler:
        parameters.leave_out("search_path" if path else "schema")
        return None
    return wanted


def _pool(parameters: Parameters) -> dict[str, Any]:
    limit = parameters.take_number("connection_limit")
    if not limit:
        return {}
    return {"max_size": limit, "min_size": 0}  # its default of 10 may be more than the limit


def _system_trust() -> object:
    import ssl  # costs 15 ms, for the one spelling that needs it

    return ssl.create_default_context()
