"""A column that becomes NOT NULL where rows have no value: they get one batch by batch, and no file is a draft."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.check.checking import check
from pipeline.deploy.rolling_back import rollback
from pipeline.errors import UsageError
from pipeline.generate.generating import DraftLeft, generate
from pipeline.generate.proposals import Wishes
from tests.generate.conftest import catalog

if TYPE_CHECKING:
    from tests.generate.conftest import Checkout

KINDS = ["0901_change", "0902_change_backfill", "0903_change_check", "0904_change_validate"]


def edited(checkout: Checkout, old: str, new: str) -> None:
    schema = checkout.workbench.schema.read_text()
    assert schema.count(old) == 1
    checkout.edit(schema.replace(old, new))


def asked(checkout: Checkout) -> list[str]:
    """What check asks, but about the file that the fixture wrote."""
    return [each.message for each in check(checkout.workbench).findings if "0900_extras" not in each.path]


def test_a_new_required_column_is_filled_before_it_is_required(with_rows: Checkout) -> None:
    edited(
        with_rows,
        '    "content"    text NOT NULL,',
        '    "content"    text NOT NULL,\n    "length"     integer NOT NULL,',
    )
    shape = catalog(with_rows.local)
    wishes = Wishes(fills=('Message.length=length("content")',))
    made = generate("change", with_rows.workbench, wishes, run=with_rows.run)
    assert [path.stem for path in made.files] == KINDS
    first, second, third, fourth = (path.read_text() for path in made.files)
    assert first.endswith('ALTER TABLE "Message" ADD COLUMN "length" integer;\n')
    assert '-- pipeline: batched="Message" key="id"\n' in second
    assert '-- remaining: SELECT count(*) FROM "Message" WHERE "length" IS NULL\n' in second
    assert "NOT VALID" in third
    assert fourth.index("VALIDATE") < fourth.index("SET NOT NULL")
    assert with_rows.rows('SELECT DISTINCT "length" = length("content") FROM "Message"') == [(True,)]
    assert asked(with_rows) == []
    rollback(with_rows.local, with_rows.folder, to="0900_extras")
    assert catalog(with_rows.local).differences(shape) == []


def test_a_column_with_nulls_gets_the_value_that_is_said(with_rows: Checkout) -> None:
    edited(with_rows, '    "image"         text,', '    "image"         text NOT NULL,')
    nulls = with_rows.rows('SELECT count(*) FROM "User" WHERE "image" IS NULL')
    made = generate("change", with_rows.workbench, Wishes(fills=("User.image='none'",)), run=with_rows.run)
    assert [path.stem for path in made.files] == ["0901_change", "0902_change_check", "0903_change_validate"]
    assert with_rows.rows("""SELECT count(*) FROM "User" WHERE "image" = 'none'""") == nulls
    assert asked(with_rows) == []


def test_a_column_with_nulls_and_a_default_gets_that_without_a_word(with_rows: Checkout) -> None:
    edited(with_rows, '    "image"         text,', "    \"image\"         text NOT NULL DEFAULT 'blank',")
    nulls = with_rows.rows('SELECT count(*) FROM "User" WHERE "image" IS NULL')
    made = generate("change", with_rows.workbench, run=with_rows.run)
    assert any('SET "image" = DEFAULT' in path.read_text() for path in made.files)
    assert with_rows.rows("""SELECT count(*) FROM "User" WHERE "image" = 'blank'""") == nulls
    assert asked(with_rows) == []


def test_without_a_value_the_draft_says_how_to_give_one(with_rows: Checkout) -> None:
    edited(
        with_rows,
        '    "content"    text NOT NULL,',
        '    "content"    text NOT NULL,\n    "length"     integer NOT NULL,',
    )
    with pytest.raises(DraftLeft, match=r"--fill Message\.length=VALUE writes the steps"):
        generate("change", with_rows.workbench, run=with_rows.run)


@pytest.mark.parametrize(
    "fill", ["Message.length", "Message.nope=1", "Message.content='x'", "Message.length=1; SELECT 2"]
)
def test_what_cannot_be_filled_is_said_before_anything_is_written(fill: str, with_rows: Checkout) -> None:
    edited(
        with_rows,
        '    "content"    text NOT NULL,',
        '    "content"    text NOT NULL,\n    "length"     integer NOT NULL,',
    )
    names = with_rows.names()
    with pytest.raises(UsageError, match="--fill"):
        generate("change", with_rows.workbench, Wishes(fills=(fill,)), run=with_rows.run)
    assert with_rows.names() == names
