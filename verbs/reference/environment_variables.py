"""Every environment variable that somebody may set, for the reference. A test compares it with what the code reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, who reads it, and what it does."""

    name: str
    read_by: str
    meaning: str


VARIABLES = (
    Variable(
        "DATABASE_URL",
        "every verb that works on a database; `dbclient`",
        "The database. It wins over the local server and over a stack's outputs. Prisma's and Neon's spellings are understood.",
    ),
    Variable(
        "PGHOST, PGPORT, PGUSER, PGDATABASE, PGSSLMODE, PGSSLROOTCERT",
        "every verb that works on a database",
        "What DATABASE_URL leaves out, as libpq fills it in. PGHOSTADDR and PGSERVICE, which would overrule it, are refused.",
    ),
    Variable(
        "SHADOW_DATABASE_URL",
        "`migrate --name`, `verify`, `check`",
        "An empty database to replay the history in, where the local server may not make databases.",
    ),
    Variable(
        "LOCAL_SERVER",
        "local verbs",
        "`auto` (Docker Compose where it is there, else the embedded server), `compose` or `embedded`.",
    ),
    Variable(
        "POSTGRES_IMAGE",
        "Docker Compose, local verbs",
        "Another image than PostgreSQL's own, such as one with pgvector. It has data of its own.",
    ),
    Variable(
        "POSTGRES_MAJOR",
        "local verbs, the emulator",
        "Another major version of PostgreSQL than production's (`pgVersion` in Pulumi.prod.yaml), to try one.",
    ),
    Variable(
        "LOCAL_PER_BRANCH",
        "local verbs",
        "`1`: each git branch has a local database of its own, a copy of the base branch's. Not where DATABASE_URL is set.",
    ),
    Variable("POSTGRES_PORT", "Docker Compose, local verbs", "The port of the Compose server; 5432 by default."),
    Variable(
        "NEON_API_KEY", "`branches`, `deploy`, `preview`, `rehearse`, `restore`, `pulumi up`", "The key of Neon's API."
    ),
    Variable(
        "NEON_API_URL",
        "`branches`, `deploy`, `preview`, `rehearse`, `restore`, `pulumi up`",
        "Another address of Neon's API, such as the emulator's.",
    ),
    Variable("NEON_EMULATOR_DATA", "the emulator", "Where it keeps its servers and its state."),
    Variable(
        "GITHUB_ACTOR, GITHUB_SHA, GITLAB_USER_LOGIN, CI_COMMIT_SHA",
        "`deploy`, `migrate`, `baseline`",
        "Who deploys, kept with each migration (unset: the user's name); and the commit of a local record where git knows none.",
    ),
    Variable(
        "DEPLOY_WEBHOOK_URL",
        "`deploy`",
        "Where a deploy that applied something, or failed, is told of: JSON whose `text` Slack shows (docs/ci.md). A secret.",
    ),
    Variable(
        "REHEARSAL_SIGNING_KEY",
        "`rehearse`",
        "A private key of Ed25519 in PEM: the receipt is signed with it (docs/receipts.md). A secret.",
    ),
    Variable(
        "GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID",
        "`deploy`",
        "GitHub's: the run that the webhook is told of.",
    ),
    Variable(
        "GITHUB_ACTIONS",
        "every verb",
        "GitHub sets it to `true`: errors are annotations at their files too, the SQL of a plan is folded, and nothing that a "
        "migration or a server says is a command to the runner.",
    ),
    Variable("NO_COLOR", "every verb", "Set to anything: no colours on a terminal."),
    Variable(
        "NO_COLOR, TERM", "every verb", "Output is without colours where NO_COLOR is set, or TERM is dumb or not set."
    ),
    Variable(
        "PRODUCT_FILE",
        "every verb",
        "Another `product.toml` than the checkout's, as the pipeline's tests have.",
    ),
    Variable("PYTHON", "`./inv`", "The Python that makes `.venv`; the first of python3, python3.14 … 3.11 by default."),
    Variable(
        "PIP_INDEX_URL",
        "`./inv`, and verbs that install on first use",
        "Another package index. The hashes in the lock files hold there too.",
    ),
    Variable(
        "DOCKER_HOST", "local verbs, tests", "Docker's engine. One on another machine is not used as a local server."
    ),
    Variable(
        "TEST_SERVER",
        "`test`",
        "`docker`, `embedded` or `auto`: where the tests' PostgreSQL runs, as pytest's `--server`.",
    ),
)
