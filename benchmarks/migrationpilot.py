"""python -m benchmarks.migrationpilot CHECKOUT [--json]: `check` without a server, over MigrationPilot's labelled corpus.

CHECKOUT is a clone of the GitHub repository mickelsamuel/migrationpilot; its `bench/` is the only thing that is read. Each
case says whether it is dangerous, and which hazard comes first. As its own runner does, this one counts a dangerous case as
found when the first hazard is named by a rule, and a safe one as a false alarm when any rule of a hazard finds something.

A case is written as somebody here would have to: what stands between BEGIN and COMMIT is a migration, any other statement
one of its own, outside of a transaction where it has to be, and all of them one deploy. A lock_timeout becomes the file's.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.lint import lint
from pipeline.lint.source import read_sources
from pipeline.migrations import read_folder, text_faults
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.migrations.sql_text import Statement

_HEADER = re.compile(r"\s*/\*\s*---\n(?P<head>.*?)\n---\s*\*/", re.DOTALL)

# The hazards that each of our rules names, by the corpus's words. `malformed` is what reading the folder refuses.
HAZARDS: dict[str, set[str]] = {
    "require-concurrent-index-creation": {"non-concurrent-index"},
    "set-not-null": {"set-not-null-scan"},
    "constraint-missing-not-valid": {"check-constraint-scan"},
    "table-rewrite": {
        "volatile-default-rewrite",
        "stored-generated-rewrite",
        "column-type-rewrite",
        "access-exclusive-maintenance",
    },
    "adding-foreign-key-constraint": {"fk-without-not-valid"},
    "disallowed-unique-constraint": {"unique-constraint-scan"},
    "enum-value-in-use": {"enum-add-value-in-transaction"},
    "index-if-not-exists": {"invalid-index-retry"},
    "malformed": {"concurrently-in-transaction"},
    "ban-drop-column": {"drop-column"},
    "drop-cascade": {"drop-table-cascade"},
    "truncate": {"truncate-cascade"},
    "renaming-column": {"rename-column-breakage"},
    "renaming-table": {"rename-table-breakage"},
    "ddl-with-data": {"ddl-plus-backfill-same-txn"},
    "drop-primary-key": {"replication-identity-break"},
    "superuser-only": {"disable-trigger-all"},
    "whole-table-change": {"unbatched-backfill"},
    "require-concurrent-partition-detach": {"partition-detach"},
    "attach-partition": {"partition-attach"},
    "several-tables": {"multi-table-ddl-transaction"},
    "lock-timeout": {"missing-lock-timeout"},
}
# About this repository's order or a matter of taste, which the corpus's runner does not count either.
NOT_HAZARDS = {
    "missing-rollback",
    "missing-grants",
    "require-enum-value-ordering",
    "prefer-timestamp-tz",
    "ban-char-field",
}


@dataclass(frozen=True)
class Case:
    """One file of the corpus, and the rules that found something in it."""

    id: str
    verdict: str
    hazards: tuple[str, ...]
    rules: tuple[str, ...]

    @property
    def named(self) -> set[str]:
        """The hazards that were named."""
        return {hazard for rule in self.rules for hazard in HAZARDS.get(rule, ())}

    @property
    def alarms(self) -> list[str]:
        """The rules that count as an alarm."""
        return [rule for rule in self.rules if rule not in NOT_HAZARDS]


def score(checkout: Path) -> list[Case]:
    """Judge every case of the corpus, in its order."""
    return [_judged(path) for path in sorted((checkout / "bench" / "corpus").glob("*/*.sql"))]


def _judged(path: Path) -> Case:
    text = path.read_text(encoding="utf-8")
    head = _HEADER.match(text)
    if head is None:
        raise SystemExit(f"{path}: it has no header")
    said = dict(line.split(": ", 1) for line in head["head"].splitlines() if ": " in line)
    hazards = tuple(word for word in re.split(r"[\[\], ]+", said["hazards"]) if word)
    return Case(said["id"], said["verdict"], hazards, tuple(sorted(_rules(text[head.end() :]))))


def _rules(text: str) -> set[str]:
    with tempfile.TemporaryDirectory(prefix="corpus-") as temporary:
        folder = Path(temporary) / "migrations"
        folder.mkdir()
        for number, file in enumerate(as_migrations(text), start=1):
            (folder / f"{number:04d}_case.sql").write_text(file, encoding="utf-8")
        read = read_folder(folder)
        faults = [*read.faults, *text_faults(read.files)]
        found = lint(read_sources(read.files, {file.id: "one deploy" for file in read.files}))
        return {finding.rule for finding in found} | ({"malformed"} if faults else set())


def as_migrations(text: str) -> Iterator[str]:
    """Write a case as the files that it would be here."""
    wait = ""
    transaction: list[str] | None = None
    for statement in statements(text):
        words = statement.words
        if words[:1] == ("BEGIN",):
            transaction = []
        elif words[:1] == ("COMMIT",):
            yield _file("\n".join(transaction or []), wait)
            transaction = None
        elif words[0] == "SET" and "LOCK_TIMEOUT" in words:
            wait = words[-1].strip("'")
        elif words[0] == "SET" and "STATEMENT_TIMEOUT" in words:
            continue
        elif transaction is not None:
            transaction.append(f"{statement.text};")
        else:
            yield _file(f"{statement.text};", "" if _is_apart(statement) else wait, apart=_is_apart(statement))


def _file(body: str, wait: str, *, apart: bool = False) -> str:
    head = f"-- pipeline: lock-timeout={wait}\n" if wait else ""
    return f"-- A case\n{head}{'-- transactional: false' if apart else ''}\n\n{body}\n"


def _is_apart(statement: Statement) -> bool:
    return statement.words[0] == "VACUUM" or "CONCURRENTLY" in statement.words


def summary(cases: list[Case]) -> dict[str, Any]:
    """Count, and name what was missed and what was a false alarm."""
    dangerous = [case for case in cases if case.verdict == "dangerous"]
    safe = [case for case in cases if case.verdict == "safe"]
    missed = [case for case in dangerous if case.hazards[0] not in case.named]
    return {
        "found": len(dangerous) - len(missed),
        "dangerous": len(dangerous),
        "false_alarms": sum(bool(case.alarms) for case in safe),
        "safe": len(safe),
        "missed": {case.id: case.hazards[0] for case in missed},
        "missed_hazards": {case.id: sorted(left) for case in dangerous if (left := set(case.hazards[1:]) - case.named)},
        "alarms": {case.id: case.alarms for case in safe if case.alarms},
    }


def main() -> None:
    """Score a checkout, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.migrationpilot", description=__doc__)
    parser.add_argument("checkout", type=Path, help="a clone of mickelsamuel/migrationpilot")
    parser.add_argument("--json", action="store_true", help="print one JSON document with every case")
    arguments = parser.parse_args()
    cases = score(arguments.checkout)
    if not cases:
        sys.exit(f"{arguments.checkout}/bench/corpus has no cases")
    told = summary(cases)
    if arguments.json:
        sys.stdout.write(json.dumps({**told, "cases": [asdict(case) for case in cases]}, indent=2) + "\n")
        return
    sys.stdout.write(
        f"found {told['found']} of {told['dangerous']}, false alarms {told['false_alarms']} of {told['safe']}\n"
    )
    for what in ("missed", "missed_hazards", "alarms"):
        for case, which in told[what].items():
            sys.stdout.write(f"  {what.replace('_', ' ')}: {case}: {which}\n")


if __name__ == "__main__":
    main()
