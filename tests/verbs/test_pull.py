"""`pull` as a person runs it: DATABASE_URL is dev's, and the rows come to the checkout's own server."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sample import Database
    from tests.verbs.conftest import Checkout

ROOT = Path(__file__).parents[2]
REMEDY = "With --masked production's come too"


@pytest.fixture
def own_server(checkout: Checkout) -> Iterator[Checkout]:
    """The checkout with a local server of its own, migrated; DATABASE_URL leads to dev, migrated too."""
    assert checkout.inv("deploy", "--env", "dev").returncode == 0
    assert local(checkout, "migrate").returncode == 0
    yield checkout
    local(checkout, "down")


def local(checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a verb without DATABASE_URL, on the embedded server."""
    environment = checkout.environment(LOCAL_SERVER="embedded")
    del environment["DATABASE_URL"]
    return subprocess.run(
        checkout.command(*arguments),
        cwd=checkout.path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_rows_of_dev_come_masked_to_the_checkouts_own_server(own_server: Checkout, superuser: Database) -> None:
    (own_server.path / "masking.toml").write_text('[tables.Pet]\nname = "keep"\n')
    superuser.run("INSERT INTO \"Pet\" VALUES (1, 17, 'Rex')")
    before = superuser.picture()
    answer = own_server.inv("pull", "--env", "dev", "--yes", LOCAL_SERVER="embedded")

    assert answer.returncode == 0, answer.stderr
    assert 'public."Person": 100 rows' in answer.stdout
    assert "  mask       name*" in answer.stdout
    assert "  keep       id*, owner*, name" in answer.stdout
    asked = local(
        own_server, "psql", "--", "-Atc", 'SELECT p.id, p.name, "Pet".name FROM "Person" p JOIN "Pet" ON owner = p.id'
    )
    assert asked.stdout.startswith("17|masked-"), asked.stderr
    assert asked.stdout.endswith("|Rex\n")
    assert superuser.picture() == before


def test_the_commands_of_the_page_run_as_they_stand_there(own_server: Checkout) -> None:
    page = (ROOT / "docs" / "looking.md").read_text()
    commands = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 4
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "./inv"
        answer = (
            own_server.inv(*arguments, LOCAL_SERVER="embedded")
            if "--env" in arguments
            else local(own_server, *arguments)
        )
        assert answer.returncode == 0, f"{command}: {answer.stderr}"
    assert (own_server.path / "history.html").is_file()
    assert (own_server.path / ".local" / "schema.html").is_file()


def test_nobody_at_the_terminal_says_yes(own_server: Checkout) -> None:
    answer = own_server.inv("pull", "--env", "dev", LOCAL_SERVER="embedded")
    assert answer.returncode == 2
    assert "--yes" in answer.stderr
    asked = local(own_server, "psql", "--", "-Atc", "SELECT count(*) FROM \"Person\" WHERE name LIKE 'masked%'")
    assert asked.stdout == "0\n"


def test_production_local_and_no_environment_are_refused(checkout: Checkout) -> None:
    answer = checkout.inv("pull", "--env", "prod", "--yes", LOCAL_SERVER="embedded")
    assert (answer.returncode, REMEDY in answer.stderr) == (3, True), answer.stderr
    assert checkout.inv("pull", "--env", "local").returncode == 2
    assert checkout.inv("pull").returncode == 2
    assert not (checkout.path / ".local" / "postgres").exists(), "nothing was started for it"
