"""Loads the plugins of tests/support. Their fixtures are for every test."""

import os
from pathlib import Path

# Of a product of the tests' own, in the programs that they start too; before anything of ours is imported.
os.environ["PRODUCT_FILE"] = str(Path(__file__).parent / "support" / "product" / "product.toml")

# In CI, verbs that tests run would speak to the runner. Tests of that set it again.
os.environ.pop("GITHUB_ACTIONS", None)

pytest_plugins = [
    "tests.support.server",
    "tests.support.databases",
    "tests.support.folders",
    "tests.support.pgbouncer",
    "tests.support.sample",
    "tests.support.emulator",
    "tests.support.services",
    "tests.support.service_pools",
    "tests.support.change_count",
    "tests.support.typescript",
    "tests.support.neon_cli",
    "tests.support.browser",
    "tests.support.catalogues",
]
