"""Behind a transaction-mode pooler no lock is tried and nothing is written: bar (c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbclient.url import DatabaseURL
from pipeline.deploy import apply, inspect_server
from pipeline.deploy.locking import Deadlines
from pipeline.deploy.observer import Observer
from pipeline.errors import BehindPooler, DatabaseFailed
from tests.support.pgbouncer import through_pooler_works

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="that refuses start-up settings"),
        pytest.param({"ignore_startup_parameters": "options"}, id="that drops start-up settings silently"),
    ],
)
def test_a_deploy_through_a_pooler_is_refused_and_leaves_no_lock(
    db: Database,
    superuser: Database,
    sample: FolderBuilder,
    pooled: Callable[..., DatabaseURL],
    settings: dict[str, str],
) -> None:
    url = pooled(db.url, settings)
    assert through_pooler_works(url)
    for attempt in (lambda: apply(url, sample.read()), lambda: inspect_server(url)):
        with pytest.raises(BehindPooler, match="pooler") as caught:
            attempt()
        assert caught.value.exit_code == 3
        assert "direct" in caught.value.remedy
    assert superuser.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert db.applied() == []


def test_a_pooled_host_of_neon_is_replaced_by_its_direct_one_and_said(sample: FolderBuilder) -> None:
    notes: list[str] = []

    class Listening(Observer):
        def note(self, text: str) -> None:
            notes.append(text)

    # nothing answers at this name: what matters is which one is tried
    url = DatabaseURL.parse("postgresql://u:p@ep-calm-1-pooler.invalid.neon.tech/shop?connect_timeout=2")
    with pytest.raises(DatabaseFailed, match=r"ep-calm-1\.invalid\.neon\.tech") as caught:
        apply(url, sample.read(), observer=Listening(), deadlines=Deadlines(connect=1))
    assert "-pooler" not in caught.value.message
    assert notes == ["a pooler cannot hold the lock: connecting to the direct host ep-calm-1.invalid.neon.tech instead"]
