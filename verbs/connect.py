"""`url`, `psql` and `env`: how to connect to an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import LOCAL_ENV, verb

if TYPE_CHECKING:
    from pathlib import Path


@verb(
    "read",
    "everybody",
    flags={
        "env": LOCAL_ENV,
        "for": "render it for a client: asyncpg, prisma, psycopg or yoyo",
        "show": "with the password",
    },
    bare="env",
)
def url(root: Path, env: str = "local", for_: str = "", show: bool = False) -> None:
    """Print an environment's DATABASE_URL, masked unless --show."""
    from pipeline.console.progress import progress
    from pipeline.console.text import say
    from pipeline.local.url import url as render

    shown = progress()
    rendered = render(root, env or None, client=for_ or None, show=show, tell=shown.note)
    say(rendered.text)
    for note in rendered.notes:
        shown.note(note)


@verb("read", "everybody", flags={"env": LOCAL_ENV}, bare="env")
def psql(root: Path, env: str = "local") -> None:
    """Open psql on an environment; read-only unless it is local."""
    import sys

    from pipeline.console.flags import after_dashes
    from pipeline.console.progress import progress
    from pipeline.local.psql import psql as open_psql

    raise SystemExit(open_psql(root, env or None, after_dashes(sys.argv), tell=progress().note))


@verb(
    "read",
    "platform engineers",
    flags={"env": LOCAL_ENV, "for": "the service, by its name in product.toml"},
    bare="env",
)
def env(root: Path, env: str = "local", for_: str = "") -> None:
    """Write the .env lines that a service needs."""
    from pipeline.console.flags import required
    from pipeline.console.progress import progress
    from pipeline.console.text import say
    from pipeline.environments.services import env_lines

    for line in env_lines(root, env, required("for", for_, "server"), tell=progress().note):
        say(line)
