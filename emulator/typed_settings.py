"""The objects of settings that the API keeps and tells as they are: typed here, since a client relies on their shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from emulator.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.fields import Fields

    Read = Callable[[Fields, str], object]

_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
# What the emulator's servers live by, and what would run a program of the client's on this machine.
_OWN = re.compile(
    r"(port|listen_addresses|unix_socket_.*|data_directory|.*_file|.*_command|.*_librar(y|ies|y_path)|log_.*|logging_.*"
    r"|archive_.*|recovery_.*|fsync|neon\..*)"
)
_SHORT = 1000  # characters of a setting's value


def endpoint_settings(asked: Fields) -> dict[str, Any]:
    """`settings` of an endpoint."""
    inner = asked.inner("settings")
    return asked.mapping("settings") | _given(inner, {"pg_settings": _pg_settings, "pgbouncer_settings": _scalars})


def endpoint_defaults(asked: Fields) -> dict[str, Any]:
    """`default_endpoint_settings` of a project."""
    readers: dict[str, Read] = {
        "pg_settings": _pg_settings,
        "pgbouncer_settings": _scalars,
        "autoscaling_limit_min_cu": lambda fields, name: fields.number(name),
        "autoscaling_limit_max_cu": lambda fields, name: fields.number(name),
        "suspend_timeout_seconds": lambda fields, name: fields.whole(name),
    }
    name = "default_endpoint_settings"
    return asked.mapping(name) | _given(asked.inner(name), readers)


def project_settings(asked: Fields) -> dict[str, Any]:
    """`settings` of a project."""
    readers: dict[str, Read] = {
        "quota": _wholes,
        "allowed_ips": _allowed_ips,
        "maintenance_window": _window,
        "preload_libraries": _preload_libraries,
        "audit_log_level": lambda fields, name: fields.text(name),
    }
    flags = ("enable_logical_replication", "block_public_connections", "block_vpc_connections", "hipaa")
    readers |= {flag: lambda fields, name: fields.flag(name) for flag in flags}
    return asked.mapping("settings") | _given(asked.inner("settings"), readers)


def _given(fields: Fields, readers: dict[str, Read]) -> dict[str, Any]:
    """Those that are there, each as its reader takes it."""
    return {name: read(fields, name) for name, read in readers.items() if name in fields}


def _pg_settings(fields: Fields, name: str) -> dict[str, Any]:
    settings = _scalars(fields, name)
    for setting in settings:
        if not _SETTING.fullmatch(setting) or _OWN.fullmatch(setting.lower()):
            raise bad_request(f"{name}: {setting!r:.80} is no setting that an endpoint may have")
    return settings


def _scalars(fields: Fields, name: str) -> dict[str, Any]:
    values = fields.mapping(name)
    for key, value in values.items():
        if not isinstance(value, str | int | float) or len(str(value)) > _SHORT or "\n" in str(value):
            raise bad_request(f"{name}: the value of {key!r:.80} must be short text on one line, a number or a boolean")
    return values


def _wholes(fields: Fields, name: str) -> dict[str, Any]:
    inner = fields.inner(name)
    return {key: inner.whole(key) for key in inner.mapping_keys()}


def _allowed_ips(fields: Fields, name: str) -> dict[str, Any]:
    inner = fields.inner(name)
    return {
        "ips": inner.texts("ips"),
        "protected_branches_only": inner.flag("protected_branches_only"),
    }


def _window(fields: Fields, name: str) -> dict[str, Any]:
    inner = fields.inner(name)
    days = inner.wholes("weekdays")
    return {"weekdays": days, "start_time": inner.text("start_time"), "end_time": inner.text("end_time")}


def _preload_libraries(fields: Fields, name: str) -> dict[str, Any]:
    inner = fields.inner(name)
    return {"use_defaults": inner.flag("use_defaults"), "enabled_libraries": inner.texts("enabled_libraries")}
