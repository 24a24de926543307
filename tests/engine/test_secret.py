"""The way from a stack's output to the secret that CI deploys with, as docs/infrastructure.md writes it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from dbclient.url import DatabaseURL
from tests.engine.workspace import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]

PAGE = (ROOT / "docs" / "infrastructure.md").read_text()
# Stands in for GitHub's program, which takes the value of a secret from standard input when it is given none.
GH = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$STORE/arguments"
cat > "$STORE/$5"
"""


def test_the_documented_pipe_stores_the_url_and_shows_it_nowhere(
    shared: Workspace, tmp_path: Path, query: Query
) -> None:
    lines = re.findall(r"^    (pulumi stack output .*\| gh secret set .*)$", PAGE, re.MULTILINE)
    assert len(lines) == 2
    program = tmp_path / "gh"
    program.write_text(GH)
    program.chmod(0o755)
    wanted = {stack: shared.outputs(stack)["database_url"] for stack in ("dev", "prod")}
    environment = shared.environment()
    environment |= {"PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}", "STORE": str(tmp_path)}
    for line in lines:
        done = subprocess.run(
            ["sh", "-ec", line],
            cwd=shared.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert done.stdout + done.stderr == ""
    assert (tmp_path / "arguments").read_text().splitlines() == [
        "secret set DATABASE_URL --env dev",
        "secret set DATABASE_URL --env prod",
    ]
    for stack, url in wanted.items():
        stored = (tmp_path / stack).read_text()
        assert stored.strip() == url, "gh itself takes the end of the line off"
        query(DatabaseURL.parse(stored.strip()), "SELECT 1")
