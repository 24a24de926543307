"""What was deployed when, by whom, of which commit, and how long it took: as lines, as JSON, and as a page in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.sample import SAMPLE_IDS, Database

if TYPE_CHECKING:
    from tests.support.browser import Browser, Page
    from tests.verbs.conftest import Checkout

STRANGE = "<script>document.title = 'run'</script>\u202e & co"


def test_every_migration_is_listed_with_who_and_how_long(checkout: Checkout) -> None:
    assert checkout.inv("deploy", "--env", "dev", GITHUB_ACTOR="ada").returncode == 0
    answer = checkout.inv("history", "--env", "dev")

    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert [id_ for id_ in SAMPLE_IDS for line in lines if id_ in line] == SAMPLE_IDS
    assert all(" ms" in line and "ada" in line for line in lines[1:-1])
    assert lines[-1] == "5 entries, 0 slow (from 1 s)"


def test_slow_ones_are_marked_from_where_one_says(checkout: Checkout) -> None:
    checkout.write("0006_waits", "-- waits\nSELECT pg_sleep(0.3);")
    assert checkout.inv("deploy").returncode == 0

    document = json.loads(checkout.inv("history", "--slow", "0.25", "--json").stdout)
    assert document["slow_from"] == 250
    assert {each["id"] for each in document["entries"] if each["slow"]} >= {"0006_waits"}
    answer = checkout.inv("history", "--slow", "0.25")
    assert [line for line in answer.stdout.splitlines() if " slow " in line and "0006_waits" in line]
    assert checkout.inv("history", "--slow", "soon").returncode == 2


def test_what_was_undone_is_history_too(checkout: Checkout) -> None:
    checkout.write("0006_more", "CREATE TABLE more (id int);", "DROP TABLE more;")
    assert checkout.inv("migrate").returncode == 0
    assert checkout.inv("rollback", "--yes").returncode == 0

    entries = json.loads(checkout.inv("history", "--json").stdout)["entries"]
    assert [(each["id"], each["operation"]) for each in entries[-2:]] == [
        ("0006_more", "apply"),
        ("0006_more", "rollback"),
    ]
    assert [each["at"] for each in entries] == sorted(each["at"] for each in entries)


def test_an_environment_without_a_deploy_has_no_history(checkout: Checkout) -> None:
    answer = checkout.inv("history")
    assert (answer.returncode, answer.stdout.splitlines()[-1]) == (0, "0 entries, 0 slow (from 1 s)")
    assert checkout.inv("history", "--page", "past.html").returncode == 0
    assert "Nothing was deployed here yet." in (checkout.path / "past.html").read_text()


def test_a_page_is_not_written_where_there_is_no_folder(checkout: Checkout) -> None:
    answer = checkout.inv("history", "--page", "no/such/past.html")
    assert answer.returncode == 2
    assert "no/such/past.html: cannot write it: No such file or directory" in answer.stderr


def test_the_page_is_readable_in_a_browser(checkout: Checkout, browser: Browser) -> None:
    checkout.write("0006_waits", "-- waits\nSELECT pg_sleep(0.3);")
    assert checkout.inv("deploy", "--env", "dev").returncode == 0
    assert checkout.inv("history", "--env", "dev", "--slow", "0.25", "--page", "past.html").returncode == 0
    page = browser.open(checkout.path / "past.html")

    assert page.value("document.title") == "What was deployed to dev"
    assert page.value("document.querySelectorAll('svg .mark').length") == 6
    slow = page.value("[...document.querySelectorAll('svg rect.is-slow title')].map(e => e.textContent)")
    assert any(title.startswith("0006_waits (apply): ") for title in slow)
    # higher is longer: the marks stand in the order of their durations
    heights = page.value("[...document.querySelectorAll('svg .mark')].map(e => e.getBoundingClientRect().bottom)")
    assert min(heights) == heights[5]
    assert page.value("document.querySelector('tbody tr').textContent").count("0006_waits") == 1
    assert_readable(page)


def test_what_others_named_is_shown_and_not_obeyed(checkout: Checkout, superuser: Database, browser: Browser) -> None:
    assert checkout.inv("deploy").returncode == 0
    with superuser.connect() as connection:
        connection.execute("UPDATE migration_history._yoyo_log SET username = %s, hostname = %s", (STRANGE, STRANGE))
    assert checkout.inv("history", "--page", "past.html").returncode == 0
    page = browser.open(checkout.path / "past.html")

    assert page.value("document.title").startswith("What was deployed to ")
    assert page.value("document.scripts.length") == 0
    assert "<script>document.title = 'run'</script>\\u202e & co" in page.value("document.body.textContent")


def assert_readable(page: Page) -> None:
    """On a phone and on a screen, by day and by night, with the keyboard; and nothing is fetched for it."""
    for width in (400, 1280):
        for scheme in ("light", "dark"):
            page.look(width=width, scheme=scheme)
            assert page.overflow() == 0, f"{width} px"
            low = [(text, round(ratio, 2)) for text, ratio in page.contrasts() if ratio < 4.5]
            assert low == [], scheme
    page.look(width=400, scheme="dark")
    assert page.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    # whatever scrolls sideways is reached by Tab, after the link that leads past what stands before the content
    scrolling = page.value(
        "[...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1 && "
        "getComputedStyle(e).overflowX === 'auto').map(e => 'div ' + e.getAttribute('aria-label'))"
    )
    focused = page.tab()
    assert focused == "a To the content"
    reached: list[str] = []
    while focused not in reached and len(reached) < 200:
        reached.append(focused)
        focused = page.tab()
    assert set(scrolling) <= set(reached)
    assert (page.requests(), page.complaints()) == ([], [])
