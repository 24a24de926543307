"""What a generation writes, and that it writes nothing that the gate has not proven."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipeline.check.checking import check
from pipeline.deploy import apply
from pipeline.errors import InvalidPlan, Refused, UsageError
from pipeline.generate.differ import Difference, Step
from pipeline.generate.differ.pg_delta import PgDelta
from pipeline.generate.generating import DraftLeft, generate, generate_empty
from pipeline.generate.proposals import Wishes
from pipeline.generate.verifying import verify
from pipeline.lint import lint
from pipeline.lint.reporting import as_text
from pipeline.lint.source import read_sources
from pipeline.migrations import read_folder
from tests.generate.conftest import DIFFER, copy_of_the_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from tests.generate.conftest import Checkout

REACTION = """
-- What a person thinks of a message.
CREATE TABLE "Reaction" (
    "id"        uuid NOT NULL DEFAULT gen_random_uuid(), -- made here
    "messageId" uuid NOT NULL,
    CONSTRAINT "Reaction_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Reaction_messageId_fkey" FOREIGN KEY ("messageId") REFERENCES "Message" ("id") ON DELETE CASCADE
);
CREATE INDEX "Reaction_messageId_idx" ON "Reaction" ("messageId");
"""
INDEX = 'CREATE INDEX "Message_model_idx" ON "Message" ("model");'


def texts(checkout: Checkout, pattern: str = "0007*") -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(checkout.workbench.migrations.glob(pattern))}


def test_a_schema_that_the_migrations_build_needs_no_file(checkout: Checkout) -> None:
    names = checkout.names()
    assert generate("nothing", checkout.workbench, run=checkout.run).files == ()
    assert checkout.names() == names


def test_a_new_column_is_one_file_and_is_applied(checkout: Checkout) -> None:
    checkout.edit(
        checkout.workbench.schema.read_text().replace(
            '    "metaJson"   jsonb,', '    "metaJson"   jsonb,\n    "pinned" boolean NOT NULL DEFAULT false,'
        )
    )
    made = generate("Add message pinned", checkout.workbench, run=checkout.run)
    assert texts(checkout) == {
        "0007_add_message_pinned.sql": "-- Add message pinned\n-- depends: 0006_what_both_clients_can_read_validate\n\n"
        'ALTER TABLE "Message" ADD COLUMN "pinned" boolean NOT NULL DEFAULT false;\n',
        "0007_add_message_pinned.rollback.sql": "-- Undo: add message pinned\n--\n"
        '-- Loses: column "Message"."pinned" with its contents.\n\nALTER TABLE "Message" DROP COLUMN "pinned";\n',
    }
    assert made.report is not None
    assert [each.id for each in made.report.applied] == ["0007_add_message_pinned"]


def test_a_new_table_is_in_the_developers_words_and_granted(checkout: Checkout) -> None:
    checkout.append(REACTION)
    generate("reactions", checkout.workbench, run=checkout.run)
    text = texts(checkout)["0007_reactions.sql"]
    assert REACTION.split("\n", 2)[2].split(";", maxsplit=1)[0] in text
    assert 'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE "Reaction" TO server, ai_service;' in text
    assert checkout.rows("SELECT has_table_privilege('ai_service', '\"Reaction\"', 'INSERT')") == [(True,)]


def test_an_index_on_a_table_in_use_is_built_concurrently_in_a_file_of_its_own(checkout: Checkout) -> None:
    checkout.append(f"{REACTION}\n{INDEX}")
    made = generate("reactions", checkout.workbench, run=checkout.run)
    assert [path.name for path in made.files] == ["0007_reactions.sql", "0008_reactions_index.sql"]
    assert "-- transactional: false" in made.files[1].read_text()
    assert 'CREATE INDEX CONCURRENTLY "Message_model_idx"' in made.files[1].read_text()


def test_a_check_on_a_table_in_use_is_validated_in_a_second_file(checkout: Checkout) -> None:
    checkout.append('ALTER TABLE "Message" ADD CONSTRAINT "Message_content_check" CHECK (length("content") < 100);')
    made = generate("limit", checkout.workbench, run=checkout.run)
    first, second = (path.read_text() for path in made.files)
    assert "NOT VALID;" in first
    assert 'VALIDATE CONSTRAINT "Message_content_check";' in second


def test_not_null_comes_by_way_of_a_validated_check(checkout: Checkout) -> None:
    schema = checkout.workbench.schema.read_text()
    checkout.edit(schema.replace('    "provider"   text,', '    "provider"   text NOT NULL,'))
    made = generate("provider", checkout.workbench, run=checkout.run)
    assert made.findings == ()
    second = made.files[1].read_text()
    assert second.index("VALIDATE") < second.index("SET NOT NULL") < second.index("DROP CONSTRAINT")


@pytest.mark.parametrize("sql", [REACTION, INDEX, 'ALTER TABLE "Thread" ADD CONSTRAINT "c" CHECK ("model" <> \'\');'])
def test_what_is_written_passes_lint(checkout: Checkout, sql: str) -> None:
    checkout.append(sql)
    generate("change", checkout.workbench, run=checkout.run)
    assert as_text(lint(read_sources(read_folder(checkout.workbench.migrations).files))) == ""


def test_the_same_edit_gives_the_same_bytes(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> None:
    again = tmp_path_factory.mktemp("again")
    copy_of_the_repository(again, extras=False)
    workbenches = checkout.workbench, replace(checkout.workbench, root=again)
    for workbench in workbenches:
        with workbench.schema.open("a") as schema:
            schema.write(f'{REACTION}\n{INDEX}\nALTER TABLE "Thread" ADD CONSTRAINT "c" CHECK ("model" <> \'\');')
        generate("change", workbench)
    written = [{path.name: path.read_bytes() for path in workbench.migrations.iterdir()} for workbench in workbenches]
    assert written[0] == written[1]
    assert len(written[0]) == 12 + 2 * 3


def test_lost_rows_are_listed_and_need_leave(checkout: Checkout) -> None:
    schema = checkout.workbench.schema.read_text()
    checkout.edit(schema.replace('    "provider"   text,\n', ""))
    names = checkout.names()
    with pytest.raises(Refused, match=r'column "Message"."provider" with its contents') as refused:
        generate("change", checkout.workbench, run=checkout.run)
    assert "--allow-destructive" in refused.value.remedy
    assert checkout.names() == names
    made = generate("change", checkout.workbench, Wishes(allow_destructive=True), run=checkout.run)
    assert made.losses == ('column "Message"."provider" with its contents',)
    assert "Loses, and no rollback brings it back" in made.files[0].read_text()


def test_a_probable_rename_is_pointed_out(checkout: Checkout) -> None:
    checkout.edit(checkout.workbench.schema.read_text().replace('    "provider"   text,', '    "vendor"     text,'))
    with pytest.raises(Refused) as refused:
        generate("change", checkout.workbench)
    assert "--rename Message.provider=vendor" in refused.value.remedy


@pytest.mark.parametrize("rename", ["provider", "Nothing=Other", "Message.nothing=other", "=x"])
def test_a_rename_of_nothing_is_refused(checkout: Checkout, rename: str) -> None:
    checkout.append(REACTION)
    with pytest.raises(UsageError, match="--rename"):
        generate("change", checkout.workbench, Wishes(renames=(rename,)))


@pytest.mark.parametrize("name", ["", "../x", "a b!", "x" * 90])
def test_a_name_that_no_file_can_have_is_refused(checkout: Checkout, name: str) -> None:
    with pytest.raises(UsageError, match="name of a migration"):
        generate(name, checkout.workbench)


def test_a_fault_in_the_schema_names_its_line(checkout: Checkout) -> None:
    line = checkout.workbench.schema.read_text().count("\n") + 3
    checkout.append('CREATE TABLE "A" (\n    "x" nonsense\n);')
    with pytest.raises(InvalidPlan) as fault:
        generate("change", checkout.workbench)
    assert fault.value.where == f"schema.sql:{line}"
    assert "nonsense" in fault.value.message


@pytest.mark.parametrize(
    ("written", "below"),
    [
        ("CREATE TABEL a (b int);", 0),
        ("CREATE TABLE a (\n    b int,\n    c txet\n);", 2),
        ("CREATE TABLE a (b int)\nCREATE TABLE c (d int);", 1),
        ("-- é 😀\nCREATE TABLE a (\n    b int DEFAULT length('é😀')\n    c int\n);\nCREATE TABLE d (e int);", 3),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n    RETRUN 1;\nEND $$;", 2),
        ("CREATE TABLE a (\n    b int,\n    c uuid REFERENCES nowhere\n);", 0),  # PostgreSQL gives no position
        ("CREATE TABLE a (b int CHECK (b > 0)", 0),
    ],
)
def test_a_fault_of_any_kind_in_the_schema_names_the_line_that_the_server_means(
    checkout: Checkout, written: str, below: int
) -> None:
    line = checkout.workbench.schema.read_text().count("\n") + 2
    checkout.append(written)
    with pytest.raises(InvalidPlan) as fault:
        generate("change", checkout.workbench)
    assert fault.value.where == f"schema.sql:{line + below}", fault.value


def test_what_check_would_ask_about_is_asked_before_it_is_applied(checkout: Checkout) -> None:
    checkout.append('CREATE UNLOGGED TABLE "Scratch" ("id" uuid PRIMARY KEY);')
    made = generate("add_scratch", checkout.workbench, run=checkout.run)
    assert [each.rule for each in made.findings] == ["unlogged-table"]
    assert (made.report, len(made.files)) == (None, 1)
    assert checkout.rows("SELECT to_regclass('\"Scratch\"')") == [(None,)]
    told = made.findings[0]
    text = made.files[0].read_text()
    answer = f"-- lint: ignore {told.rule} (rows of a day)\nCREATE UNLOGGED"
    made.files[0].write_text(text.replace("CREATE UNLOGGED", answer))
    assert verify(checkout.workbench).proven == (made.files[0].stem,)
    assert [each.id for each in checkout.run(checkout.folder).applied] == [made.files[0].stem]
    assert check(checkout.workbench).findings == ()


def test_a_dry_run_gives_the_texts_and_writes_and_applies_nothing(checkout: Checkout) -> None:
    checkout.append(REACTION)
    names, kept = checkout.names(), checkout.workbench.root / "docs"
    told = generate("add_reaction", checkout.workbench, Wishes(dry_run=True), run=checkout.run)
    assert (checkout.names(), told.files, told.report, kept.exists()) == (names, (), None, False)
    assert checkout.rows("SELECT to_regclass('\"Reaction\"')") == [(None,)]
    made = generate("add_reaction", checkout.workbench, run=checkout.run)
    assert [each.forward for each in told.proposed] == [path.read_text() for path in made.files]
    assert [each.id for each in told.proposed] == [path.stem for path in made.files]


def test_a_dry_run_that_could_only_be_a_draft_says_what_is_missing_and_writes_none(checkout: Checkout) -> None:
    schema = checkout.workbench.schema.read_text()
    checkout.edit(schema.replace('    "content"    text', '    "must"    text NOT NULL,\n    "content"    text'))
    names = checkout.names()
    with pytest.raises(InvalidPlan, match="no migration could be proven"):
        generate("change", checkout.workbench, Wishes(dry_run=True))
    assert checkout.names() == names


def test_with_draft_nothing_is_applied(checkout: Checkout) -> None:
    checkout.append(REACTION)
    made = generate("change", checkout.workbench, Wishes(draft=True), run=checkout.run)
    assert made.report is None
    assert checkout.rows("SELECT to_regclass('\"Reaction\"')") == [(None,)]


# -- the gate, with differs that err ----------------------------------------------------------------------------------


class Sabotaged:
    """The real differ, with its answer changed."""

    def __init__(self, change: Callable[[Difference], Difference]) -> None:
        self._change = change

    def difference(self, left: DatabaseURL, right: DatabaseURL, *, roles: Sequence[str]) -> Difference:
        return self._change(PgDelta(DIFFER).difference(left, right, roles=roles))


TWO_TABLES = 'CREATE TABLE "A" ("id" int PRIMARY KEY, "x" text); CREATE TABLE "B" ("id" int PRIMARY KEY);'
SABOTAGE: dict[str, Callable[[Difference], Difference]] = {
    "it finds nothing": lambda _: Difference((), ()),
    "it forgets a step": lambda d: replace(d, forward=d.forward[:-1]),
    "it forgets a step back": lambda d: replace(d, backward=d.backward[:-1]),
    "it does too much": lambda d: replace(d, forward=(*d.forward, Step("CREATE TABLE c (id int)"))),
    "it does too much on the way back": lambda d: replace(
        d, backward=(*d.backward, Step('DROP INDEX "User_email_key"'))
    ),
    "its SQL fails": lambda d: replace(d, forward=(*d.forward, Step("SELECT 1/0"))),
    "its SQL is none": lambda d: replace(d, forward=(*d.forward, Step("nonsense"))),
    "it takes a grant away": lambda d: replace(d, forward=(*d.forward, Step('REVOKE SELECT ON "Message" FROM server'))),
    "it gives a wrong type": lambda d: replace(
        d,
        forward=(
            *(Step(s.sql.replace('"x" text', '"x" varchar')) for s in d.forward),
            Step('ALTER TABLE "A" ALTER "x" TYPE varchar'),
        ),
    ),
    "it says that it cannot": lambda d: replace(d, forward=(), problem="forward: no idea"),
}


@pytest.mark.parametrize("what", SABOTAGE)
def test_a_differ_that_errs_leaves_a_draft(checkout: Checkout, what: str) -> None:
    checkout.append(TWO_TABLES)
    workbench = replace(checkout.workbench, chosen_differ=Sabotaged(SABOTAGE[what]))
    with pytest.raises(DraftLeft) as left:
        generate("change", workbench, run=checkout.run)
    assert left.value.exit_code == 4
    assert all("-- pipeline: draft" in text for text in texts(checkout).values())
    assert checkout.rows("SELECT to_regclass('\"B\"')") == [(None,)]


def test_a_draft_says_what_is_missing_and_stops_every_deploy(checkout: Checkout) -> None:
    checkout.append(TWO_TABLES)
    workbench = replace(checkout.workbench, chosen_differ=Sabotaged(SABOTAGE["it forgets a step"]))
    with pytest.raises(DraftLeft, match=r"schema is not that of schema\.sql"):
        generate("change", workbench)
    assert "-- ! " in texts(checkout)["0007_change.sql"]
    with pytest.raises(InvalidPlan, match="draft"):
        apply(checkout.local, read_folder(checkout.workbench.migrations))
    with pytest.raises(InvalidPlan, match="draft"):
        generate("other", checkout.workbench)


def test_an_empty_file_is_a_draft(checkout: Checkout) -> None:
    (path,) = generate_empty("by hand", checkout.workbench)
    assert path.name == "0007_by_hand.sql"
    assert "-- pipeline: draft" in path.read_text()


def test_the_differs_lock_file_has_no_download_addresses(request: pytest.FixtureRequest) -> None:
    folder: Path = request.config.rootpath / "pipeline" / "generate" / "differ"
    lock = json.loads((folder / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/@supabase/pg-delta"]["version"] == "1.0.0-alpha.34"
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
