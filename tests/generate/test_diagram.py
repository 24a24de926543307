"""The ER diagram of docs/schema.md follows the migrations, and only those that are proven."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import InvalidPlan, TimedOut
from pipeline.generate.derived_files import draw_after_conflict
from pipeline.generate.generating import generate, generate_empty
from pipeline.generate.verifying import verify
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.deploy import Report
    from pipeline.migrations import Folder
    from tests.generate.conftest import Checkout

ADD, DROP = 'ALTER TABLE "Message" ADD COLUMN "pinned" boolean;', 'ALTER TABLE "Message" DROP COLUMN "pinned";'


@pytest.fixture
def page(checkout: Checkout) -> Path:
    """The page as it is in the repository."""
    checkout.workbench.page.parent.mkdir()
    shutil.copy(PRODUCT / "docs" / "schema.md", checkout.workbench.page)
    return checkout.workbench.page


def with_column(checkout: Checkout, column: str) -> None:
    text = checkout.workbench.schema.read_text()
    checkout.edit(text.replace('    "metaJson"   jsonb,', f'    "metaJson"   jsonb,\n    {column},'))


def test_it_is_drawn_with_the_migration(checkout: Checkout, page: Path) -> None:
    before = page.read_text()
    with_column(checkout, '"pinned" boolean')
    assert generate("pinned", checkout.workbench, run=checkout.run).derived.page == page
    lines = page.read_text().splitlines()
    assert [line for line in lines if line not in before.splitlines()] == ['        boolean pinned "may be null"']


def test_it_is_drawn_where_there_is_no_difference_but_an_old_diagram(checkout: Checkout, page: Path) -> None:
    now = page.read_text()
    assert generate("nothing", checkout.workbench).derived.page is None
    page.write_text(now.replace("jsonb metaJson", "jsonb other"))
    assert generate("nothing", checkout.workbench).derived.page == page
    assert page.read_text() == now


def test_a_draft_leaves_it_until_it_is_verified(checkout: Checkout, page: Path) -> None:
    before = page.read_text()
    with_column(checkout, '"pinned" boolean')
    (draft,) = generate_empty("pinned", checkout.workbench)
    with pytest.raises(InvalidPlan, match="no statement"):
        verify(checkout.workbench)
    assert page.read_text() == before
    for path, sql in ((draft, ADD), (draft.with_name("0007_pinned.rollback.sql"), DROP)):
        path.write_text(f"{path.read_text()}{sql}\n")
    assert verify(checkout.workbench).derived.page == page
    assert "boolean pinned" in page.read_text()


def test_it_stands_beside_the_files_whatever_becomes_of_the_deploy(checkout: Checkout, page: Path) -> None:
    def too_slow(_: Folder) -> Report:
        raise TimedOut("the lock was not free")

    with_column(checkout, '"pinned" boolean')
    with pytest.raises(TimedOut):
        generate("pinned", checkout.workbench, run=too_slow)
    assert "0007_pinned.sql" in checkout.names()
    assert "boolean pinned" in page.read_text()


def test_a_conflict_in_it_needs_no_solving(checkout: Checkout, page: Path) -> None:
    drawn = page.read_text()
    assert draw_after_conflict(checkout.root, checkout.local) is None
    column = "        jsonb metaJson"
    ours, theirs = f"{column}\n        text ours", f"{column}\n        text theirs"
    conflict = f"<<<<<<< HEAD\n{ours}\n=======\n{theirs}\n>>>>>>> main"
    assert drawn.count(column) == 1
    page.write_text(drawn.replace(column, conflict))
    assert draw_after_conflict(checkout.root, checkout.local) == page
    assert page.read_text() == drawn


def test_a_conflict_beside_it_is_left_to_its_author(checkout: Checkout, page: Path) -> None:
    text = f"<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> main\n{page.read_text()}"
    page.write_text(text)
    assert draw_after_conflict(checkout.root, checkout.local) is None
    assert page.read_text() == text
