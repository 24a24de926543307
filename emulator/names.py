"""Identifiers and passwords in the shapes that Neon gives them, and the names that a role or a database may be given."""

from __future__ import annotations

import secrets
import string

from emulator.errors import bad_request

_FIRST = ("amber", "brisk", "calm", "deep", "early", "fair", "gentle", "icy", "keen", "late", "noble", "quiet", "still")
_SECOND = ("bank", "cliff", "dawn", "elm", "field", "grove", "hill", "isle", "lake", "moor", "reef", "shore", "vale")
_LETTERS = string.ascii_lowercase + string.digits


def project_id() -> str:
    """Such as quiet-shore-12345678."""
    return f"{_words()}-{secrets.randbelow(90_000_000) + 10_000_000}"


def branch_id() -> str:
    """Such as br-quiet-shore-a1b2c3d4."""
    return f"br-{_words()}-{_tail(8)}"


def snapshot_id() -> str:
    """Such as snap-quiet-shore-a1b2c3d4."""
    return f"snap-{_words()}-{_tail(8)}"


def endpoint_id() -> str:
    """Such as ep-quiet-shore-a1b2c3d4."""
    return f"ep-{_words()}-{_tail(8)}"


def password() -> str:
    """A role's password: 95 bits, above the 60 that Neon asks of passwords set in SQL."""
    return "npg_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))


def api_key() -> str:
    """A key for the API."""
    return "napi_" + _tail(48)


def _words() -> str:
    return f"{secrets.choice(_FIRST)}-{secrets.choice(_SECOND)}"


def _tail(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


_LONGEST = 63  # bytes, PostgreSQL's
_ROLES = {"cloud_admin", "neon_superuser", "zenith_admin", "public", "none"}
_DATABASES = {"postgres", "template0", "template1"}


def role_name(name: str) -> str:
    """The name, if a role may have it; else a 400."""
    if not _is_identifier(name) or name.startswith("pg_") or name in _ROLES:
        raise bad_request(f'invalid role name; role_name:"{name}"')
    return name


def database_name(name: str) -> str:
    """The name, if a database may have it; else a 400."""
    if not _is_identifier(name) or name in _DATABASES:
        raise bad_request(f'invalid database name; database_name:"{name}"')
    return name


def _is_identifier(name: str) -> bool:
    return 0 < len(name.encode()) <= _LONGEST
