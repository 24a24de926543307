"""The types of the document of `rehearse --json`, described as those of document_types.py are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

MILLISECONDS = "in milliseconds, by the server's clock"
RELATION = "with its schema, quoted where SQL needs it"


@dataclass(frozen=True)
class Lock:
    """A lock that a statement took and that nothing before it in its file had taken."""

    relation: Annotated[str, RELATION]
    kind: Annotated[str, 'what the relation is, as "table" or "index"']
    table: Annotated[str, "whose users wait: the relation, or the table of an index"]
    mode: Annotated[str, "as pg_locks names it, as AccessExclusiveLock"]
    blocks: Annotated[list[str], 'what of the services waits for it: "reads", "writes", both or nothing']
    held_milliseconds: Annotated[float, "from the begin of the statement to the end of the file's COMMIT"]
    is_new: Annotated[bool, "whether these migrations made the relation, so that nobody waits for it yet"]


@dataclass(frozen=True)
class Rewritten:
    """A relation that has another file than before."""

    relation: Annotated[str, RELATION]
    kind: Annotated[str, "what it is"]
    rows: Annotated[int, "those of a table after it, else 0"]
    is_new: Annotated[bool, "whether these migrations made it"]


@dataclass(frozen=True)
class Changed:
    """Rows of a table that a statement changed, its triggers and cascades included."""

    table: Annotated[str, RELATION]
    inserted: Annotated[int, "rows"]
    updated: Annotated[int, "rows"]
    deleted: Annotated[int, "rows"]


@dataclass(frozen=True)
class Touched:
    """A table that the statement was the first to lock, or that it rewrote or changed, as the file found it."""

    table: Annotated[str, RELATION]
    rows: Annotated[int, "rows"]
    exact: Annotated[bool, "false where they are the planner's estimate"]
    bytes: Annotated[int, "with indexes and TOAST"]


@dataclass(frozen=True)
class MeasuredStatement:
    """What one statement did, or several that follow each other."""

    line: Annotated[int, "where it begins in the file; 0 is what the server does at the file's end"]
    statements: Annotated[int, "how many it are: more than 1 where they were measured as one"]
    milliseconds: Annotated[float, MILLISECONDS]
    wal_bytes: Annotated[int, "of WAL"]
    observed: Annotated[bool, "whether another session looked every 20 ms, as for what runs outside a transaction"]
    locks: Annotated[list[Lock], "what it took"]
    rewritten: Annotated[list[Rewritten], "what it wrote anew"]
    changed: Annotated[list[Changed], "rows that it changed"]
    tables: Annotated[list[Touched], "the tables that it touched and that were there before"]


@dataclass(frozen=True)
class RehearsedFile:
    """A pending migration. Where it was not measured, the last fields are null or empty, and so are those of a backfill."""

    id: Annotated[str, "the file's name without its ending"]
    path: Annotated[str, "the file"]
    checksum: Annotated[str, "SHA-256 of its text with LF line ends"]
    deploy_milliseconds: Annotated[
        int | None, "what it took in the deploy itself, or null where it did not come to its end"
    ]
    milliseconds: Annotated[float | None, "what it took in the measured run, COMMIT included"]
    commit_milliseconds: Annotated[float | None, "what COMMIT took of that"]
    accepted: Annotated[str | None, "the reason that it gives for its locks (`-- pipeline: accept=…`), or empty"]
    backfill_seconds: Annotated[float | None, "what all batches of a batched file will take, by a sample of them"]
    backfill_rows_per_second: Annotated[float | None, "how many rows it goes through then"]
    backfill_wal_bytes: Annotated[int | None, "the WAL of all of them"]
    statements: Annotated[list[MeasuredStatement], "what each of its statements did; line 0 is its end"]


@dataclass(frozen=True)
class Stop:
    """What stops the deploy."""

    id: Annotated[str, "the migration"]
    path: Annotated[str, "its file"]
    line: Annotated[int | None, "where the statement begins; null at the file's end (a deferred constraint)"]
    sqlstate: Annotated[str, "PostgreSQL's code for the error"]
    condition: Annotated[str, "its name for it, as not_null_violation"]
    rule: Annotated[
        str | None, '"not null", "unique", "foreign key", "check" or "type"; null where no rows are to blame'
    ]
    table: Annotated[str | None, "whose rows they are"]
    column: Annotated[str | None, "of the rule, or empty"]
    constraint: Annotated[str | None, "its name, or empty"]
    rows: Annotated[int | None, "how many rows are against it, or null where nobody could count them"]
    query: Annotated[str | None, "which finds them, with $1, $2 … for the literals of the file; empty where none can"]
    after: Annotated[bool, "whether they are there only once the statement has run without the rule"]


@dataclass(frozen=True)
class Share:
    """What one file costs a table."""

    id: Annotated[str, "the migration"]
    line: Annotated[int, "its first statement that does; 0 is its end"]
    cost: Annotated[float, "milliseconds, or rows"]
    accepted: Annotated[str, "the file's reason, or empty"]


@dataclass(frozen=True)
class OverBudget:
    """A table over a budget, over all pending files."""

    what: Annotated[str, '"blocked" (milliseconds) or "rewritten" (rows)']
    table: Annotated[str, RELATION]
    blocks: Annotated[list[str], 'what waits: "reads", "writes"']
    limit: Annotated[float, "the budget"]
    cost: Annotated[float, "of all files"]
    unaccepted: Annotated[float, "of the files that do not accept it"]
    is_break: Annotated[bool, "whether that is over the budget"]
    files: Annotated[list[Share], "each file's share"]


@dataclass(frozen=True)
class ServiceStatement:
    """A statement of a service in trouble."""

    trouble: Annotated[
        str,
        '"fails" and "changed" (breaks), "lost index" (a finding, or on a large table a break) or "failed before" (not counted)',
    ]
    is_break: Annotated[bool, "whether a deploy would break the service"]
    service: Annotated[str, "whose"]
    role: Annotated[str, "as which it was planned"]
    release: Annotated[str, '"live", "head" or "traffic"']
    statement: Annotated[str, "its name in the catalogue"]
    reason: Annotated[
        str,
        '"refused", "null", "unique", "value gone", "narrower", "parameters", "results", "default" or "index": what it is',
    ]
    sqlstate: Annotated[str, "of the error, or empty"]
    condition: Annotated[str, "PostgreSQL's name for it, or empty"]
    table: Annotated[str, "that it is about, or empty"]
    name: Annotated[str, "the column, index, type or constraint that it is about, or empty"]
    rows: Annotated[int | None, "of the table that is read from end to end now, or null"]
    file: Annotated[str, "the migration that did it, or empty where that is not known"]


@dataclass(frozen=True)
class Planned:
    """How many statements of a service were planned."""

    service: Annotated[str, "whose"]
    release: Annotated[str, '"live", "head" or "traffic"']
    statements: Annotated[int, "how many"]


@dataclass(frozen=True)
class ServiceStatements:
    """Whether the services' statements can still be planned. Where that was not looked at, `checked` is false."""

    checked: Annotated[bool, "whether anybody looked"]
    live_commit: Annotated[str | None, "that production's history names as live, or null"]
    planned: Annotated[list[Planned], "what was planned"]
    troubles: Annotated[list[ServiceStatement], "those in trouble"]
    notes: Annotated[list[str], "what was taken for what, as a live release without a catalogue"]


