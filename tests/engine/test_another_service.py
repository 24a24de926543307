"""A third service: an entry in product.toml, a migration that makes its role, and `pulumi up`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.engine.workspace import ROOT
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]

ENTRY = '\n[[services]]\nname = "worker"\nrole = "worker"\nclient = "asyncpg"\n'
MIGRATION = """\
-- worker reads threads
-- depends: 0006_what_both_clients_can_read_validate

DO $$ BEGIN CREATE ROLE worker NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
ALTER ROLE worker SET TimeZone = 'UTC';
GRANT SELECT ON TABLE "Thread" TO worker;
"""


def test_it_takes_one_entry_one_migration_and_one_up(both: Workspace, query: Query) -> None:
    folder = both.folder
    (folder / "product.toml").write_text((PRODUCT / "product.toml").read_text() + ENTRY)
    shutil.copytree(PRODUCT / "migrations", folder / "migrations")
    (folder / "migrations" / "0007_worker.sql").write_text(MIGRATION)
    shutil.copy(ROOT / "tasks.py", folder)
    here = {"PRODUCT_FILE": str(folder / "product.toml"), "PYTHONPATH": str(ROOT)}

    both.pulumi("up", "--yes", "--skip-preview", "--stack", "dev", **here)
    url = both.url("dev", "worker_database_url")
    assert (url.user, both.url("dev", "server_database_url").user) == ("worker", "server")
    deployed = both.inv("deploy", "--env", "dev", **here)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert "LOGIN and password set for ai_service, server, worker" in deployed.stdout
    query(url, 'SELECT count(*) FROM "Thread"')
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(url, 'SELECT * FROM "Message"')
    known, both._secrets = both._secrets, set()  # this one is asked for
    said = both.inv("env", "--env", "dev", "--for", "worker", **here)
    both._secrets = known
    assert f'DATABASE_URL="{both.outputs("dev")["worker_database_url"]}"' in said.stdout
