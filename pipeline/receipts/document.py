"""A receipt as JSON: an in-toto Statement (version 1) about the pending migration files.

Fields have the names of in-toto's specification, and of its predicate test-result where they mean the same. Names and numbers
only: no value of a row, and no literal of a file. Times are milliseconds, sizes bytes, instants ISO 8601 in UTC; relations
are named with their schema, and quoted where SQL needs it. `docs/schemas/receipt.schema.json` is made from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:db-pipeline:rehearsal:v1"

Outcome = Literal["PASSED", "FAILED", "NOT_MEASURED"]
ID = "the file's name without its ending"


@dataclass(frozen=True)
class Subject:
    """What the statement is about."""

    name: Annotated[str, "a pending file, or `repository`"]
    digest: Annotated[dict[str, str], "sha256 of the file's text with LF line ends, or gitCommit of the repository"]


@dataclass(frozen=True)
class Versions:
    """What it was rehearsed with."""

    pipeline: Annotated[str, "the version of this repository's pipeline"]
    postgres: Annotated[str, "PostgreSQL's version on the copies, or empty"]


@dataclass(frozen=True)
class Base:
    """What was copied: a deploy has to find the same. Of the moment and the position it need not: data moves on."""

    environment: Annotated[str, "the environment that was named"]
    projectId: Annotated[str, "Neon's project"]
    branchId: Annotated[str, "the branch that was copied, which is the environment's"]
    branchName: Annotated[str, "its name"]
    lsn: Annotated[str, "the WAL position of the copies, where a restore would go back to"]
    at: Annotated[str, "the moment of that position"]
    history: Annotated[str, "SHA-256 over what was applied there: ids and checksums"]
    schema: Annotated[str, "SHA-256 over the schema there"]


@dataclass(frozen=True)
class After:
    """What results."""

    schema: Annotated[
        str | None, "SHA-256 over the schema behind all files, or null where they did not come to their end"
    ]


@dataclass(frozen=True)
class PendingFile:
    """A file that was rehearsed."""

    id: Annotated[str, ID]
    checksum: Annotated[str, "SHA-256 of its text with LF line ends"]
    milliseconds: Annotated[int | None, "what its transaction took in the deploy itself, or null"]


@dataclass(frozen=True)
class Rows:
    """A table's rows."""

    table: Annotated[str, "its name"]
    before: Annotated[int | None, "before all files, counted; null where it was not there"]
    after: Annotated[int | None, "behind all files; null where it is gone"]


@dataclass(frozen=True)
class Lock:
    """A lock that a statement took and nothing before it in its file had taken."""

    relation: Annotated[str, "what is locked"]
    kind: Annotated[str, "table, index, sequence, view …"]
    table: Annotated[str, "whose readers and writers wait"]
    mode: Annotated[str, "as pg_locks names it"]
    blocks: Annotated[list[str], "what of the services waits: reads, writes, both or nothing"]
    heldMilliseconds: Annotated[float, "from the begin of the statement to the end of the file's COMMIT"]
    isNew: Annotated[bool, "whether these files made it, so that nobody uses it yet"]


@dataclass(frozen=True)
class Rewritten:
    """A relation that is written anew."""

    relation: Annotated[str, "its name"]
    kind: Annotated[str, "as above"]
    rows: Annotated[int, "of a table or a materialized view, else 0"]
    isNew: Annotated[bool, "as above"]


@dataclass(frozen=True)
class Changed:
    """How many rows a statement changed, its triggers and cascades included."""

    table: Annotated[str, "its name"]
    inserted: Annotated[int, "how many were inserted"]
    updated: Annotated[int, "how many were updated"]
    deleted: Annotated[int, "how many were deleted"]


@dataclass(frozen=True)
class Size:
    """A table as the file found it."""

    table: Annotated[str, "its name"]
    rows: Annotated[int, "its rows"]
    exact: Annotated[bool, "whether they were counted; else they are estimated"]
    bytes: Annotated[int, "with indexes and TOAST"]


@dataclass(frozen=True)
class MeasuredStatement:
    """What one statement did, or several that are measured together."""

    line: Annotated[int, "where it begins in the file; 0 for the file's end (deferred triggers, the record)"]
    statements: Annotated[int, "how many they are"]
    milliseconds: Annotated[float, "the server's own time"]
    walBytes: Annotated[int, "the WAL that it wrote"]
    observed: Annotated[bool, "whether another session looked, every 20 ms: the statement runs outside a transaction"]
    locks: Annotated[list[Lock], "the locks that it took"]
    rewrote: Annotated[list[Rewritten], "the relations that it wrote anew"]
    changed: Annotated[list[Changed], "the rows that it changed"]
    tables: Annotated[list[Size], "the tables that it locked first, wrote anew or changed, as they were before"]


@dataclass(frozen=True)
class MeasuredFile:
    """What one file did."""

    id: Annotated[str, ID]
    milliseconds: Annotated[float, "its statements and its COMMIT"]
    commitMilliseconds: Annotated[float, "its COMMIT"]
    walBytes: Annotated[int, "the WAL of its statements and of its record"]
    accepted: Annotated[str, "why it accepts its locks, in its author's words, or empty"]
    schema: Annotated[str, "SHA-256 over the schema behind it, or empty where it was not taken"]
    statements: Annotated[list[MeasuredStatement], "its statements in order, and its end"]


