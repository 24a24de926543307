"""squawk (sbdchd/squawk, PyPI squawk-cli) as a source of findings beside our own rules."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.lint.finding import Finding
from pipeline.migrations.out_of_place import OF_ITS_OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.lint.source import Source

# squawk's rules that find something here, as of squawk 2.70.
SQUAWK_RULES = (
    "adding-field-with-default",
    "adding-foreign-key-constraint",
    "adding-required-field",
    "adding-serial-primary-key-field",
    "ban-alter-domain-with-add-constraint",
    "ban-alter-identity",
    "ban-char-field",
    "ban-concurrent-index-creation-in-transaction",
    "ban-create-domain-with-constraint",
    "ban-drop-column",
    "ban-drop-constraint",
    "ban-drop-database",
    "ban-drop-default",
    "ban-drop-domain",
    "ban-drop-extension",
    "ban-drop-function",
    "ban-drop-generated-expression",
    "ban-drop-schema",
    "ban-drop-sequence",
    "ban-drop-table",
    "ban-drop-type",
    "ban-drop-view",
    "ban-duplicate-column-assignments",
    "ban-set-schema",
    "ban-truncate-cascade",
    "ban-uncommitted-transaction",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "identifier-too-long",
    "prefer-timestamp-tz",
    "renaming-column",
    "renaming-object",
    "renaming-table",
    "require-concurrent-index-creation",
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
    "require-concurrent-reindex",
    "require-enum-value-ordering",
    "syntax-error",
    "transaction-nesting",
)

# And those that are wrong for this repository, with the reason.
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
    "adding-not-nullable-field": "ours, set-not-null, knows the validated check that makes it quick",
    "changing-column-type": "ours, table-rewrite, says the same and what it does to storage",
    "prefer-repack": "an extension that Neon has not",
}

# What squawk's help leaves out: how such a statement is written here.
_OF_ITS_OWN = {
    "require-concurrent-index-creation",
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
    "require-concurrent-reindex",
}


def squawk(sources: Sequence[Source]) -> list[Finding]:
    """Run squawk over these migrations.

    Raises:
        ConfigurationError: squawk is not installed.
        PipelineError: it gave an answer that we cannot read.
    """
    if not sources:
        return []
    by_path = {source.path: source for source in sources}
    answer = subprocess.run(
        [_program(), "--reporter", "json", "--pg-version", "16", "--assume-in-transaction", "--", *by_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    try:
        raw: list[dict[str, Any]] = json.loads(answer.stdout)
    except ValueError as error:
        raise PipelineError(f"squawk failed: {answer.stderr.strip() or answer.stdout.strip()}") from error
    return [_finding(item) for item in raw if _counts(item, by_path[item["file"]])]


def _counts(item: dict[str, Any], source: Source) -> bool:
    if item["rule_name"] == "ban-concurrent-index-creation-in-transaction":
        # squawk cannot know `-- transactional: false`; the reader of the folder refuses the statement anywhere else
        return "transactional: false" not in source.text
    return item["rule_name"] not in EXCLUDED


def _finding(item: dict[str, Any]) -> Finding:
    help_ = item["help"] or "See its page."
    if item["rule_name"] in _OF_ITS_OWN:
        help_ += f" {OF_ITS_OWN}"
    # squawk counts lines and columns from 0
    return Finding(
        path=item["file"],
        line=item["line"] + 1,
        column=item["column"] + 1,
        end_line=item["line_end"] + 1,
        end_column=item["column_end"] + 1,
        rule=item["rule_name"],
        message=item["message"],
        help=f"{help_} (https://squawkhq.com/docs/{item['rule_name']})",
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
