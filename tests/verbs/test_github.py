"""What a job of GitHub Actions gets to read: annotations at files, folded parts, a summary, and no command that is not ours."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

from pipeline.console.markdown import LIMIT
from tests.support.sample import SAMPLE_IDS

if TYPE_CHECKING:
    from tests.support.sample import Database
    from tests.verbs.conftest import Checkout

COMMAND = re.compile(r"^\s*::([\w-]+)(?: ([^:]*))?::(.*)$", re.MULTILINE)


def commands(text: str) -> list[tuple[str, str, str]]:
    """The runner's commands in an output: name, properties and message."""
    return [found.groups(default="") for found in COMMAND.finditer(text)]  # type: ignore[misc]


def test_a_statement_that_fails_is_annotated_at_its_line_by_deploy(checkout: Checkout) -> None:
    checkout.write("0006_wrong", "-- Wrong\n\nCREATE TABLE fine ();\nALTER TABLE nowhere ADD COLUMN note text;\n")
    answer = checkout.on_github("deploy")
    assert answer.returncode == 5
    (error,) = [each for each in commands(answer.stderr) if each[0] == "error"]
    assert error[1] == "file=migrations/0006_wrong.sql,line=4,title=MigrationFailed"
    assert 'relation "nowhere" does not exist' in error[2]
    assert "5 of 6 applied in this run" in error[2]


def test_each_fault_of_a_plan_is_annotated_at_its_file(checkout: Checkout) -> None:
    checkout.inv("deploy")
    checkout.write("0003_pets", "SELECT 3;")
    checkout.write("0006_more", "\nCOMMIT;")
    for verb in ("plan", "status", "deploy"):
        answer = checkout.on_github(verb)
        assert answer.returncode == 4
        places = [properties for name, properties, _ in commands(answer.stderr) if name == "error"]
        assert sorted(places) == [
            "file=migrations/0003_pets.sql,title=MigrationFileError",
            "file=migrations/0006_more.sql,line=2,title=MigrationFileError",
        ]


def test_nothing_is_annotated_or_folded_elsewhere(checkout: Checkout) -> None:
    checkout.write("0006_wrong", "ALTER TABLE nowhere ADD COLUMN note text;")
    assert commands(checkout.inv("plan").stdout) == []
    assert commands(checkout.inv("deploy").stderr) == []


def test_the_sql_of_a_plan_is_folded_file_by_file(checkout: Checkout) -> None:
    answer = checkout.on_github("plan")
    folds = [(name, title) for name, _, title in commands(answer.stdout)]
    expected = [("group", f"SQL of migrations/{id_}.sql") for id_ in SAMPLE_IDS]
    assert folds == [each for group in expected for each in (group, ("endgroup", ""))]
    inside = answer.stdout.partition("::group::SQL of migrations/0003_pets.sql\n")[2].partition("::endgroup::")[0]
    assert inside.startswith('CREATE TABLE "Pet"')


def test_what_the_server_says_of_a_file_is_folded_and_what_we_say_is_not(checkout: Checkout) -> None:
    checkout.write("0006_talks", "DO $$ BEGIN RAISE NOTICE 'first'; RAISE NOTICE 'second'; END $$;")
    lines = checkout.on_github("deploy").stderr.splitlines()
    start = lines.index("::group::messages of the server, in 0006_talks")
    assert lines[start + 1 : start + 4] == ["server: first", "server: second", "::endgroup::"]
    assert lines[start + 4].startswith("  0006_talks")


def test_what_a_migration_or_a_server_says_is_no_command(checkout: Checkout) -> None:
    text = "-- x\n::stop-commands::over\n  ::error::made up\n-- a ##[add-mask]b\nSELECT '1'\n  ::int;\n"
    checkout.write("0006_says", f"/*\n{text}*/\nDO $$ BEGIN RAISE NOTICE E'a\\n::error::b'; END $$;")
    answer = checkout.on_github("plan")
    assert {name for name, _, _ in commands(answer.stdout)} == {"group", "endgroup"}
    assert "\\x3a:stop-commands::over\n  \\x3a:error::made up\n-- a \\x23#[add-mask]b\n" in answer.stdout
    assert "\n  ::int;" in answer.stdout  # no command: nothing ends it
    assert {name for name, _, _ in commands(checkout.on_github("deploy").stderr)} == {"group", "endgroup"}
    document = json.loads(checkout.on_github("status", "--json").stdout)
    assert document["pending"] == []


