"""A rehearsal and the deploy that follows, by their documented lines: each holds what it holds in CI, and no more."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

import jsonschema
import psycopg
import pytest

from pipeline.receipts.document import Statement
from tests.rehearsal.rehearsed import Rehearsed, rehearsed
from verbs.reference import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Rehearsed]:
    """A production that asks for receipts, and whose first deploy needed none."""
    made = rehearsed(tmp_path_factory.mktemp("receipts"), emulator)
    done = deploy(made)
    assert done.returncode == 0, done.stderr
    yield made
    emulator.delete_project(made.project_id)


@pytest.fixture(autouse=True)
def forgotten(prod: Rehearsed) -> Iterator[None]:
    yield
    prod.emulator.admin.delete("/faults")


def deploy(prod: Rehearsed, *flags: str, verb: str = "deploy") -> subprocess.CompletedProcess[str]:
    """With production's URL, and without Neon's key."""
    variables = {name: value for name, value in prod.environment().items() if not name.startswith("NEON_")}
    return subprocess.run(
        [sys.executable, "-m", "verbs", verb, "--env", "prod", *flags],
        cwd=prod.path,
        env=variables | {"DATABASE_URL": prod.url.reveal()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def next_file(prod: Rehearsed, text: str) -> str:
    """One more pending file, committed."""
    taken = sorted(file.name[:4] for file in (prod.path / "migrations").glob("[0-9]*.sql"))
    id_ = f"{int(taken[-1]) + 1:04}_more"
    (prod.path / "migrations" / f"{id_}.sql").write_text(text)
    prod.commit()
    return id_


# One after another; each leaves the schema that the next one is rehearsed on.
CLEAN = (
    "CREATE TABLE again (id int PRIMARY KEY, at timestamptz DEFAULT '2026-01-01 00:00+00', name text);",
    "-- transactional: false\nCREATE INDEX CONCURRENTLY again_name ON again (name);",
    "INSERT INTO again SELECT n, now(), 'name ' || n FROM generate_series(1, 100) n; ALTER TABLE again ALTER name SET NOT NULL;",
    "CREATE VIEW later AS SELECT * FROM again WHERE at > '2026-06-01 00:00+02'; GRANT SELECT ON later TO pg_monitor;",
    "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n'; COMMENT ON TABLE again IS 'more';",
    "CREATE TYPE mood AS ENUM ('calm'); ALTER TABLE again ADD COLUMN mood mood DEFAULT 'calm';",
    "ALTER TABLE again ENABLE ROW LEVEL SECURITY; CREATE POLICY calm ON again USING (mood = 'calm');",
    "ALTER TABLE again ADD CONSTRAINT named CHECK (length(name) > 0) NOT VALID;",
    "DROP VIEW later; DELETE FROM again WHERE id > 50;",
    "-- transactional: false\nDROP INDEX CONCURRENTLY again_name;",
    "DROP FUNCTION twice; DROP TABLE again; DROP TYPE mood;",
)
RUNS = int(os.environ.get("CLEAN_RUNS", "3"))


def test_what_was_rehearsed_is_deployed_again_and_again(prod: Rehearsed) -> None:
    """With CLEAN_RUNS=20 twenty times: that many were tried, and none was refused."""
    for number in range(RUNS):
        id_ = next_file(prod, CLEAN[number % len(CLEAN)])
        done = prod.inv()
        assert done.returncode == 0, done.stderr
        receipt = json.loads((prod.path / ".local/rehearsals/prod.json").read_text())
        jsonschema.validate(receipt, json_schema(Statement))
        assert receipt["predicate"]["files"][-1]["schema"] == receipt["predicate"]["after"]["schema"]
        done = deploy(prod)
        assert done.returncode == 0, done.stderr
        assert id_ in done.stderr
        with psycopg.connect(prod.url.reveal(), autocommit=True) as connection:
            row = connection.execute(
                "SELECT digest FROM migration_history.rehearsals ORDER BY admitted_at DESC LIMIT 1"
            )
            assert row.fetchone() == (receipt["predicate"]["digest"]["sha256"],)


def test_the_history_shows_the_first_deploy_as_one_and_not_as_a_receipt(prod: Rehearsed) -> None:
    entries = deploy(prod, verb="history").stdout.splitlines()[1:-1]
    first = [line for line in entries if "0001_" in line]
    assert len(first) == 1
    assert first[0].endswith(" first deploy")
    assert "receipt" not in first[0]


def test_a_deploy_of_what_was_not_rehearsed_is_refused_and_says_so(prod: Rehearsed) -> None:
    id_ = next_file(prod, "CREATE TABLE not_rehearsed (id int);")
    done = deploy(prod)
    assert done.returncode == 3
    assert f"{id_} was added since, and was not rehearsed" in done.stderr
    assert "./inv rehearse --env prod" in done.stderr
    done = deploy(prod, "--without-rehearsal", "  ")
    assert done.returncode == 2
    done = deploy(prod, "--without-rehearsal", "the site is down", "--receipt", "x.json")
    assert done.returncode == 2
    done = deploy(prod, "--without-rehearsal", "the site is down")
    assert done.returncode == 0, done.stderr
    assert "without rehearsal: the site is down" in deploy(prod, verb="status").stdout
    assert "without rehearsal: the site is down" in deploy(prod, verb="history").stdout
    kept = json.loads(deploy(prod, "--json", verb="status").stdout)["rehearsals"]
    assert [(each["kind"], each["applied"]) for each in kept if each["reason"]] == [("skipped", [id_])]


@pytest.mark.parametrize("fails", [False, True], ids=["passes", "fails on rows"])
def test_a_thousand_canaries_appear_nowhere(prod: Rehearsed, fails: bool) -> None:
    mark = f"canary{secrets.token_hex(6)}"
    canaries = [f"{mark}x{number:04}" for number in range(1000)]
    rows, defaults, literals = canaries[:800], canaries[800:900], canaries[900:]
    table = f"birds_{secrets.token_hex(4)}"
    with psycopg.connect(prod.url.reveal(), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {table} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
        connection.cursor().executemany(f"INSERT INTO {table} (name) VALUES (%s)", [(each,) for each in rows])
    columns = ", ".join(f"ADD COLUMN c{number} text DEFAULT '{each}'" for number, each in enumerate(defaults))
    updates = "".join(
        f"UPDATE {table} SET name = '{each}' WHERE name = '{rows[n]}';\n" for n, each in enumerate(literals)
    )
    ending = f"ALTER TABLE {table} ALTER name TYPE int USING name::int;\n" if fails else ""
    file = (
        prod.path / "migrations" / f"{next_file(prod, f'ALTER TABLE {table} {columns};{chr(10)}{updates}{ending}')}.sql"
    )

    told = []
    done = prod.inv("--json", "--page", "page.html", "--summary", "summary.md")
    assert done.returncode == (4 if fails else 0), done.stderr
    told += [done.stdout, done.stderr, *((prod.path / name).read_text() for name in ("page.html", "summary.md"))]
    told.append((prod.path / ".local/rehearsals/prod.json").read_text())
    done = prod.inv()
    told += [done.stdout, done.stderr]
    if fails:
        done = deploy(prod)
        assert done.returncode == 3
        told += [done.stdout, done.stderr]
        file.unlink()
    else:
        for verb in ("deploy", "status", "history"):
            done = deploy(prod, verb=verb)
            assert done.returncode == 0, done.stderr
            told += [done.stdout, done.stderr]
    with psycopg.connect(prod.url.reveal(), autocommit=True) as connection:
        kept = connection.execute("SELECT string_agg(r::text, '') FROM migration_history.rehearsals r").fetchone()
        log = connection.execute("SELECT string_agg(l::text, '') FROM migration_history._yoyo_log l").fetchone()
        told += [str(kept), str(log)]
        if fails:
            connection.execute(f"DROP TABLE {table}")
    for name in ("page.html", "summary.md"):
        (prod.path / name).unlink()
    prod.commit()
    assert sum(text.count(mark) for text in told) == 0
    assert table in "".join(told)
