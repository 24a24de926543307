"""What is written wrongly on the command line: exit code 2, what may have been meant, and nothing is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from services import PROJECT
from tests.support.sample import SAMPLE_IDS
from verbs.reference.__main__ import verb_contexts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sample import Database
    from tests.verbs.conftest import Checkout


def by_invoke(checkout: Checkout, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A verb through Invoke's own program, which has options of its own."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", *arguments],
        cwd=checkout.path,
        env=checkout.environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "arguments", [["--dry", "deploy"], ["deploy", "--dry"], ["-R", "migrate"], ["--dry", "migrate"], ["push", "-R"]]
)
def test_a_dry_run_by_invokes_own_option_runs_nothing_and_names_the_one_that_there_is(
    checkout: Checkout, superuser: Database, arguments: list[str]
) -> None:
    answer = checkout.inv(*arguments)
    assert (answer.returncode, superuser.applied()) == (2, [])
    assert "--dry-run, of baseline, deploy, init, migrate, push, reset" in answer.stderr


@pytest.mark.parametrize("options", [["--dry"], ["--warn-only"], ["--command-timeout", "1"]])
def test_invokes_own_program_runs_no_verb_with_an_option_that_the_verb_cannot_honour(
    checkout: Checkout, superuser: Database, options: list[str]
) -> None:
    answer = by_invoke(checkout, *options, "deploy", "--uncommitted")
    assert (answer.returncode, superuser.applied()) == (2, []), answer.stderr
    assert options[0] in answer.stderr
    assert by_invoke(checkout, "deploy", "--uncommitted", INVOKE_RUN_DRY="1").returncode == 2


def test_the_help_names_no_option_that_is_not_honoured(checkout: Checkout) -> None:
    told = checkout.inv("--help").stdout
    for option in ("--dry", "--echo", "--pty", "--hide", "--warn-only", "--command-timeout", "--no-dedupe", "--prompt"):
        assert option not in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deploi"], "there is no verb deploi; did you mean deploy?"),
        (["statsu", "--env", "local"], "did you mean status?"),
        (["deploy", "--evn", "prod"], "deploy has no flag --evn; did you mean --env?"),
        (["deploy", "--env"], "--env of deploy needs a value"),
        (["deploy", "prod"], "./inv deploy --env prod"),
        (["migrate", "add_foo"], "./inv migrate --name add_foo"),
        (["rollback", "0004"], "./inv rollback --to 0004"),
        (["--env", "local", "status"], "./inv VERB --env"),
        (["--help", "depoy"], "did you mean deploy?"),
        (["--nonsense"], "there is no option --nonsense before a verb"),
        (["migrate", "--wait", "soon"], "--wait soon: not a number of seconds"),
    ],
)
def test_what_is_misspelt_ends_with_2_and_the_name_that_was_meant(
    checkout: Checkout, superuser: Database, arguments: list[str], said: str
) -> None:
    answer = checkout.inv(*arguments)
    assert (answer.returncode, answer.stdout, superuser.applied()) == (2, "", []), answer.stderr
    assert said in answer.stderr


def test_the_word_that_a_verb_takes_for_a_flag_is_a_flag_of_it() -> None:
    from verbs import VERBS

    contexts = verb_contexts()
    assert {name for name, verb in VERBS.items() if verb.bare and f"--{verb.bare}" not in contexts[name].flags} == set()


def test_the_version_is_the_repositorys(checkout: Checkout) -> None:
    answer = checkout.inv("--version")
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"{PROJECT} ")


@pytest.mark.parametrize("verb", ["--list", "--help", "--help deploy", "plan"])
def test_a_reader_that_goes_away_gives_no_traceback(checkout: Checkout, verb: str) -> None:
    for number in range(60):
        checkout.write(f"{number + 100:04}_long", f"-- {'x' * 4000}\nSELECT 1;")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            checkout.command(*verb.split()),
            cwd=checkout.path,
            env=checkout.environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=120,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def whole(superuser: Database) -> Callable[[], str]:
    """What is in the database: its objects with the last change of each, and the rows of its history."""

    def read() -> str:
        return str(
            superuser.value(
                "SELECT string_agg(relname || ':' || relfilenode || ':' || c.xmin, ',' ORDER BY c.oid) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^pg_toast' AND nspname <> 'pg_catalog'"
            )
        ) + str(superuser.applied())

    return read


def test_a_dry_run_of_a_deploy_shows_the_plan_and_writes_nothing(checkout: Checkout, whole: Callable[[], str]) -> None:
    before = whole()
    answer = checkout.inv("deploy", "--dry-run", "--env", "dev")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("-- migrations/") == 5
    assert answer.stdout.endswith("a dry run: nothing was changed\n")
    document = json.loads(checkout.inv("deploy", "--dry-run", "--json").stdout)
    assert [each["id"] for each in document["pending"]] == SAMPLE_IDS
    assert whole() == before


def test_a_dry_run_is_refused_as_the_run_itself_would_be(checkout: Checkout, superuser: Database) -> None:
    command = checkout.command("deploy", "--dry-run")
    command.remove("--uncommitted")
    refused = subprocess.run(
        command, cwd=checkout.path, env=checkout.environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert refused.returncode == 3, refused.stdout
    superuser.run("CREATE TABLE somebodys ()")
    assert checkout.inv("migrate", "--dry-run").returncode == 3
    superuser.run("DROP TABLE somebodys")
    checkout.write("0006_draft", "-- pipeline: draft\nSELECT 1;")
    for verb in ("migrate", "deploy", "reset"):
        assert checkout.inv(verb, "--dry-run").returncode == 4
    assert superuser.applied() == []


def test_a_dry_run_of_migrate_and_of_reset_says_what_they_would_do(
    checkout: Checkout, superuser: Database, whole: Callable[[], str]
) -> None:
    told = checkout.inv("migrate", "--dry-run")
    assert (told.returncode, superuser.applied()) == (0, []), told.stderr
    assert told.stdout.count("-- migrations/") == 5
    assert checkout.inv("migrate").returncode == 0
    before = whole()
    again = checkout.inv("reset", "--dry-run")
    assert again.returncode == 0, again.stderr
    assert f"would drop the database {checkout.url.database} on " in again.stdout
    assert "and apply 5 migrations" in again.stdout
    assert whole() == before
    assert checkout.inv("migrate", "--dry-run", "--name", "x", "--empty").returncode == 2


COMPLETE = """
source /dev/stdin <<< "$SCRIPT"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
PATH=/nonexistent
_inv
echo "${COMPREPLY[*]}"
"""


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["dep"], "deploy"),
        (["re"], "reader rehearse renumber reset restore"),
        (["deploy", "--dr"], "--dry-run"),
        (["deploy", "--env", ""], "local dev prod"),
        (["status", "-e", "pr"], "prod"),
        (["--ver"], "--version"),
        (["completion", ""], "bash zsh fish"),
        (["deploy", "--env", "dev", "--json", "--unc"], "--uncommitted"),
    ],
)
def test_bash_completes_verbs_flags_and_environments_and_starts_no_program(
    checkout: Checkout, words: list[str], completed: str
) -> None:
    for stack in ("dev", "prod"):
        (checkout.path / f"Pulumi.{stack}.yaml").touch()
    script = checkout.inv("completion", "bash")
    assert script.returncode == 0, script.stderr
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", "./inv", *words],
        cwd=checkout.path,
        env={**os.environ, "SCRIPT": script.stdout},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == (completed, "")


@pytest.mark.parametrize(("shell", "no_execute"), [("zsh", "-n"), ("fish", "--no-execute")])
def test_what_another_shell_is_given_is_in_its_language(checkout: Checkout, shell: str, no_execute: str) -> None:
    script = checkout.inv("completion", shell)
    assert script.returncode == 0, script.stderr
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine to read its script")
    done = subprocess.run(
        [shell, no_execute, "/dev/stdin"],
        input=script.stdout,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_shell_that_nobody_knows_is_refused_with_those_that_there_are(checkout: Checkout) -> None:
    answer = checkout.inv("completion", "tcsh")
    assert answer.returncode == 2
    assert "bash, zsh, fish" in answer.stderr
    assert checkout.inv("completion").returncode == 2