@dataclass(frozen=True)
class FailingRows:
    """The rows that stop a statement."""

    rule: Annotated[str, "not null, unique, foreign key, check or type"]
    table: Annotated[str, "the table"]
    column: Annotated[str, "the column, or empty"]
    constraint: Annotated[str, "the constraint, or empty"]
    rows: Annotated[int | None, "how many they are, or null where nobody could count them"]
    query: Annotated[str, "what finds them, with $1, $2 … for the literals of the file; or empty"]
    after: Annotated[bool, "whether they are there only behind the statement"]


@dataclass(frozen=True)
class Failure:
    """The statement that stopped the files."""

    run: Annotated[str, '"deploy" or "measured"']
    id: Annotated[str, ID]
    line: Annotated[int | None, "where it is, or null for the file's end"]
    sqlstate: Annotated[str, "the server's code"]
    condition: Annotated[str, "PostgreSQL's name for it"]
    failing: Annotated[FailingRows | None, "the rows that stop it, or null where it did not fail on data"]


@dataclass(frozen=True)
class Share:
    """What one file costs a table."""

    id: Annotated[str, ID]
    line: Annotated[int, "its first such statement; 0 for the file's end"]
    cost: Annotated[float, "milliseconds, or rows"]
    blocks: Annotated[list[str], "what waits"]
    accepted: Annotated[str, "why the file accepts it, or empty"]


@dataclass(frozen=True)
class Excess:
    """A table over a budget."""

    what: Annotated[str, '"blocked" (milliseconds) or "rewritten" (rows)']
    table: Annotated[str, "the table"]
    limit: Annotated[float, "the budget"]
    cost: Annotated[float, "the sum over all files"]
    isBreak: Annotated[bool, "whether it is over the budget without what files accept"]
    shares: Annotated[list[Share], "what each file costs it"]


@dataclass(frozen=True)
class Trouble:
    """A statement of a service that the files break or slow down."""

    trouble: Annotated[str, '"fails", "changed", "failed before" or "lost index"']
    isBreak: Annotated[bool, "whether a deploy would break the service"]
    service: Annotated[str, "the service"]
    role: Annotated[str, "its role"]
    release: Annotated[str, '"live", "head" or "traffic"']
    statement: Annotated[str, "the statement's name in the catalogue"]
    reason: Annotated[str, "what it is, in a word"]
    sqlstate: Annotated[str, "the server's code, or empty"]
    condition: Annotated[str, "PostgreSQL's name for it, or empty"]
    table: Annotated[str, "the table that it is about, or empty"]
    name: Annotated[str, "the column, index, type or constraint, or empty"]
    rows: Annotated[int | None, "of a table that lost its index, or null"]
    file: Annotated[str, "the file that did it, or empty where nobody knows"]


@dataclass(frozen=True)
class Planned:
    """How many statements were planned."""

    service: Annotated[str, "the service"]
    release: Annotated[str, '"live", "head" or "traffic"']
    statements: Annotated[int, "how many"]


@dataclass(frozen=True)
class Compatibility:
    """Whether the services' statements still do what they did."""

    liveCommit: Annotated[str | None, "the commit that the history names as live, or null"]
    planned: Annotated[list[Planned], "what was planned, before and behind the files"]
    troubles: Annotated[list[Trouble], "what was found"]
    notes: Annotated[list[str], "what was taken for what"]


@dataclass(frozen=True)
class Crash:
    """The deploy, killed and run again."""

    points: Annotated[int, "at how many statement boundaries"]
    diverged: Annotated[list[str], "where it ended otherwise"]


@dataclass(frozen=True)
class Predicate:
    """What was rehearsed, and how it went."""

    result: Annotated[Outcome, "PASSED; FAILED for a proven break; NOT_MEASURED, which is never a pass"]
    passedTests: Annotated[list[str], "what was asked for and is well: apply, measure, budgets, compatibility, crash"]
    warnedTests: Annotated[list[str], "what is well with something to look at"]
    failedTests: Annotated[list[str], "what is proven to break something"]
    notMeasured: Annotated[list[str], "what of what was asked for is not known, and why"]
    url: Annotated[str | None, "the run of CI, or null"]
    timeCreated: Annotated[str, "when the rehearsal ended"]
    expires: Annotated[str, "until when a deploy takes it: 24 hours later"]
    versions: Annotated[Versions, "what it was rehearsed with"]
    base: Annotated[Base, "what was copied"]
    after: Annotated[After, "what results"]
    pending: Annotated[list[PendingFile], "the files, in the order in which a deploy runs them"]
    rows: Annotated[list[Rows], "every table's rows"]
    files: Annotated[list[MeasuredFile], "what each file did, statement by statement"]
    failures: Annotated[list[Failure], "what stopped the deploy, and what stopped the measuring"]
    budgets: Annotated[list[Excess] | None, "the tables over a budget, or null where nothing was measured"]
    compatibility: Annotated[Compatibility | None, "the services' statements, or null"]
    crash: Annotated[Crash | None, "the crash rehearsal, or null where nobody asked for it"]
    digest: Annotated[
        dict[str, str],
        "sha256 over the statement without this field, as JSON with sorted keys and without spaces: its name",
    ]


@dataclass(frozen=True)
class Statement:
    """A receipt, as the payload of an envelope or alone."""

    _type: Annotated[Literal["https://in-toto.io/Statement/v1"], "in-toto's Statement"]
    subject: Annotated[list[Subject], "the pending files, and the commit of the repository"]
    predicateType: Annotated[Literal["urn:db-pipeline:rehearsal:v1"], "this predicate"]
    predicate: Annotated[Predicate, "what was rehearsed, and how it went"]
