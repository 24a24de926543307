"""product.toml: what may stand in it, and that the files which other programs read say the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

import services
from services import FILE, OWNER, InvalidProduct, read_product, rights_on_a_table
from tests.support.databases import PRODUCT

ROOT = Path(__file__).resolve().parents[1]
TEXT = FILE.read_text()


@pytest.mark.parametrize("folder", [ROOT, PRODUCT])
def test_pulumis_files_and_composes_say_what_it_says(folder: Path) -> None:
    product = read_product(folder / "product.toml")
    declared = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    defaults = {name: declared["config"][name]["default"] for name in ("databaseName", "ownerName", "projectName")}
    assert declared["name"] == product.project
    assert defaults == {
        "databaseName": product.database,
        "ownerName": product.owner,
        "projectName": product.project,
    }
    versions = {name for name in declared["config"] if name.endswith("PasswordVersion")} - {"ownerPasswordVersion"}
    assert versions == {service.password_version for service in product.services}
    for stack in folder.glob("Pulumi.*.yaml"):
        assert {key.partition(":")[0] for key in yaml.safe_load(stack.read_text())["config"]} == {product.project}


def test_compose_by_itself_makes_the_products_database() -> None:
    product = read_product(ROOT / "product.toml")
    given = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["postgres"]["environment"]
    assert given["DATABASE_NAME"] == f"${{DATABASE_NAME:-{product.database}}}"
    assert given["DATABASE_OWNER"] == given["DATABASE_OWNER_PASSWORD"] == f"${{DATABASE_OWNER:-{product.owner}}}"


@pytest.mark.parametrize(
    ("pattern", "instead", "said"),
    [
        ("^database = .*", 'database = "my shop"', "database = 'my shop' is not of the form"),
        ("^owner = .*", 'owner = "Owner"', "owner = 'Owner' is not of the form"),
        ("^project = .*", "", "and should have database, name, owner, project"),
        ("^project = ", 'projekt = "x"\nproject = ', "has database, name, owner, project, projekt"),
        (
            r"\Z",
            '[[services]]\nname = "w"\nclient = "odbc"\n',
            "'w' has client = 'odbc', and not asyncpg, prisma, psycopg",
        ),
        (r"\Z", '[[services]]\nname = "w"\n', "'w' has client = None"),
        (
            r"\Z",
            '[[services]]\nname = "w"\nclient = "psycopg"\naccess = "all"\n',
            "access = 'all', and not write, read",
        ),
        (r"\Z", '[[services]]\nname = "w"\nclient = "psycopg"\nacces = "read"\n', "'w' has acces"),
        (r"\Z", '[[services]]\nrole = "w"\nclient = "psycopg"\n', "'w' has no name of the form"),
        (r"\Z", f'[[services]]\nname = "w"\nrole = "{OWNER}"\nclient = "psycopg"\n', "has the owner's role"),
        (r"\Z", '[[services]]\nname = "w"\nclient = "psycopg"\n' * 2, "two services have the same name"),
        ("^name = ", "name = shop ", "Invalid value"),
    ],
)
def test_what_is_wrong_in_it_is_named(tmp_path: Path, pattern: str, instead: str, said: str) -> None:
    file = tmp_path / "product.toml"
    file.write_text(re.sub(pattern, instead, TEXT, count=1, flags=re.MULTILINE))
    with pytest.raises(InvalidProduct, match=re.escape(said)):
        read_product(file)


def test_a_role_left_out_is_the_services_name_and_a_reader_gets_select_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "product.toml"
    file.write_text(f'{TEXT}\n[[services]]\nname = "month-report"\nclient = "psycopg"\naccess = "read"\n')
    service = read_product(file).services[-1]
    assert (service.role, service.password_version) == ("month_report", "monthReportPasswordVersion")
    monkeypatch.setattr(services, "READERS", frozenset({service.role}))
    assert rights_on_a_table(["api", service.role]) == {
        "SELECT, INSERT, UPDATE, DELETE": ("api",),
        "SELECT": ("month_report",),
    }
    assert rights_on_a_table([]) == {}


def test_a_verb_says_what_is_wrong_in_it_with_the_exit_code_of_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "services.py").write_text((ROOT / "services.py").read_text())
    (tmp_path / "product.toml").write_text(TEXT.replace("owner = ", "owner = 7 # ", 1))
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; from verbs.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "up"],
        cwd=tmp_path,
        env={**os.environ, "PRODUCT_FILE": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "product.toml: owner = 7 is not of the form" in done.stderr
    assert "Traceback" not in done.stderr
