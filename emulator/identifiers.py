"""Names of roles and databases: what PostgreSQL and Neon allow, wherever a request gives one."""

from __future__ import annotations

from emulator.errors import bad_request

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
