"""For any user, password, host and database: rendering and reading are inverse, and nothing shows the password."""

from __future__ import annotations

import copy
import pickle
import pprint
import traceback
from dataclasses import asdict, make_dataclass
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dbclient.url import ClientSettings, DatabaseURL, InvalidDatabaseURL

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=24)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z0-9]{1,8}){0,3}", fullmatch=True)
FOLDERS = TEXT.map(lambda text: "/" + text.replace(",", ";"))
HOSTS = st.one_of(st.just(""), NAMES, st.ip_addresses().map(str), FOLDERS)
PARAMETERS = st.dictionaries(
    st.sampled_from(["schema", "application_name", "options", "unknown", "sslcert", "search_path"]), TEXT
).map(lambda values: tuple(values.items()))
URLS = st.builds(
    DatabaseURL,
    user=st.none() | TEXT,
    password=st.none() | TEXT,
    host=HOSTS,
    port=st.none() | st.integers(1, 65535),
    database=st.none() | TEXT,
    params=PARAMETERS,
)
settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")

CLIENTS = ("for_psycopg", "for_asyncpg", "for_prisma", "for_yoyo")


@given(URLS)
def test_reading_what_was_rendered_gives_the_same_value(url: DatabaseURL) -> None:
    assert DatabaseURL.parse(url.reveal()) == url


@given(URLS, st.sampled_from(CLIENTS))
def test_every_client_gets_the_same_server_database_and_person(url: DatabaseURL, client: str) -> None:
    if client == "for_prisma" and url.database:
        assume(not set(url.database) & set(";/:@&=+$,?#"))  # node-postgres reads those raw, or not at all
    settings: ClientSettings = getattr(url, client)()
    read = DatabaseURL.parse(settings.dsn)
    names = ["user", "password", "host", "port", "database"]
    assert {name: getattr(read, name) for name in names} == {name: getattr(url, name) for name in names}


@given(url=URLS, password=TEXT)
def test_nothing_shows_the_password(url: DatabaseURL, password: str) -> None:
    shown = _shown(url.copy_with(password=password))
    # What stands in another part of the URL, or in the words around it, is no leak.
    innocent = _shown(url.copy_with(password="***"))
    for spelling in (password, quote(password, safe=""), quote(password), quote_plus(password), repr(password)[1:-1]):
        assume(spelling not in innocent)
        assert spelling not in shown


@given(url=URLS, secret=TEXT, name=st.sampled_from(["sslpassword", "scram_client_key", "oauth_client_secret"]))
def test_nothing_shows_a_secret_parameter(url: DatabaseURL, secret: str, name: str) -> None:
    shown = _shown(url.copy_merge_params({name: secret}))
    innocent = _shown(url.copy_merge_params({name: "***"}))
    for spelling in (secret, quote(secret, safe=""), quote_plus(secret)):
        assume(spelling not in innocent)
        assert spelling not in shown


@given(
    secret=st.text("QXZ@:/?#[]%&=+ é\n,", min_size=6, max_size=20),
    start=st.sampled_from(["", "mysql://", "postgres://u:"]),
)
def test_an_error_about_a_broken_string_repeats_none_of_it(secret: str, start: str) -> None:
    with pytest.raises(InvalidDatabaseURL) as raised:
        DatabaseURL.parse(f"{start}{secret}@h:x/d")
    shown = "".join(traceback.format_exception_only(raised.value)) + repr(raised.value)
    assert secret not in shown
    assert not any(letter in shown for letter in "QXZé")
    assert raised.value.__context__ is None


def test_a_dataclass_that_holds_one_is_taken_apart_without_the_password() -> None:
    url = DatabaseURL.parse("postgresql://u:unmistakable@h/d")
    holder = make_dataclass("Holder", [("url", DatabaseURL), ("settings", ClientSettings)])(url, url.for_asyncpg())
    assert "unmistakable" not in repr(asdict(holder))


def _shown(url: DatabaseURL) -> str:
    """Put together all that a log, an error or a debugger shows of it to a person who did not ask for the password."""
    values = [url, url.direct(), url.pooled(), copy.deepcopy(url), *(getattr(url, client)() for client in CLIENTS)]
    texts = [form(value) for value in values for form in (str, repr, format, pprint.pformat)]
    texts += [f"{value} {value!r} {value!a}" for value in values]
    attempts = (
        lambda: pickle.dumps(url),
        lambda: pickle.dumps(url.for_asyncpg()),
        lambda: setattr(url, "password", "x"),
        lambda: setattr(url.for_psycopg(), "dsn", "x"),
        lambda: url.copy_with(port=0),
        lambda: url.copy_with(host="[]"),
        lambda: url + 1,  # type: ignore[operator]
        lambda: url.nothing,  # type: ignore[attr-defined]
    )
    for attempt in attempts:
        with pytest.raises((TypeError, AttributeError, InvalidDatabaseURL)) as raised:
            attempt()
        texts += [*traceback.format_exception_only(raised.value), repr(raised.value)]
    return "\n".join(texts)
