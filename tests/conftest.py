"""Loads the plugins of tests/support. Their fixtures are for every test."""

import os

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
]