@dataclass(frozen=True)
class Crashes:
    """The deploy killed at statement boundaries, and run again."""

    checked: Annotated[bool, "whether it was asked for (`--crash`) and could be had"]
    points: Annotated[int, "at how many boundaries"]
    diverged: Annotated[list[str], "those behind which it did not end with the same schema"]


@dataclass(frozen=True)
class CountedRows:
    """A table's rows, counted on the copy."""

    table: Annotated[str, RELATION]
    before: Annotated[int | None, "before the deploy, or null where it was not there"]
    after: Annotated[int | None, "after it, or null"]


@dataclass(frozen=True)
class Rehearse:
    """What `rehearse --json` prints."""

    verb: Annotated[Literal["rehearse"], '"rehearse"']
    environment: Annotated[str, "whose copy it ran on"]
    result: Annotated[Literal["passed", "break", "not measured"], "exit code 0, 4, 7"]
    reason: Annotated[str, "the worst of it, in one clause"]
    breaks: Annotated[list[str], "everything that is proven to be wrong, a sentence each"]
    not_measured: Annotated[list[str], "what of what was asked for is not known, and why"]
    project_id: Annotated[str, "the Neon project"]
    branch_id: Annotated[str, "the branch that was copied"]
    branch_name: Annotated[str, "its name"]
    lsn: Annotated[str, "the WAL position of the copy"]
    at: Annotated[str, "its time, as ISO 8601 in UTC"]
    began: Annotated[str, "when the rehearsal began"]
    ended: Annotated[str, "and ended"]
    commit: Annotated[str, "the commit whose migrations were rehearsed"]
    history: Annotated[str, "the digest of the applied migrations"]
    schema_before: Annotated[str, "the digest of the schema before the pending files"]
    schema_after: Annotated[str | None, "and after them, or null where the deploy did not come to its end"]
    files: Annotated[list[RehearsedFile], "the pending migrations, in order"]
    stops: Annotated[list[Stop], "what stops the deploy; empty where nothing does"]
    over_budget: Annotated[list[OverBudget], "tables over a budget, accepted ones included"]
    compatibility: Annotated[ServiceStatements, "whether the services' statements can still be planned"]
    crash: Annotated[Crashes, "what a crash of the deploy would leave"]
    rows: Annotated[list[CountedRows], "every table's rows"]
