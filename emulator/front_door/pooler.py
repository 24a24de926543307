"""What sets the pooled door of an endpoint apart from the direct one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.front_door.protocol import Startup


def refuse_options(startup: Startup) -> str | None:
    """Why Neon's pooler refuses a session: it takes no settings in `options`."""
    options = startup.parameters.get("options", "")
    if "-c" in options or "--" in options:
        return "unsupported startup parameter in options"
    return None
