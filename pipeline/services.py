"""The services that use the database, by the role that each connects as."""

from __future__ import annotations

RUNTIME_ROLES = ("server", "ai_service")
