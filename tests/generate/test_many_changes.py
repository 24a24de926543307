"""Thirty kinds of change in one edit: one generation, and `check` as CI runs it has nothing to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.check.checking import check
from pipeline.deploy.rolling_back import rollback
from pipeline.generate.generating import generate
from tests.generate.changes import CHANGES
from tests.generate.conftest import catalog
from tests.generate.test_changes import BEFORE, contents, desired_catalog

if TYPE_CHECKING:
    from pipeline.schema.catalog import Catalog
    from tests.generate.conftest import Checkout
    from tests.support.server import PostgresServer

CHANGED = """
new column: unique | type: longer varchar | not null: dropped | default: set | check: changed | foreign key: another action
index: on a table in use | index: gin | index: on a partitioned table | table: new, with keys and an index
table: with row security | table: fill factor | partition: new | enum: new | domain: new | range type: new | view: new
function: body changed | procedure: new | trigger: new | aggregate: new | comment: changed | sequence: new
schema: new, with a table | collation: new | numbering: serial to identity | unique index: changed | exclusion: changed
partitioned: foreign key | partitioned: check | partitioned: a new one with its parts
"""


def test_many_changes_at_once_pass_check_and_go_there_and_back(
    with_rows: Checkout, shape: Catalog, server: PostgresServer
) -> None:
    by_id = {change.id: change for change in CHANGES}
    schema = with_rows.workbench.schema.read_text()
    for id_ in CHANGED.replace("\n", "|").strip("|").split("|"):
        schema = by_id[id_.strip()].of(schema)
    with_rows.edit(schema)
    before = contents(with_rows)
    made = generate("many", with_rows.workbench, run=with_rows.run)
    assert (made.findings, made.notes) == ((), ())
    found = check(with_rows.workbench).findings
    assert [str(finding) for finding in found if BEFORE not in finding.path] == []

    desired = desired_catalog(with_rows, server)
    assert desired.differences(catalog(with_rows.local), without={"privilege"}) == []
    rollback(with_rows.local, with_rows.folder, to=BEFORE)
    assert shape.differences(catalog(with_rows.local)) == []
    assert contents(with_rows) == before
    with_rows.run(with_rows.folder)
    assert desired.differences(catalog(with_rows.local), without={"privilege"}) == []
