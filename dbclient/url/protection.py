"""The parameters that ask for protection: TLS, whom to trust, how to authenticate. None of them may be lost.

Any other unknown parameter is left out of what a client gets, and named. One of these would leave the connection
without the protection that was asked for, so a name or a value that is not understood refuses the whole URL.

The names are those of libpq (PostgreSQL manual, "Parameter Key Words"), of Prisma (sslaccept, sslidentity) and of
node-postgres (ssl, uselibpqcompat). `ssl` is also asyncpg's and SQLAlchemy's, with the values of sslmode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.errors import InvalidDatabaseURL

if TYPE_CHECKING:
    from collections.abc import Mapping

ON = ("true", "1", "on", "yes")
_OFF = ("false", "0", "off", "no")
# libpq's, from the weakest on. node-postgres's no-verify is libpq's require.
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
CHOICES = {
    "sslmode": (*MODES, "no-verify"),
    "ssl": (*ON, *_OFF, *MODES, "no-verify"),
    "sslaccept": ("strict", "accept_invalid_certs"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "sslnegotiation": ("postgres", "direct"),
    "sslcertmode": ("disable", "allow", "require"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "uselibpqcompat": ("true", "false"),
}
_IN_ANY_CASE = frozenset({"ssl"})
_NAMES = frozenset(
    {
        *CHOICES,
        "gssdelegation",
        "gsslib",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "sslcert",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslidentity",
        "sslkey",
        "sslpassword",
        "sslrootcert",
        "sslsni",
    }
)
# What the names of other drivers' and databases' TLS parameters have in common: sslMode, useSSL, tls, encrypt,
# trustServerCertificate, rejectUnauthorized, ...
_HINTS = (
    "ssl",
    "cert",
    "encrypt",
    "secure",
    "verify",
    "unauthorized",
    "channelbinding",
    "gssenc",
    "requireauth",
    "requirepeer",
    "scram",
)
_WHOLE = frozenset({"ca", "cafile", "capath", "crl"})
_OF_THE_PROTOCOL = frozenset({"min_protocol_version", "max_protocol_version"})  # libpq 18: of PostgreSQL's, not of TLS


def check_protection(pairs: tuple[tuple[str, str], ...]) -> None:
    """Refuse what looks like a request for protection and is not understood, or contradicts another one."""
    for name, value in pairs:
        if name in _NAMES:
            _check_value(name, value)
        elif _looks_protective(name):
            raise InvalidDatabaseURL(
                "a parameter looks like one of TLS or authentication and has a name that is not known here, so what it "
                f"asks for would be lost; the names are {', '.join(sorted(_NAMES))}, in this spelling "
                "(sslmode=require asks for TLS)"
            )
    params = dict(pairs)
    _check_contradiction(params)
    _check_identity(params)


def effective_mode(params: Mapping[str, str]) -> str | None:
    """Give the sslmode that `sslmode`, `ssl` and `uselibpqcompat` ask for together, in libpq's meaning; None for none.

    The stronger one counts. A bare `ssl=true` is `require`, as libpq reads it. `uselibpqcompat=false` says outright that
    sslmode is meant as node-postgres means it: whatever encrypts, verifies in full.
    """
    switch = params.get("ssl", "").lower()
    switch = "require" if switch in ON else switch
    asked = ["require" if mode == "no-verify" else mode for mode in (params.get("sslmode"), switch)]
    modes = [mode for mode in asked if mode in MODES]
    if not modes:
        return None
    mode = max(modes, key=MODES.index)
    nodes = params.get("uselibpqcompat") == "false" and params.get("sslmode") in {"prefer", "require", "verify-ca"}
    return "verify-full" if nodes else mode


def _check_value(name: str, value: str) -> None:
    if not value:
        raise InvalidDatabaseURL(
            f"{name} has no value (a variable that is not set?), and what it asks for would be lost"
        )
    if name in CHOICES and (value.lower() if name in _IN_ANY_CASE else value) not in CHOICES[name]:
        raise InvalidDatabaseURL(f"{name} is not one of {', '.join(CHOICES[name])}")


def _looks_protective(name: str) -> bool:
    if name in _OF_THE_PROTOCOL:
        return False
    folded = "".join(character for character in name.lower() if character.isalnum())
    if folded in _WHOLE or folded.startswith("tls") or folded.endswith("tls") or any(hint in folded for hint in _HINTS):
        return True
    from difflib import get_close_matches  # costs 5 ms, for names that no client here knows

    return bool(get_close_matches(folded, [known.replace("_", "") for known in _NAMES], n=1, cutoff=0.85))


def _check_contradiction(params: Mapping[str, str]) -> None:
    """Refuse a URL that turns TLS off and asks for it as well: whichever a client takes, the other one is lost."""
    off = next((name for name in ("sslmode", "ssl") if params.get(name, "").lower() == "disable"), None)
    if off is None:
        return
    asking = (
        (
            "sslmode" if off == "ssl" else "ssl",
            MODES.index(effective_mode(params) or "disable") >= MODES.index("require"),
        ),
        ("sslaccept", params.get("sslaccept") == "strict"),
        ("channel_binding", params.get("channel_binding") == "require"),
        ("sslnegotiation", params.get("sslnegotiation") == "direct"),
    )
    for name, asked in asking:
        if asked:
            raise InvalidDatabaseURL(f"{off}=disable turns TLS off, and {name} asks for it; keep one of them")


def _check_identity(params: Mapping[str, str]) -> None:
    """Refuse a client's identity that no client can present. Without TLS there is none."""
    if effective_mode(params) == "disable":
        return
    if "sslidentity" in params:
        raise InvalidDatabaseURL(
            "sslidentity is a PKCS#12 file, which only Prisma's former engine reads; write its certificate and key as PEM "
            "(openssl pkcs12 -in FILE -nodes) and give them as sslcert and sslkey, or take it out"
        )
    if "sslkey" in params and "sslcert" not in params:
        raise InvalidDatabaseURL("sslkey stands without sslcert, the certificate that it belongs to")
