"""A connection string as one client takes it, or why it cannot."""

from __future__ import annotations

import pytest

from chatdb.url import DatabaseURL
from pipeline.environments.clients import render
from pipeline.errors import ConfigurationError


def test_a_url_that_asks_for_what_a_client_cannot_give_is_refused_with_the_page_to_read() -> None:
    url = DatabaseURL.parse("postgresql://u:p@h/d?require_auth=scram-sha-256")
    assert "require_auth" in render(url, "psycopg").dsn
    with pytest.raises(ConfigurationError, match=r"not for prisma: .*require_auth") as raised:
        render(url, "prisma")
    assert raised.value.exit_code == 2
    assert "docs/services.md" in (raised.value.remedy or "")