def test_a_document_stays_the_one_thing_on_standard_output(checkout: Checkout) -> None:
    checkout.write("0006_says", "SELECT '##[error]', '\n::error::x' AS a;")
    document = json.loads(checkout.on_github("plan", "--json").stdout)
    assert document["pending"][-1]["statements"][0]["sql"] == "SELECT '##[error]', '\n::error::x' AS a"
    checkout.write("0007_wrong", "COMMIT;")
    assert json.loads(checkout.on_github("deploy", "--json").stdout)["error"]["where"] == "migrations/0007_wrong.sql:1"


def test_a_long_statement_is_told_of_while_it_runs(checkout: Checkout, superuser: Database) -> None:
    checkout.inv("deploy")
    checkout.write("0006_index", '-- transactional: false\nCREATE INDEX CONCURRENTLY person_id ON "Person" (id, name);')
    with superuser.connect() as other:
        other.execute("BEGIN; INSERT INTO \"Person\" VALUES (0, 'x')")
        with subprocess.Popen(
            checkout.command("deploy"),
            cwd=checkout.path,
            env=checkout.environment(GITHUB_ACTIONS="true"),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "so far" in line)
            other.execute("COMMIT")
            rest = process.stderr.read()
        assert process.returncode == 0
    assert re.match(r"  0006_index: \d+ s so far, waiting for writers before build, .* held up by backend \d+", line)
    assert "unmistakable" not in line + rest


def test_a_summary_has_each_file_with_its_lock_its_sql_folded_and_what_lint_finds(checkout: Checkout) -> None:
    checkout.inv("deploy")
    checkout.write("0006_age", "ALTER TABLE \"Person\" ADD COLUMN age int;\nSELECT '```';\n", "DROP TABLE x;")
    checkout.write("0007_name", 'ALTER TABLE "Pet" ALTER COLUMN name TYPE varchar(5);\n')
    summary = checkout.path / "summary.md"
    summary.write_text("what an earlier step said\n")
    answer = checkout.inv("plan", "--env", "dev", "--summary", "summary.md")
    assert answer.returncode == 0, answer.stderr
    assert "ADD COLUMN age int" in answer.stdout
    first, text = summary.read_text().split("\n", 1)
    assert first == "what an earlier step said"
    assert text.startswith("<!-- db-pipeline: plan of dev -->\n### Plan for dev: 2 migrations to apply\n")
    assert "| `0006_age` | ACCESS EXCLUSIVE | 2 | clean |" in text
    assert re.search(r"\| `0007_name` \| ACCESS EXCLUSIVE \| 1 \| \d findings? \|", text)
    assert "0001_people" not in text
    assert "\n````sql\n-- line 1: ACCESS EXCLUSIVE\n" in text  # longer than the fence inside
    assert "<details><summary>SQL of <code>migrations/0007_name.sql</code></summary>" in text
    assert "migrations/0007_name.sql:1:" in text.partition("**Lint:")[2]
    assert checkout.url.host not in text
    assert "unmistakable" not in text


def test_a_summary_of_what_cannot_be_planned_says_why(checkout: Checkout) -> None:
    checkout.inv("deploy")
    checkout.write("0003_pets", "SELECT 3;")
    refused = checkout.inv("plan", "--env", "dev", "--summary", "faults.md")
    assert refused.returncode == 4
    text = (checkout.path / "faults.md").read_text()
    assert "### Plan for dev: it would be refused" in text
    assert "migrations/0003_pets.sql: it was edited after it was applied" in text
    lost = checkout.inv(
        "plan", "--env", "dev", "--summary", "lost.md", DATABASE_URL="postgresql://u:pass@127.0.0.1:1/x"
    )
    assert lost.returncode == 5
    text = (checkout.path / "lost.md").read_text()
    assert text.startswith("<!-- db-pipeline: plan of dev -->\n### plan of dev failed\n")
    assert "no connection to 127.0.0.1:1/x" in text


def test_a_summary_fits_into_a_comment_however_much_is_pending(checkout: Checkout) -> None:
    for number in range(6, 30):
        rows = ", ".join(f"({n}, 'row {n}')" for n in range(1000, 1500))
        checkout.write(f"{number:04}_rows", f'INSERT INTO "Person" VALUES {rows};')
    assert checkout.inv("plan", "--env", "dev", "--summary", "long.md").returncode == 0
    text = (checkout.path / "long.md").read_text()
    assert len(text.encode()) <= LIMIT
    assert text.count("<details>") == text.count("</details>") < 29
    assert re.search(r"The SQL of \d+ files is left out", text)


def test_a_summary_that_cannot_be_written_is_the_callers_fault(checkout: Checkout, db: Database) -> None:
    answer = checkout.inv("plan", "--summary", "no/such/folder.md")
    assert answer.returncode == 2
    assert "error: --summary no/such/folder.md: No such file or directory\n" in answer.stderr
    assert db.applied() == []
