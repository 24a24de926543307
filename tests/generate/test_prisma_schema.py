"""clients/prisma/schema.prisma follows the migrations, keeps what people wrote in it, and `check` says when it does not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pipeline.check.checking import check
from pipeline.errors import ConfigurationError, InvalidPlan
from pipeline.generate.derived_files import PrismaSchema
from pipeline.generate.generating import generate, generate_empty
from pipeline.generate.verifying import verify
from tests.generate.conftest import REPOSITORY
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.generate.conftest import Checkout

PACKAGES = REPOSITORY / ".local" / "clients"
COMMENT = "/// What a person wrote about this model.\n"


@pytest.fixture
def prisma(checkout: Checkout) -> Path:
    """The file as it is in the repository, with a comment of a person in it; and Prisma's packages."""
    folder = checkout.root / "clients" / "prisma"
    shutil.copytree(REPOSITORY / "clients" / "prisma", folder, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(PRODUCT / "clients" / "prisma" / "schema.prisma", folder)
    try:
        PrismaSchema(folder, PACKAGES).install()
    except ConfigurationError as error:
        pytest.skip(f"no Node.js packages: {error}")
    (checkout.root / ".local" / "clients").symlink_to(PACKAGES)
    file = folder / "schema.prisma"
    file.write_text(file.read_text().replace("model Thread {", f"{COMMENT}model Thread {{"))
    return file


def with_column(checkout: Checkout) -> None:
    text = checkout.workbench.schema.read_text()
    checkout.edit(text.replace('    "metaJson"   jsonb,', '    "pinned" boolean,\n    "metaJson"   jsonb,'))


def findings(checkout: Checkout) -> list[tuple[str, str, int]]:
    return [(each.rule, each.path, each.line) for each in check(checkout.workbench).findings]


def test_it_is_written_with_the_migration_and_keeps_what_people_wrote(checkout: Checkout, prisma: Path) -> None:
    before = prisma.read_text()
    with_column(checkout)
    assert generate("pinned", checkout.workbench, run=checkout.run).derived.prisma == prisma
    new = [" ".join(line.split()) for line in prisma.read_text().splitlines() if line not in before.splitlines()]
    assert new == ["pinned Boolean?"]
    assert COMMENT in prisma.read_text()
    assert "cuid()" in prisma.read_text()
    # the column stands last, where the migration put it, and not where schema.sql has it: nothing is left to find
    assert findings(checkout) == []
    assert generate("nothing", checkout.workbench).derived.prisma is None


def test_check_finds_the_line_that_does_not_fit_and_verify_mends_it(checkout: Checkout, prisma: Path) -> None:
    before = prisma.read_text()
    prisma.write_text(before.replace("  email         String?   @unique", "  email         String    @unique"))
    line = before[: before.index("@unique\n  emailVerified")].count("\n") + 1
    assert findings(checkout) == [("prisma", "clients/prisma/schema.prisma", line)]
    assert verify(checkout.workbench).derived.prisma == prisma
    assert prisma.read_text() == before
    assert findings(checkout) == []


def test_a_file_that_is_not_in_its_language_is_named(checkout: Checkout, prisma: Path) -> None:
    text = prisma.read_text() + "model {\n"
    prisma.write_text(text)
    with_column(checkout)
    names = checkout.names()
    with pytest.raises(InvalidPlan, match=r"clients/prisma/schema\.prisma: Prisma's engine failed on it"):
        generate("pinned", checkout.workbench)
    assert checkout.names() == names
    assert prisma.read_text() == text


def test_a_draft_leaves_it_as_it_is(checkout: Checkout, prisma: Path) -> None:
    before = prisma.read_text()
    with_column(checkout)
    generate_empty("pinned", checkout.workbench)
    with pytest.raises(InvalidPlan, match="no statement"):
        verify(checkout.workbench)
    assert prisma.read_text() == before


def test_a_table_that_gets_its_key_later_is_usable_then(checkout: Checkout, prisma: Path) -> None:
    schema = checkout.workbench.schema.read_text()
    checkout.edit(f'{schema}\nCREATE TABLE "Log" ("id" uuid NOT NULL, "userId" text);\n')
    generate("log", checkout.workbench)
    assert "@@ignore" in prisma.read_text()
    key = 'PRIMARY KEY, "userId" text REFERENCES "User" ("id")'
    checkout.edit(f'{schema}\nCREATE TABLE "Log" ("id" uuid NOT NULL {key});\n')
    generate("log_key", checkout.workbench)
    assert "@@ignore" not in prisma.read_text()
    assert "Log[]" in prisma.read_text()
    assert COMMENT in prisma.read_text()
    assert [finding for finding in findings(checkout) if finding[0] in {"prisma", "malformed"}] == []
