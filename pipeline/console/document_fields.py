"""The fields of the JSON documents, for the reference. A test compares them with documents of real runs."""

from __future__ import annotations

_SERVER = {
    "server": "who answered",
    "server.address": "host:port/database, never a password",
    "server.version": "PostgreSQL's version, as 16.14",
    "server.user": "the role that the verb works as",
    "server.neon_project_id": "null where the server is not a Neon compute",
    "server.neon_branch_id": "as above",
    "server.neon_endpoint_id": "as above",
}
_FAULTS = {
    "faults": "why a deploy would refuse; empty when it would not",
    "faults[].where": "file or file:line, or empty",
    "faults[].message": "what is wrong",
    "faults[].remedy": "what to do about it",
}

DOCUMENTS: dict[str, dict[str, str]] = {
    "deploy": {
        "verb": '"deploy"',
        "environment": "the name that was given, or null for a bare DATABASE_URL",
        **_SERVER,
        "already_applied": "how many migrations were applied before",
        "applied": "those that this run applied, in order",
        "applied[].id": "the file's name without its ending",
        "applied[].milliseconds": "what its transaction took, or null where nobody could measure it",
        "activated_roles": "the runtime roles that were given LOGIN and a password in this run",
    },
    "plan": {
        "verb": '"plan"',
        "environment": "as in deploy",
        **_SERVER,
        "already_applied": "how many migrations are applied",
        "pending": "what a deploy would run, in order",
        "pending[].id": "the file's name without its ending",
        "pending[].path": "the file",
        "pending[].title": "its first comment line",
        "pending[].transactional": "false for a file whose one statement runs outside a transaction",
        "pending[].checksum": "SHA-256 of its text with LF line ends",
        "pending[].statements": "its statements, in order",
        "pending[].statements[].line": "where it begins in the file",
        "pending[].statements[].lock": "the strongest lock that it takes on a table of before, as its text tells, or null",
        "pending[].statements[].sql": "its text",
        **_FAULTS,
    },
    "status": {
        "verb": '"status"',
        "environment": "as in deploy",
        **_SERVER,
        "deployable": "whether a deploy would run: true also when nothing is pending",
        "applied": "what is applied, by id",
        "applied[].id": "the file's name without its ending",
        "applied[].applied_at": "when, as ISO 8601 in UTC",
        "applied[].checksum": "that of the file which ran; null where stock yoyo recorded it",
        "applied[].commit": "the commit that was deployed, or null",
        "applied[].actor": "who deployed it, or null",
        "applied[].milliseconds": "what it took, or null",
        "applied[].wal_position_before": "where a restore to the moment before it would go, or null",
        "pending": "ids that a deploy would apply, in order",
        "edited": "ids whose file is not the one that was applied",
        "missing": "ids that are applied and have no file",
        "out_of_order": "pending ids that sort before an applied one",
        "unfinished": "ids of non-transactional files that were started and whose end nobody recorded",
        **_FAULTS,
    },
    "error": {
        "error": "instead of the document, where `--json` was given to deploy or plan and the verb failed",
        "error.kind": "the class in pipeline/errors.py",
        "error.message": "what happened",
        "error.where": "file or file:line, or empty",
        "error.remedy": "what to do next, or empty",
        "error.exit_code": "the exit code of the command",
    },
}
