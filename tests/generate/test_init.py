"""`init`: a clone becomes another product's repository, in which no name of the old one is left, and upstream can be merged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.errors import UsageError
from pipeline.generate.derived_files import PrismaSchema
from pipeline.initialising import read_services
from services import read_product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import PostgresServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "make-it-yours.md").read_text()
INV = f"'{sys.executable}' -m verbs"
SHOP = "./inv init --name shop --services api:prisma,worker:asyncpg,report:psycopg:read"
GROUPS = [re.findall(r"^    (.*)$", part, re.MULTILINE) for part in PAGE.split("\n## ")]

pytestmark = pytest.mark.skipif(
    not read_product(ROOT / "product.toml").own, reason="this is a repository that `init` has made, and refuses"
)


class Clone:
    """A clone of this repository's last commit, with the same in a bare repository as `upstream`."""

    def __init__(self, folder: Path, database: str) -> None:
        self.path, self.upstream = folder / "clone", folder / "upstream.git"
        self._database = database
        subprocess.run(["git", "clone", "-q", "--bare", ROOT, self.upstream], check=True)
        self.run(f"git -C {self.upstream} branch -f main HEAD", where=folder)
        subprocess.run(["git", "clone", "-q", "-b", "main", "-o", "upstream", self.upstream, self.path], check=True)

    def run(self, *lines: str, code: int = 0, where: Path | None = None) -> str:
        """Run shell lines as a person does, and give all that they said; the last one ends with `code`."""
        left_out = ("PG", "GITHUB_", "GIT_", "PRODUCT_FILE", "PYTHONPATH")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        said = ""
        for line in lines:
            done = subprocess.run(
                ["sh", "-ec", line.replace("./inv", INV)],
                cwd=where or self.path,
                env={
                    **kept,
                    "PYTHONPATH": str(self.path),
                    "DATABASE_URL": self._database,
                    **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
                    **{f"GIT_{who}_EMAIL": "a@example.org" for who in ("AUTHOR", "COMMITTER")},
                },
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            said += done.stdout + done.stderr
            assert done.returncode == (code if line == lines[-1] else 0), f"{line}\n{said}"
        return said


@pytest.fixture
def clone(tmp_path: Path, server: PostgresServer) -> Iterator[Clone]:
    database = server.create_database()
    yield Clone(tmp_path, database.reveal())
    server.drop_database(database)
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS api, worker, report")


def test_every_line_of_the_page_works_and_upstream_is_merged_without_a_conflict(clone: Clone, differ: Path) -> None:
    _, beginning, later = GROUPS
    (clone.path / ".local").mkdir()
    (clone.path / ".local" / "differ").symlink_to(differ)
    packages = PrismaSchema(ROOT / "clients" / "prisma", ROOT / ".local" / "clients").install()  # once for all
    (clone.path / ".local" / "clients").mkdir()
    (clone.path / ".local" / "clients" / packages.name).symlink_to(packages)
    old = read_product(ROOT / "product.toml")
    clone.run(*beginning)

    assert clone.run(f"git grep -il {old.name}", code=1) == "", "names of the old product are left"
    assert not (clone.path / "queries").exists()
    assert [service.role for service in read_product(clone.path / "product.toml").services] == [
        "api",
        "worker",
        "report",
    ]
    assert "TO api, worker;\n" in (orders := (clone.path / "migrations" / "0002_orders.sql").read_text()), orders
    assert 'GRANT SELECT ON TABLE "Order" TO report;' in orders

    work = clone.path.parent / "work"  # upstream goes on, with the pipeline and with its own product
    clone.run(f"git clone -q -b main {clone.upstream} {work}", where=clone.path.parent)
    for path in ("pipeline/outcome.py", "schema.sql", "README.md", "docker-compose.yml", "product.toml"):
        with (work / path).open("a") as file:
            file.write("\n# a later version\n")
    clone.run("git commit -qam later", "git push -q", where=work)
    before = (clone.path / "schema.sql").read_text()
    clone.run(*later)
    assert "a later version" in (clone.path / "pipeline" / "outcome.py").read_text()
    assert "a later version" in (clone.path / "docker-compose.yml").read_text()
    assert (clone.path / "schema.sql").read_text() == before
    assert read_product(clone.path / "product.toml").name == "shop"


def test_what_it_leaves_passes_the_linters_the_types_and_the_tests_of_its_files(clone: Clone) -> None:
    clone.run(SHOP, "git add -A", "git commit -qm shop")
    if (known := ROOT / ".mypy_cache").is_dir():  # of the files that are the same here, most of which `init` leaves
        shutil.copytree(known, clone.path / ".mypy_cache")
    programs = Path(sys.executable).parent
    for line in ("ruff check .", "ruff format --check .", "mypy", "lint-imports"):
        clone.run(f"'{programs}'/{line}")
    assert tomllib.loads((clone.path / "pyproject.toml").read_text())["project"]["name"] == "shop-dbclient"
    (clone.path / "infra" / ".venv").symlink_to(sys.prefix)
    own = "tests/test_services.py tests/docs/test_mentions.py tests/docs/test_reference.py tests/docs/test_architecture.py"
    clone.run(f"'{sys.executable}' -m pytest -q -p no:cacheprovider {own} tests/infra/test_settings.py")
    shutil.rmtree(clone.path / "tests")  # nothing of them is asked for below
    assert "is shop's repository already" in clone.run("git commit -qam fewer", SHOP, code=3)


def test_a_dry_run_and_a_refusal_change_nothing(clone: Clone) -> None:
    assert "would remove migrations/0001_" in clone.run(f"{SHOP} --dry-run")
    assert clone.run("git status --porcelain") == ""
    assert "is not of the form" in clone.run(f"{SHOP} --owner 'shop owner'", code=2)
    assert "has the owner's role" in clone.run(f"{SHOP} --owner api", code=2)
    assert "--name" in clone.run("./inv init --services api:prisma", code=2)
    assert clone.run("git status --porcelain") == ""
    (clone.path / "mine.txt").write_text("mine")
    assert "the checkout is not clean: ?? mine.txt" in clone.run(SHOP, code=3)


@pytest.mark.parametrize("text", ["api", "api:odbc", "api:prisma:all", "api:prisma:read:more", "", ","])
def test_a_service_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_services(text)
