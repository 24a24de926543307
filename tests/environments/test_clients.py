"""A connection string as one client takes it, or why it cannot."""

from __future__ import annotations

import pytest

from dbclient.url import DatabaseURL
from pipeline.environments.clients import render
from pipeline.errors import ConfigurationError


def test_a_url_that_asks_for_what_a_client_cannot_give_is_refused_with_the_page_to_read() -> None:
    url = DatabaseURL.parse("postgresql://u:p@h/d?require_auth=scram-sha-256")
    assert "require_auth" in render(url, "psycopg").dsn
    with pytest.raises(ConfigurationError, match=r"not for prisma: .*require_auth") as raised:
        render(url, "prisma")
    assert raised.value.exit_code == 2
    assert "docs/services.md" in (raised.value.remedy or "")


def test_prismas_session_is_in_utc_where_an_option_may_say_so() -> None:
    zone = "options=-c%20TimeZone%3DUTC"
    direct = DatabaseURL.parse("postgresql://u:p@h/d")
    other = DatabaseURL.parse("postgresql://u:p@h/d?options=-c%20TimeZone%3DAsia/Tokyo")
    pooled = DatabaseURL.parse("postgresql://u:p@ep-calm-1-pooler.eu-central-1.aws.neon.tech/d?sslmode=require")
    assert zone in render(direct, "prisma").dsn
    assert render(other, "prisma").dsn.endswith("%20-c%20TimeZone%3DUTC")  # the last one counts
    assert "TimeZone" not in render(pooled, "prisma").dsn
    assert "TimeZone" not in render(direct, "asyncpg").dsn
