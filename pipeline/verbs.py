"""Every verb in one table, which the guard, the help, and the reference in docs/ share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["read", "deploy", "local-only", "checkout"]

KINDS: dict[Kind, str] = {
    "read": "looks at any environment and changes nothing",
    "deploy": "writes to any environment, committed migrations only",
    "local-only": "refused on anything but a local database, with no way around",
    "checkout": "works on this checkout or this machine; no environment is involved",
}


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: what it may be pointed at, who uses it, and its one line of help."""

    name: str
    kind: Kind
    who: Literal["developers", "CI", "platform engineers", "everybody"]
    help: str


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "migrate",
            "local-only",
            "developers",
            "Apply what is pending locally; with --name, generate a migration first.",
        ),
        Verb("verify", "local-only", "developers", "Prove a migration that was finished by hand, forward and back."),
        Verb("push", "local-only", "developers", "Put schema.sql straight onto the local database, with no file."),
        Verb("rollback", "local-only", "developers", "Roll the local database back to a migration."),
        Verb("reset", "local-only", "developers", "Drop the local database and build it again."),
        Verb(
            "renumber",
            "local-only",
            "developers",
            "Give migrations whose number was taken meanwhile the next free one.",
        ),
        Verb("seed", "local-only", "developers", "Fill the local database with made-up conversations."),
        Verb("up", "local-only", "developers", "Start the local database."),
        Verb("down", "local-only", "developers", "Stop the local database; its data stays."),
        Verb("deploy", "deploy", "CI", "Apply the committed migrations to an environment."),
        Verb("baseline", "deploy", "platform engineers", "Adopt a database that another tool migrated."),
        Verb("plan", "read", "everybody", "Show what a deploy would run, in order, with the SQL."),
        Verb("status", "read", "everybody", "Show what is applied, pending, edited and missing."),
        Verb("diff", "read", "platform engineers", "Compare a live database with what the migrations build."),
        Verb("branches", "read", "platform engineers", "List the Neon branches of an environment's project."),
        Verb("env", "read", "platform engineers", "Write the .env lines that a service needs."),
        Verb("url", "read", "everybody", "Print an environment's DATABASE_URL, masked unless --show."),
        Verb("psql", "read", "everybody", "Open psql on an environment; read-only unless it is local."),
        Verb("check", "checkout", "CI", "Prove that the migrations build schema.sql, and lint them."),
        Verb("doctor", "checkout", "everybody", "Say what this machine has, and what each thing is needed for."),
        Verb(
            "test",
            "checkout",
            "developers",
            "Run the linters, the type checker and the tests; with -- PATHS, pytest alone.",
        ),
        Verb("bench", "checkout", "developers", "Measure the runner beside psql and stock yoyo."),
    )
}
