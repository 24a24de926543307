"""What libpq takes, and so psycopg and yoyo's psycopg backend. An unknown parameter is an error there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.quoting import identifier, start_up_option
from dbclient.url.parameters import Parameters, is_behind_pooler, take_neon_options
from dbclient.url.settings import ClientSettings
from dbclient.url.text import encode
from dbclient.url.tls import take_tls

if TYPE_CHECKING:
    from typing import Any

    from dbclient.url.parts import URLParts

# PostgreSQL manual, "Parameter Key Words". `service` is not among them: a file would then say where to connect.
_SAME = (
    "hostaddr",
    "passfile",
    "require_auth",
    "channel_binding",
    "connect_timeout",
    "client_encoding",
    "application_name",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "replication",
    "gssencmode",
    "sslnegotiation",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "requirepeer",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "target_session_attrs",
    "load_balance_hosts",
)


def for_psycopg(url: URLParts) -> ClientSettings:
    """Render for psycopg.connect (dsn, connect) and psycopg_pool.ConnectionPool (pool)."""
    parameters = Parameters(url)
    pooler = is_behind_pooler(url)
    schema = _take_schema(parameters, pooler=pooler)
    query = _query(url, parameters, schema=schema, pooler=pooler)
    parameters.take("pgbouncer")
    limit, wait = parameters.take_number("connection_limit"), parameters.take_number("pool_timeout")
    connect: dict[str, Any] = {"prepare_threshold": None} if pooler else {}
    if url.is_local and not url.get("hostaddr"):
        connect["hostaddr"] = ""  # else PGHOSTADDR would decide, and libpq would leave this machine
    pool: dict[str, Any] = {}
    if limit:
        pool |= {"max_size": limit, "min_size": min(limit, 1)}
    if wait:
        pool["timeout"] = wait
    return ClientSettings(
        url.render(params=query),
        masked=url.render(params=query, masked=True),
        connect=connect,
        pool=pool,
        left_out=parameters.left_out(),
    )


def for_yoyo(url: URLParts) -> ClientSettings:
    """Render for yoyo: `schema` stays (yoyo runs SET search_path with it, unquoted, so it is quoted here).

    yoyo never decodes the database's name, but takes `dbname` from the query, decoded.
    """
    parameters = Parameters(url)
    schema = parameters.take("schema")
    query = _query(url, parameters, schema=None, pooler=is_behind_pooler(url))
    plain = url.database is None or encode(url.database) == url.database
    if not plain and url.database:
        query.insert(0, ("dbname", url.database))
    if schema:
        query.append(("schema", schema if schema.isidentifier() and schema.islower() else identifier(schema)))

    def render(*, masked: bool) -> str:
        return url.render(params=query, scheme="postgresql+psycopg", masked=masked, database=plain)

    return ClientSettings(render(masked=False), masked=render(masked=True), left_out=parameters.left_out())


def _query(url: URLParts, parameters: Parameters, *, schema: str | None, pooler: bool) -> list[tuple[str, str]]:
    query = [*take_tls(url, parameters, binds_channels=True).items(), *parameters.take_all(_SAME)]
    options = _options(parameters, schema=schema, pooler=pooler)
    return [*query, ("options", options)] if options else query


def _take_schema(parameters: Parameters, *, pooler: bool) -> str | None:
    schema = parameters.take("schema")
    if schema and schema != "public" and pooler:
        parameters.leave_out("schema")
        return None
    return schema if schema != "public" else None


def _options(parameters: Parameters, *, schema: str | None, pooler: bool) -> str:
    """`options`, with the settings that asyncpg takes by name and libpq only in here."""
    settings = {"search_path": identifier(schema)} if schema else {}
    for name, setting in (("search_path", "search_path"), ("timezone", "TimeZone")):
        value = parameters.take(name)
        if value and pooler:
            parameters.leave_out(name)
        elif value:
            settings[setting] = value
    given = take_neon_options(parameters, pooler=pooler)
    return " ".join(([given] if given else []) + [start_up_option(name, value) for name, value in settings.items()])
