"""The page about a rehearsal, looked at in a browser: its timeline of locks, its tables, and what others named."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.console.pages.rehearsal import rehearsal_page
from pipeline.rehearsal.sampling import Sample
from tests.console.rehearsals import (
    PERSON,
    PET,
    VISIT,
    accepted,
    backfill,
    broken,
    file,
    lock,
    not_measured,
    passed,
    rehearsal,
    statement,
)
from tests.verbs.test_history import assert_readable

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.rehearsal.result import Rehearsal
    from tests.support.browser import Browser, Page

STRANGE = "<script>document.title = 'run'</script>\u202e & co"
MARKS = "[...document.querySelectorAll('svg.plot .mark')].filter(e => !e.closest('defs'))"


def opened(found: Rehearsal, browser: Browser, tmp_path: Path) -> Page:
    page = tmp_path / "rehearsal.html"
    page.write_text(rehearsal_page(found), encoding="utf-8")
    return browser.open(page)


def boxes(page: Page, of: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.value(
        f"{of}.map(e => ({{x: e.getBoundingClientRect().left, right: e.getBoundingClientRect().right, "
        "y: e.getBoundingClientRect().top, bottom: e.getBoundingClientRect().bottom, text: e.textContent, "
        "style: e.getAttribute('class') || ''}))"
    )
    return found


@pytest.mark.parametrize("found", [passed(), accepted(), broken(), not_measured(), rehearsal()])
def test_the_page_is_readable_on_a_phone_and_on_a_screen_by_day_and_by_night(
    found: Rehearsal, browser: Browser, tmp_path: Path
) -> None:
    page = opened(found, browser, tmp_path)
    assert page.value("document.title") == f"Rehearsal on prod: {found.result.value}"
    assert page.value("document.querySelector('h1 .badge').textContent") == found.result.value
    assert_readable(page)


@pytest.mark.parametrize("width", [400, 1280])
def test_a_bar_lies_where_its_wait_lies_in_the_deploys_time(browser: Browser, tmp_path: Path, width: int) -> None:
    page = opened(broken(), browser, tmp_path)
    page.look(width=width)
    [plot] = boxes(page, "[...document.querySelectorAll('svg.plot')]")
    whole = 4.1 + 941.6 + 3160.4  # milliseconds of the three files that keep somebody waiting
    scale = (plot["right"] - plot["x"]) / whole
    bars = {(bar["text"], round(bar["x"])): bar for bar in boxes(page, MARKS)}
    expected = {
        f"0008_visit_number_bigint: reads of {VISIT} wait for 3.2 s": (945.7, 3160.4),
        f"0007_pet_names: writes of {PERSON} wait for 100 ms": (4.1 + 842, 99.6),
        f"0007_pet_names: reads of {PET} wait for 3.6 ms": (4.1 + 938, 3.6),
    }
    for told, (begin, milliseconds) in expected.items():
        [bar] = [bar for (text, _), bar in bars.items() if text == told]
        assert bar["x"] == pytest.approx(plot["x"] + begin * scale, abs=1)
        assert bar["right"] - bar["x"] == pytest.approx(max(milliseconds * scale, 3), abs=1)
    assert len(bars) == 8 - 1  # the longest first; nobody waits for what an index is built on concurrently
    names = page.value("[...document.querySelectorAll('svg.names .head')].map(e => e.firstChild.textContent.trim())")
    assert names == [VISIT, PERSON, PET]


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("milliseconds", [0.3, 7.0, 2_900.0, 59_000.0, 118_000.0, 3_500_000.0, 90_000_000.0])
def test_no_text_of_the_timeline_lies_on_another(
    browser: Browser, tmp_path: Path, width: int, milliseconds: float
) -> None:
    long = 'public."' + "a" * 60 + '"'
    found = rehearsal(
        *(
            file(f"{number:04}_{'name' * 9}", statement(1, milliseconds, *locks))
            for number, locks in enumerate(
                [
                    (lock(VISIT, "ShareLock", 0),),
                    (lock(PERSON, "AccessExclusiveLock", 0), lock(PET, "ShareLock", 0)),
                    (replace(lock(PET, "AccessExclusiveLock", 0), table=long),),
                ],
                start=1,
            )
        )
    )
    page = opened(found, browser, tmp_path)
    page.look(width=width)
    texts = boxes(page, "[...document.querySelectorAll('.timeline text')]")
    assert len(texts) > 16
    for one, other in combinations(texts, 2):
        beside = one["right"] <= other["x"] or other["right"] <= one["x"]
        assert beside or one["bottom"] <= other["y"] + 1 or other["bottom"] <= one["y"] + 1, (one, other)
    assert all(each["x"] >= 0 and each["right"] <= width for each in texts)
    assert page.overflow() == 0


def test_what_breaks_a_budget_what_is_accepted_and_what_is_vague_look_otherwise_and_have_a_legend(
    browser: Browser, tmp_path: Path
) -> None:
    for found, style, meaning in (
        (broken(), "is-slow", "over the budget"),
        (accepted(), "is-accepted", "accepted by the file"),
        (passed(), "is-vague", "for so long, at an unknown moment of its statement"),
    ):
        page = opened(found, browser, tmp_path)
        assert any(style in bar["style"] for bar in boxes(page, MARKS))
        assert meaning in page.value("document.querySelector('.legend').textContent")
    assert "over the budget" not in page.value("document.querySelector('figure').textContent")


def test_the_timeline_is_there_in_words_and_as_a_table(browser: Browser, tmp_path: Path) -> None:
    page = opened(broken(), browser, tmp_path)
    tree = page.ask("Accessibility.getFullAXTree")["nodes"]
    [picture] = [
        each
        for each in tree
        if each.get("role", {}).get("value") == "image"
        and each.get("name", {}).get("value", "").startswith("Who waits")
    ]
    assert f"{VISIT}: reads 3.2 s, writes 3.2 s" in picture["description"]["value"]
    rows = page.value("[...document.querySelectorAll('details tbody tr')].map(e => e.textContent)")
    assert len(rows) == len(boxes(page, MARKS))
    assert f"{VISIT}reads0008_visit_number_bigint3.2 s0.0 ms" in rows


def test_the_page_has_every_statement_the_queries_and_the_services_statements(browser: Browser, tmp_path: Path) -> None:
    page = opened(broken(), browser, tmp_path)
    body = page.value("document.body.innerText")
    for told in (
        f"reads and writes of {VISIT} wait for 3.2 s (AccessExclusiveLock; about 9,400,000 rows, 2.7 GiB)",
        f"table {VISIT} is written anew (9,400,000 rows)",
        f"{PET}: 47,210 rows updated",
        "WHERE note IS NULL AND kind = $1",
        "The traffic of production: it has no pg_stat_statements",
        "findVisits\tbreak\tcannot be planned any more (undefined_column)\t0008_visit_number_bigint",
        f"pets_by_name\tlost its index\treads all of {PET} (48,000 rows) now",
        "Not measured; did not come to its end.",
    ):
        assert told in body
    assert page.value("[...document.querySelectorAll('nav a')].every(e => document.querySelector(e.hash))")


def test_a_backfill_says_what_all_of_its_batches_will_take(browser: Browser, tmp_path: Path) -> None:
    sampled = replace(backfill(), backfill=Sample(1_000_000, 5, 10_000, 9_000, 2_500.0, 4_000_000))
    found = rehearsal(sampled)
    found = replace(found, applied=replace(found.applied, milliseconds=((sampled.id, None),)))
    body = opened(found, browser, tmp_path).value("document.body.innerText")
    assert "batch by batch in the deploy itself" in body
    assert "All batches: about 4 min 10 s at 4,000 rows a second" in body


def test_what_others_named_is_shown_and_not_obeyed(browser: Browser, tmp_path: Path) -> None:
    found = rehearsal(file(STRANGE, statement(1, 3.0), accepted=STRANGE), file("2", statement(1, 9_000.0)))
    assert found.measured
    holds = (replace(lock(PET, "AccessExclusiveLock", 9_000.0), table=STRANGE, relation=STRANGE, mode=STRANGE),)
    files = tuple(
        replace(each, statements=(replace(each.statements[0], locks=holds),)) for each in found.measured.files
    )
    strange = rehearsal(*files)
    page = opened(replace(strange, not_measured=(STRANGE,), commit=STRANGE), browser, tmp_path)
    assert page.value("document.title") == "Rehearsal on prod: break"
    assert page.value("document.scripts.length") == 0
    assert "<script>document.title = 'run'</script>\\u202e & co" in page.value("document.body.textContent")
    assert page.complaints() == []
