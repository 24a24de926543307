"""The schema as a page: what it says of each part, which migration made it, and that a browser shows it without help."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.sample import Database
from tests.verbs.test_history import assert_readable

if TYPE_CHECKING:
    from tests.support.browser import Browser, Page
    from tests.support.server import PostgresServer
    from tests.verbs.conftest import Checkout

COMMENT = "A person's pet; <b>it's</b> \\ theirs"
MORE = {
    "0006_pet_keeper": f"""
        COMMENT ON TABLE "Pet" IS $$ {COMMENT} $$;
        COMMENT ON COLUMN "Pet".name IS 'What it is called';
        ALTER TABLE "Pet" ALTER COLUMN name SET DEFAULT 'Rex', ADD CONSTRAINT "Pet_name_check" CHECK (name <> '');
        GRANT SELECT ON "Pet" TO PUBLIC;
        CREATE VIEW named AS SELECT id FROM "Pet" WHERE name IS NOT NULL;
        CREATE TYPE mood AS ENUM ('happy', 'sad');
    """,
    "0007_self": 'CREATE TABLE "Part" (id int PRIMARY KEY, whole int REFERENCES "Part", pet int NOT NULL REFERENCES "Pet");',
}


@pytest.fixture(autouse=True)
def may_make_shadows(checkout: Checkout, server: PostgresServer) -> None:
    Database(server.superuser).run(f"ALTER ROLE {checkout.url.user} CREATEDB")


def rows(page: Page, label: str) -> list[list[str]]:
    found: list[list[str]] = page.value(
        f"[...document.querySelectorAll('div')].filter(e => e.getAttribute('aria-label') === {json.dumps(label)})"
        ".flatMap(e => [...e.querySelectorAll('tbody tr')]).map(r => [...r.cells].map(c => c.textContent))"
    )
    return found


def test_the_page_says_what_each_part_is_and_which_migration_made_it(checkout: Checkout, browser: Browser) -> None:
    for id_, sql in MORE.items():
        checkout.write(id_, f"-- more\n{sql}")
    answer = checkout.inv("docs", "--page", "schema.html")
    assert (answer.returncode, answer.stdout) == (0, "schema.html\n"), answer.stderr
    page = browser.open(checkout.path / "schema.html")

    columns = {row[0]: row[1:] for row in rows(page, 'Columns of public."Pet"')}
    assert columns["id"] == ["integer NOT NULL", "PK", "", "0003_pets"]
    assert columns["owner"] == ["integer", "FK", "", "0003_pets"]
    assert columns["name"] == ["text DEFAULT 'Rex'::text", "", "What it is called", "0005_pet_name, 0006_pet_keeper"]
    assert ['"Pet_name_check"', "CHECK ((name <> ''::text))", "", "0006_pet_keeper"] in rows(
        page, 'Constraints of public."Pet"'
    )
    assert rows(page, 'Rights on public."Pet"') == [["PUBLIC", "", "SELECT", "0006_pet_keeper"]]
    assert rows(page, 'Indexes of public."Person"')[0][3] == "0004_person_name"
    assert ["enum", "public.mood", "'happy', 'sad'", "", "0006_pet_keeper"] in rows(page, "What stands by itself")
    section = page.value(
        "[...document.querySelectorAll('section')].map(s => s.innerText).find(t => t.startsWith('public.\"Pet\"'))"
    )
    assert COMMENT in section
    assert "Made by 0003_pets, changed by 0005_pet_name, 0006_pet_keeper." in section
    assert page.value("document.querySelectorAll('b').length") == 0


def test_the_diagram_has_a_box_for_each_table_and_a_line_for_each_key(checkout: Checkout, browser: Browser) -> None:
    for id_, sql in MORE.items():
        checkout.write(id_, f"-- more\n{sql}")
    assert checkout.inv("docs", "--page", "schema.html").returncode == 0
    page = browser.open(checkout.path / "schema.html")

    keys = page.value("[...document.querySelectorAll('svg .key title')].map(e => e.textContent)")
    assert set(keys) == {
        "Pet (owner) refers to Person",
        "Part (whole) refers to Part",
        "Part (pet) refers to Pet",
    }
    boxes = page.value(
        "[...document.querySelectorAll('svg .box')].map(e => e.getBoundingClientRect())"
        ".map(r => [r.left, r.top, r.right, r.bottom])"
    )
    assert len(boxes) == 3
    apart = [a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1] for a in boxes for b in boxes if a is not b]
    assert all(apart), "boxes do not overlap"
    # every text stands within its box
    assert page.value(
        "[...document.querySelectorAll('svg g:has(.box)')].every(g => [...g.querySelectorAll('text')].every(t => "
        "t.getBoundingClientRect().right <= g.querySelector('.box').getBoundingClientRect().right))"
    )
    assert_readable(page)
    page.value("document.querySelector('svg a').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert page.value("location.hash") != ""


def test_without_a_name_it_is_written_where_git_does_not_look(checkout: Checkout) -> None:
    answer = checkout.inv("docs")
    assert answer.stdout.strip() == str(checkout.path / ".local" / "schema.html"), answer.stderr
    assert "public.&quot;Person&quot;" in (checkout.path / ".local" / "schema.html").read_text()


def test_a_migration_that_fails_is_named(checkout: Checkout) -> None:
    checkout.write("0006_wrong", "-- wrong\nSELECT 1/0;")
    answer = checkout.inv("docs", "--page", "schema.html")
    assert answer.returncode == 4
    assert "0006_wrong" in answer.stderr
    assert not (checkout.path / "schema.html").exists()
