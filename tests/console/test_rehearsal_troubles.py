"""What becomes of a service's statement, in a sentence for each kind of trouble."""

from __future__ import annotations

import pytest

from pipeline.console.rehearsal.troubles import compatibility_text, trouble_text
from pipeline.rehearsal.result import Compatibility, StatementTrouble, Trouble
from tests.console.rehearsals import PET


def trouble(kind: Trouble, reason: str, **more: object) -> StatementTrouble:
    return StatementTrouble(kind, "server", "server", "live", "findPets", reason, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            trouble(Trouble.FAILS, "refused", sqlstate="42703", condition="undefined_column", file="0006_x"),
            "cannot be planned any more (undefined_column), since 0006_x",
        ),
        (
            trouble(Trouble.FAILED_BEFORE, "refused", sqlstate="42P01"),
            "cannot be planned, before the migrations either (42P01)",
        ),
        (
            trouble(Trouble.FAILS, "null", sqlstate="23502", condition="not_null_violation", table=PET, name="kind"),
            f"puts NULL into {PET}.kind, which takes none now (not_null_violation)",
        ),
        (
            trouble(Trouble.FAILS, "unique", table=PET, name="Pet_key"),
            f"is against Pet_key of {PET}, a rule that was not there",
        ),
        (
            trouble(Trouble.FAILS, "narrower", table="public.t", name="c"),
            "fills public.t.c, which takes less than before",
        ),
        (trouble(Trouble.FAILS, "value gone", name="mood"), "uses a value that mood does not have any more"),
        (
            trouble(Trouble.CHANGED, "parameters", name="$1 is text, and was integer"),
            "takes other parameters: $1 is text, and was integer",
        ),
        (trouble(Trouble.CHANGED, "results", name="kind is gone"), "gives other results: kind is gone"),
        (
            trouble(Trouble.CHANGED, "default", table=PET, name="kind"),
            f"leaves {PET}.kind to a default that is gone",
        ),
        (
            trouble(Trouble.LOST_INDEX, "index", table=PET, name="i", rows=48_000),
            f"reads all of {PET} (48,000 rows) now, and used i before",
        ),
    ],
)
def test_every_trouble_is_a_sentence(found: StatementTrouble, told: str) -> None:
    assert trouble_text(found) == f"server, live: findPets {told}"


def test_a_name_with_braces_is_a_name() -> None:
    assert "of {rows}" in trouble_text(trouble(Trouble.FAILS, "unique", table="{rows}", name="{0}"))


def test_the_numbers_count_a_break_once_and_what_is_none_apart() -> None:
    large = trouble(Trouble.LOST_INDEX, "index", table=PET, rows=900_000)
    small = trouble(Trouble.LOST_INDEX, "index", table=PET, rows=20_000)
    before = trouble(Trouble.FAILED_BEFORE, "refused", sqlstate="42P01")
    found = Compatibility("a" * 40, (("server", "live", 7),), (large, small, before))
    assert compatibility_text(found) == (
        "live is commit aaaaaaaaaaaa; 7 statements of the services planned, 1 break, 1 lost an index, 1 failed before too"
    )
    unknown = Compatibility(None, (), not_measured=("the live release",))
    told = "live is {}; 0 statements of the services planned, none breaks"
    assert compatibility_text(unknown) == told.format("a commit that nobody knows")
    assert compatibility_text(Compatibility(None, ())) == told.format("nothing yet")
