"""Loads the plugins of tests/support. Their fixtures are for every test."""

pytest_plugins = [
    "tests.support.server",
    "tests.support.databases",
    "tests.support.folders",
    "tests.support.pgbouncer",
    "tests.support.sample",
    "tests.support.emulator",
    "tests.support.services",
    "tests.support.change_count",
    "tests.support.typescript",
    "tests.support.neon_cli",
    "tests.support.browser",
]
