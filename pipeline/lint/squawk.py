"""squawk (sbdchd/squawk, PyPI squawk-cli) as a source of findings beside our own rules."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline import packages
from pipeline.errors import ConfigurationError, PipelineError
from pipeline.lint.finding import Finding
from pipeline.lint.locks import locked_by
from pipeline.lint.source import offset_of
from pipeline.migrations.phrase import Phrase
from servers.version import MAJORS, production_major

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.lint.source import Source, Step

# squawk's rules that find something here, as of squawk 2.70, each with what to do about it: squawk itself often says only
# what is wrong.
_GO_ON = "Deploy releases that do without it first, then drop it, and ignore this rule with that as the reason."
_RENAME = (
    "Expand and contract (docs/expand-contract.md): the new name beside the old one, until no release uses the old one."
)
_KEEP = "Check the column instead: ALTER TABLE … ADD CONSTRAINT … CHECK (…) NOT VALID; and VALIDATE."
HELP = {
    "ban-alter-domain-with-add-constraint": "It takes SHARE on every table with a column of the domain, and reads them all: "
    "nobody can write meanwhile. " + _KEEP,
    "ban-alter-identity": "A release that gives the column a value, or leaves it out, fails from the commit on. "
    + _GO_ON,
    "ban-char-field": "char(n) fills up with blanks. Write text, or varchar(n) where a length is meant.",
    "ban-concurrent-index-creation-in-transaction": "Put it into a file of its own whose head has `-- transactional: false`.",
    "ban-create-domain-with-constraint": "A domain's constraint cannot be changed without reading every table of it. Make it a "
    "CHECK of the column: ALTER TABLE … ADD CONSTRAINT … CHECK (…) NOT VALID; and VALIDATE.",
    "ban-drop-column": "ACCESS EXCLUSIVE for a moment; from the commit on every query of a running release that names the column "
    "fails, and its contents are gone. " + _GO_ON,
    "ban-drop-database": "The infrastructure program makes and removes databases.",
    "ban-drop-domain": _GO_ON,
    "ban-drop-extension": "Its types and functions go along. " + _GO_ON,
    "ban-drop-function": "A running release that calls it fails from the commit on. " + _GO_ON,
    "ban-drop-generated-expression": "Rows of a running release get no value in the column from the commit on. "
    + _GO_ON,
    "ban-drop-schema": "Everything in it goes along. " + _GO_ON,
    "ban-drop-sequence": "What counts with it fails from the commit on. " + _GO_ON,
    "ban-drop-table": "ACCESS EXCLUSIVE until the commit, on tables that it refers to as well; every query of a running release "
    "that names it fails from then on, and its rows are gone. " + _GO_ON,
    "ban-drop-type": _GO_ON,
    "ban-drop-view": "Every query of a running release that reads it fails from the commit on. " + _GO_ON,
    "ban-duplicate-column-assignments": "PostgreSQL refuses it. Assign the column once.",
    "ban-set-schema": "Queries of a running release do not find it from the commit on. " + _RENAME,
    "ban-uncommitted-transaction": "Leave BEGIN out: the file is a transaction already.",
    "identifier-too-long": "PostgreSQL cuts a name at 63 bytes. Choose a shorter one.",
    "prefer-timestamp-tz": "Write timestamptz: a timestamp without time zone means another instant to each session.",
    "renaming-column": "ACCESS EXCLUSIVE for a moment; every query of a running release that says the old name fails from the "
    "commit on. " + _RENAME,
    "renaming-object": "What says the old name fails from the commit on. " + _RENAME,
    "renaming-table": "ACCESS EXCLUSIVE for a moment; every query of a running release that says the old name fails from the "
    "commit on. " + _RENAME + " A view under the old name serves readers and simple writers.",
    "require-enum-value-ordering": "It goes to the end. If order matters: ALTER TYPE … ADD VALUE … BEFORE …; it cannot be moved.",
    "syntax-error": "Correct it.",
    "transaction-nesting": "Leave BEGIN and COMMIT out: the file is a transaction already. What must be committed apart goes to "
    "a file of its own.",
}
SQUAWK_RULES = tuple(HELP)

# And those that are wrong for this repository, or said better by a rule of ours, with the reason.
EXCLUDED = {
    "prefer-robust-stmts": "a file runs in one transaction with its record: IF NOT EXISTS would only hide drift",
    "require-timeout-settings": "the runner sets lock_timeout and statement_timeout",
    "require-lock-timeout": "the runner sets it",
    "require-statement-timeout": "the runner sets it",
    "prefer-bigint-over-int": "Auth.js's adapter writes integers",
    "prefer-bigint-over-smallint": "a small range is a choice",
    "prefer-identity": "keys are uuid here; a serial column is found by its missing grant",
    "prefer-text-field": "a length is a choice; widening it rewrites nothing since PostgreSQL 9.2",
    "ban-drop-not-null": "the services of this repository read optional columns",
    "prefer-repack": "an extension that Neon has not",
    # ours know the schema before the statement: what is new, partitioned, proven, of which type
    "adding-not-nullable-field": "ours, set-not-null, knows the validated check that makes it quick",
    "changing-column-type": "ours, table-rewrite, says the same and what it does to storage",
    "adding-field-with-default": "ours, table-rewrite, asks pg_proc what is volatile",
    "ban-truncate-cascade": "ours, truncate, finds it without CASCADE, too",
    "adding-foreign-key-constraint": "ours, of the same name",
    "adding-required-field": "ours, of the same name",
    "adding-serial-primary-key-field": "ours, of the same name",
    "ban-drop-constraint": "ours, of the same name",
    "ban-drop-default": "ours, of the same name",
    "constraint-missing-not-valid": "ours, of the same name, and validate-in-same-file",
    "disallowed-unique-constraint": "ours, of the same name",
    "require-concurrent-index-creation": "ours, of the same name",
    "require-concurrent-index-deletion": "ours, of the same name",
    "require-concurrent-partition-detach": "ours, of the same name",
    "require-concurrent-reindex": "ours, of the same name",
}
# Those that a rule of ours has the name of.
REPLACED = tuple(rule for rule, why in EXCLUDED.items() if why.startswith("ours, of the same name"))
# What ignore comments may still call a rule of ours.
FORMER_NAMES = {
    "adding-field-with-default": "table-rewrite",
    "changing-column-type": "table-rewrite",
    "adding-not-nullable-field": "set-not-null",
    "ban-truncate-cascade": "truncate",
}


def has_squawk(tell: Callable[[str], None]) -> bool:
    """Whether squawk is installed, now at the latest; where it cannot be had, `tell` hears why."""
    try:
        packages.ensure("check")
    except ConfigurationError as error:
        tell(f"linted without squawk: {error.message}")
        return False
    return True


def squawk(sources: Sequence[Source]) -> tuple[list[Finding], list[Finding]]:
    """Run squawk over these migrations; what it finds, and what it would find elsewhere.

    The latter is of rules that ours have taken the place of, and about what nobody uses yet because it came with the same
    deploy.

    Raises:
        ConfigurationError: squawk is not installed.
        PipelineError: it gave an answer that we cannot read.
    """
    if not sources:
        return [], []
    by_path = {source.path: source for source in sources}
    answer = _asked([*by_path])
    found, elsewhere = _inside(sources), list[Finding]()
    for item in answer:
        source, finding = by_path[item["file"]], _finding(item, item["file"])
        if _counts(item, source) and not _is_about_new(item, source):
            found.append(finding)
        elif item["rule_name"] not in EXCLUDED or item["rule_name"] in REPLACED:
            elsewhere.append(finding)
    return found, elsewhere


def _inside(sources: Sequence[Source]) -> list[Finding]:
    """What squawk finds in DO blocks and in functions that are called: their statements are given to it as a file."""
    steps = [
        (source, step)
        for source in sources
        for step in source.running
        if step.statement is not step.anchor or step.statement not in source.statements
    ]
    if not steps:
        return []
    with TemporaryDirectory(prefix="check-") as folder:
        path = Path(folder) / "inside.sql"
        path.write_text("\n".join(_one_line(step) for _, step in steps), encoding="utf-8")
        found = []
        for item in _asked([str(path)]):
            source, step = steps[min(item["line"], len(steps) - 1)]
            if _counts(item, source) and item["rule_name"] != "syntax-error" and not _concerns_new_only(step):
                told = _finding(item, source.path)
                found.append(source.at(step, told.rule, told.message, told.help))
        return found


def _one_line(step: Step) -> str:
    return " ".join(token.text.replace("\n", " ") for token in step.statement.tokens) + ";"


def _asked(paths: Sequence[str]) -> list[dict[str, Any]]:
    answer = subprocess.run(
        [
            _program(),
            "--reporter",
            "json",
            "--pg-version",
            str(production_major() or MAJORS[0]),
            "--assume-in-transaction",
            "--",
            *paths,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    try:
        found: list[dict[str, Any]] = json.loads(answer.stdout)
    except ValueError as error:
        raise PipelineError(f"squawk failed: {answer.stderr.strip() or answer.stdout.strip()}") from error
    return found


def _counts(item: dict[str, Any], source: Source) -> bool:
    if item["rule_name"] == "ban-concurrent-index-creation-in-transaction":
        # squawk cannot know `-- transactional: false`; the reader of the folder refuses the statement anywhere else
        return source.is_transactional
    return item["rule_name"] not in EXCLUDED


def _is_about_new(item: dict[str, Any], source: Source) -> bool:
    """Whether all that the statement changes was made by the same deploy, so that nobody uses it yet."""
    offset = offset_of(source.text, item["line"] + 1, item["column"] + 1)
    for step in source.running:
        statement = step.statement
        if step.anchor is statement and statement.start <= offset <= statement.start + len(statement.text):
            return _concerns_new_only(step)
    return False


def _concerns_new_only(step: Step) -> bool:
    phrase = Phrase(step.statement)
    if phrase.take_any("DROP VIEW", "DROP MATERIALIZED VIEW"):
        phrase.take("IF", "EXISTS")
        tables = phrase.names()
    elif step.words[0] in {"ALTER", "DROP"}:
        tables = list(locked_by(step.statement, step.before))
    else:
        return False
    return bool(tables) and not any(step.before.in_use(table) for table in tables)


def _finding(item: dict[str, Any], path: str) -> Finding:
    # squawk counts lines and columns from 0
    rule = item["rule_name"]
    help_ = HELP.get(rule) or item["help"] or ""
    return Finding(
        path=path,
        line=item["line"] + 1,
        column=item["column"] + 1,
        end_line=item["line_end"] + 1,
        end_column=item["column_end"] + 1,
        rule=rule,
        message=item["message"],
        help=f"{help_} (https://squawkhq.com/docs/{rule})".lstrip(),
    )


def _program() -> str:
    beside = Path(sys.executable).parent / "squawk"
    found = str(beside) if beside.exists() else shutil.which("squawk")
    if found is None:
        raise ConfigurationError(
            "squawk is not installed",
            remedy="`./inv check` installs it; by hand: pip install --only-binary :all: --require-hashes -r locks/check.lock",
        )
    return found
