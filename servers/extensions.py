"""The extensions of Neon, and with what each comes: servers of this machine offer them and no others."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

POSTGRESQL, PGVECTOR = "PostgreSQL", "pgvector"


@cache
def neon_extensions() -> Mapping[str, str]:
    """Give the names on Neon's list for PostgreSQL 16, each with what it comes with: POSTGRESQL, PGVECTOR, or nothing.

    The file says from where and when.
    """
    listed = json.loads(Path(__file__).with_name("neon_extensions.json").read_text(encoding="utf-8"))
    extensions: dict[str, str] = listed["extensions"]
    return extensions


_NOT_THERE = re.compile(r'extension "([^"]+)" is not available')
_NOT_ALLOWED = re.compile(r'permission denied to create extension "([^"]+)"')


def remedy_of(message: str) -> str:
    """What to do about a server's refusal that is about an extension, or about ICU, which comes with them; else nothing."""
    if found := _NOT_THERE.search(message):
        return where_to_have(found[1])
    if (found := _NOT_ALLOWED.search(message)) and found[1] not in neon_extensions():
        return where_to_have(found[1])
    if found:
        return (
            f"The owner may make {found[1]} on Neon and on the embedded server, and on this server a superuser alone. That of "
            "docker-compose.yml allows it once it is made anew: ./inv down, then ./inv up."
        )
    if "ICU is not supported in this build" in message:
        return "The embedded server has ICU once `./inv up --extensions` was run (docs/extensions.md)."
    return ""


def where_to_have(name: str) -> str:
    """Say in a sentence where an extension can be had that a server of this machine has not."""
    comes_with = neon_extensions().get(name)
    if comes_with is None:
        return f"Neon does not offer {name} either: look for one on its list that does it, or do it in the services."
    if comes_with == POSTGRESQL:
        return (
            f"{name} is one of PostgreSQL's own: the image of docker-compose.yml has it, and the embedded server once "
            "`./inv up --extensions` was run."
        )
    if comes_with == PGVECTOR:
        return (
            f"the embedded server has {name} (LOCAL_SERVER=embedded), and so has an image with pgvector: "
            "POSTGRES_IMAGE=pgvector/pgvector:pg16 in .env (docs/extensions.md)."
        )
    return (
        f"{name} can be had on Neon alone: what needs it is tried on a branch (docs/extensions.md), and local servers "
        "cannot run it."
    )
