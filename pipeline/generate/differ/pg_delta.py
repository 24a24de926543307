"""The differ that is used: npm's @supabase/pg-delta, in a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from pipeline.errors import PipelineError
from pipeline.generate.differ import Difference, Step
from pipeline.history.tables import SCHEMA
from pipeline.node import find_node, install
from pipeline.postgres.connect import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbclient.url import DatabaseURL

FILES = [Path(__file__).with_name(name) for name in (".npmrc", "diff.mjs", "package-lock.json", "package.json")]
"""What is installed: the lock, and the program that calls the library."""

_TIMEOUT = 120  # seconds

# What it says that is no reason to doubt its answer: edges to facts that we filtered out ourselves.
_HARMLESS = {"dangling_edge", "unmanaged_dependency", "redacted"}


def ask_once(command: Sequence[str], line: str) -> str:
    """Run the program for one line. Gives the line that it answered.

    Raises:
        PipelineError: it failed before it could answer.
    """
    done = subprocess.run(command, input=line, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode != 0:
        last = next((said for said in done.stderr.splitlines() if "rror" in said), done.stderr.strip()[:500])
        raise PipelineError(f"the differ failed: {last}")
    return done.stdout


class PgDelta:
    """A Differ that runs pg-delta under Node.js. `state` is the git-ignored folder that it is installed into.

    `ask` gives the program a line and returns its answer.
    """

    def __init__(self, state: Path, ask: Callable[[Sequence[str], str], str] = ask_once) -> None:
        self._state = state
        self._ask = ask

    def difference(self, left: DatabaseURL, right: DatabaseURL, *, roles: Sequence[str]) -> Difference:
        """Compare two databases; see Differ.

        Raises:
            ConfigurationError: Node.js or its packages cannot be had.
            PipelineError: the program failed before it could answer.
        """
        folder = install(FILES, self._state)
        request = {
            "left": _settings(left),
            "right": _settings(right),
            "owner": left.user,
            "roles": list(roles),
            "ignoredSchemas": [SCHEMA],
        }
        command = (str(find_node().program), str(folder / "diff.mjs"))
        try:
            return _read(json.loads(self._ask(command, f"{json.dumps(request)}\n")))
        except PipelineError as error:
            error.what = f"{error.what} (on {where(left)} and {where(right)})"
            raise


def _settings(url: DatabaseURL) -> dict[str, Any]:
    """What diff.mjs takes: encrypted and verified as libpq would be (PostgreSQL manual, "Protection Provided in Modes")."""
    given = conninfo_to_dict(url.for_psycopg().dsn)
    mode, root = given.get("sslmode"), str(given.get("sslrootcert") or "")
    ssl: dict[str, Any] | None = None
    if mode in {"require", "verify-ca", "verify-full"}:
        ssl = {"rejectUnauthorized": mode != "require", "verifyName": mode == "verify-full"}
        if root and root != "system" and (mode != "require" or Path(root).is_file()):
            ssl |= {"rejectUnauthorized": True, "ca": Path(root).read_text(encoding="utf-8")}
    return {
        "host": url.host,
        "port": url.port or 5432,
        "user": url.user,
        "password": url.password,
        "database": url.database,
        "ssl": ssl or False,
        "application_name": "db-pipeline differ",
    }


def _read(answer: dict[str, Any]) -> Difference:
    forward, backward = answer["forward"], answer["backward"]
    problems = [
        f"{way}: {part['error']}" for way, part in (("forward", forward), ("back", backward)) if "error" in part
    ]
    doubts = {
        f"{item['code']}: {item['message']}"
        for item in answer["diagnostics"]
        if item["severity"] != "info" and item["code"] not in _HARMLESS
    }
    return Difference(_steps(forward), _steps(backward), "; ".join(problems), tuple(sorted(doubts)))


def _steps(part: dict[str, Any]) -> tuple[Step, ...]:
    if "error" in part or not part["steps"]:
        return ()
    before = [Step(f"SET LOCAL {setting['name']} = {setting['value']}") for setting in part["preamble"]]
    steps = [
        Step(
            item["sql"].strip().removesuffix(";").rstrip(),
            destructive=item["destructive"],
            commit_before=item["commitBefore"] or item["outside"],
        )
        for item in part["steps"]
    ]
    return (*before, *steps)
