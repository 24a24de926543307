"""What a verb imports before it has anything to do, which is most of what a deploy with nothing pending takes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.verbs.conftest import Checkout

# Each takes longer than all that such a deploy does by itself, or is work that waits for something pending.
HEAVY = {"rich", "yoyo", "sqlparse", "dotenv", "httpx", "pulumi", "sqlite3", "pkg_resources", "importlib_metadata"}
NOT_YET = {
    "psycopg.connection",
    "psycopg.cursor",
    "pipeline.deploy.rolling_back",
    "pipeline.deploy.concurrent",
    "pipeline.deploy.transactional",
    "pipeline.generate",
    "pipeline.lint",
    "pipeline.local",
    "pipeline.migrations.script",
    "pipeline.migrations.sql_text",
    "pipeline.neon",
    "pipeline.schema",
}


def imported(checkout: Checkout, *arguments: str, **variables: str) -> set[str]:
    """The modules that a verb imports, told by the interpreter."""
    _, *rest = checkout.command(*arguments)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *rest],
        cwd=checkout.path,
        env=checkout.environment(**variables),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize(
    ("first", "again", "variables"),
    [
        (["deploy"], ["deploy"], {}),
        (["deploy"], ["deploy"], {"GITHUB_ACTIONS": "true"}),
        (["migrate"], ["deploy", "--env", "local"], {}),
    ],
    ids=["CI", "GitHub", "local"],
)
def test_a_deploy_with_nothing_to_do_imports_only_what_it_needs(
    checkout: Checkout, first: list[str], again: list[str], variables: dict[str, str]
) -> None:
    assert checkout.inv(*first).returncode == 0
    modules = imported(checkout, *again, **variables)
    assert "pipeline.deploy" in modules
    assert {name for name in modules if name.partition(".")[0] in HEAVY} == set()
    assert modules & NOT_YET == set()


@pytest.mark.parametrize("arguments", [["--list"], ["--help", "deploy"]])
def test_a_list_or_a_help_imports_the_table_of_verbs_and_nothing_behind_it(
    checkout: Checkout, arguments: list[str]
) -> None:
    ours = {name for name in imported(checkout, *arguments) if name.partition(".")[0] in {"pipeline", "dbclient"}}
    console = {"pipeline.console", "pipeline.console.terminal"}
    assert ours <= {"pipeline", *console, "pipeline.errors"}


_WITHOUT_THE_CLIENT = """
import importlib, pkgutil, sys
sys.modules["httpx"] = None  # as in a fresh clone, which has requirements.lock alone
import pipeline
for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        if "httpx" in str(error):
            sys.exit(f"{module.name} needs httpx to be imported")
"""


def test_whatever_speaks_of_neon_is_imported_before_what_calls_it_is_installed() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT_THE_CLIENT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
