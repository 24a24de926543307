"""`prod`: a production with two migrations and five more pending, which asks for the receipt of a rehearsal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.target import Target
from tests.receipts.production import BASE, Production

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database


@pytest.fixture
def empty_prod(tmp_path: Path, folder: FolderBuilder, db: Database) -> Production:
    made = Production(tmp_path, folder, db)
    made.settings()
    return made


@pytest.fixture
def prod(empty_prod: Production) -> Production:
    empty_prod.write(BASE)
    apply(empty_prod.db.url, empty_prod.folder.read(), target=Target("prod"))
    empty_prod.write()
    return empty_prod
