"""The TLS parameters of Prisma, node-postgres and JDBC in libpq's terms."""

from __future__ import annotations

TYPE_CHECKING = False  # a type checker takes it for True; importing typing would cost more than this package
if TYPE_CHECKING:
    from chatdb.url.parameters import Parameters
    from chatdb.url.value import DatabaseURL


def take_tls(url: DatabaseURL, parameters: Parameters) -> dict[str, str]:
    """sslmode, sslrootcert, sslcert, sslkey and sslpassword as libpq means them, those that apply.

    Prisma's `sslcert` is the server's CA. libpq takes it for the client's certificate and, under its default `prefer`,
    falls back to no TLS at all without a word. So `sslcert` without `sslkey` becomes `sslrootcert`, and asks for TLS.
    Neon refuses connections without TLS, so its hosts ask for it even where the URL does not say so.
    """
    mode = _take_mode(parameters)
    accept = parameters.take("sslaccept")
    client, root = _take_certificates(parameters, verified=accept != "accept_invalid_certs")
    if mode == "disable":
        return {"sslmode": mode}
    if accept == "strict":
        mode, root = "verify-full", root or "system"
    if root == "system":
        mode = "verify-full"  # libpq refuses anything weaker with the system's store
    if mode is None and (root or url.is_neon):
        mode = "require"
    return ({"sslmode": mode} if mode else {}) | ({"sslrootcert": root} if root else {}) | client


def _take_mode(parameters: Parameters) -> str | None:
    mode = parameters.take("sslmode")
    if parameters.take_flag("ssl") and mode is None:
        return "require"
    return "require" if mode == "no-verify" else mode


def _take_certificates(parameters: Parameters, *, verified: bool) -> tuple[dict[str, str], str | None]:
    root, certificate, key = (parameters.take(name) for name in ("sslrootcert", "sslcert", "sslkey"))
    if certificate and key:
        client = {"sslcert": certificate, "sslkey": key}
        password = parameters.take("sslpassword")
        return client | ({"sslpassword": password} if password else {}), root
    if key:
        parameters.leave_out("sslkey")
    if certificate and (root or not verified):
        parameters.leave_out("sslcert")
        return {}, root
    return {}, root or certificate
