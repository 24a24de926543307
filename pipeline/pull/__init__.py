"""Rows of an environment for a laptop, masked on their way: each goes from the server through this process into the local one.

The environment is read in one transaction that may not write. No file has a row, and no clear value of a masked column leaves
this process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

import psycopg

from pipeline.deploy import inspect_server
from pipeline.deploy.checkout import claim_of, open_checkout
from pipeline.deploy.target import Target
from pipeline.environments import LOCAL, own_local
from pipeline.errors import DatabaseFailed, Refused, UsageError
from pipeline.local.server_identity import open_local
from pipeline.postgres.connect import open_psycopg, where
from pipeline.postgres.lock import APPLICATION
from pipeline.pull.masks import Masker
from pipeline.pull.moving import Move, move, refresh
from pipeline.pull.rules import decide, read_rules
from pipeline.pull.tables import read_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.deploy.checkout import Ask, Checkout
    from pipeline.deploy.observer import Observer
    from pipeline.pull.rules import Decision
    from pipeline.pull.tables import Tables

PRODUCTION = "prod"

# Row security would leave rows out without a word: with it off, the server refuses instead.
_READING = {
    "default_transaction_read_only": "on",
    "row_security": "off",
    "idle_in_transaction_session_timeout": "15min",
}
_WRITING = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "15min"}


@dataclass(frozen=True, slots=True)
class Pulled:
    """How many rows came, by table in their order, and what was made of each column ("keep", "mask" …)."""

    source: str
    target: str
    rows: Mapping[str, int]
    rules: Mapping[tuple[str, str], Decision]


def open_sides(root: Path, name: str, *, masked: bool, observer: Observer, ask: Ask) -> tuple[Checkout, Checkout]:
    """The environment that is read, and this checkout's local database, which is written.

    Where DATABASE_URL names the first, the second is the checkout's own server.

    Raises:
        UsageError: the environment is the local one.
        Refused: it is production, and not `masked`; nothing was started.
        ConfigurationError, DatabaseFailed: as `resolve`.
    """
    if name == LOCAL:
        raise UsageError(
            "`pull` brings rows to the local database: it is no place to take them from", remedy="Say --env dev."
        )
    _refuse_production(name, masked=masked)
    source = open_checkout(root, name, "pull", observer=observer)
    local = own_local(root, tell=observer.note)
    claim = claim_of(root, local, "pull", ask)
    target = Target(LOCAL, local_only=True, claim=claim)
    return source, replace(source, environment=local, target=target)


def pull(source: Checkout, target: Checkout, *, masked: bool, confirm: Callable[[str], bool]) -> Pulled:
    """Replace every row of the local database by those of an environment, masked by the rules of masking.toml.

    `masked`: nothing is kept that the file does not name; production's rows come in no other way. All or nothing.

    Raises:
        Refused: production without `masked`; the local schema lacks something; the answer to `confirm` is no.
        NotLocal: the target is not a local database, or nothing says that it is one.
        ConfigurationError: masking.toml, or a rule in it, cannot be used.
        DatabaseFailed: a server refused; the local database is as it was.
    """
    if target.environment.name != LOCAL:
        raise UsageError("the target of a pull is the local database")
    _refuse_production(source.environment.name or "", masked=masked)
    rules = read_rules(source.root)
    view = inspect_server(source.url, target=source.target, observer=source.observer)
    if view.history.marker is not None:  # of a copy, too: its rows are production's
        _refuse_production(view.history.marker.environment, masked=masked)
    open_local(target.environment, "pull", claim=target.target.claim).close()
    with _connect(source.url, **_READING) as reading, _connect(target.url, **_WRITING) as writing:
        try:
            reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            there, here = read_tables(reading), read_tables(writing)
            _refuse_lacking(there, here)
            decisions = decide(there, here, rules, listed_only=masked)
            masker = Masker(token_bytes(32))
            moves = [
                Move(
                    table,
                    there.columns[table],
                    {
                        name: masker.of(column, decisions[table, name].rule)
                        for name, column in there.columns[table].items()
                    },
                    is_partitioned=table in there.partitioned,
                )
                for table in there.in_order()
            ]
            if not confirm(f"Replace every row of {where(target.url)} by masked rows of {view.server}?"):
                raise Refused("nothing was changed", remedy="Say yes, or give --yes.")
            rows = move(moves, sorted(here.columns), reading, writing, source.observer)
            refresh(here, decisions, writing)
            writing.commit()
        except psycopg.Error as error:
            raise _failed(error) from None
    return Pulled(view.server, where(target.url), rows, decisions)


def _refuse_production(name: str, *, masked: bool) -> None:
    if name == PRODUCTION and not masked:
        raise Refused(
            "these are production's rows",
            remedy="Nothing was read. `./inv pull --env dev` takes dev's. With --masked production's come too, and then nothing "
            'is kept as it is that masking.toml does not name with "keep".',
        )


def _refuse_lacking(there: Tables, here: Tables) -> None:
    """The local database may have more than the environment, as a branch has, and never less."""
    lacking = [
        f"{column.plain}.{column.name}" if table in here.columns else column.plain
        for table, columns in there.columns.items()
        for column in columns.values()
        if column.name not in here.columns.get(table, {})
    ]
    if lacking:
        raise Refused(
            f"the local database lacks {', '.join(dict.fromkeys(lacking))}",
            remedy="Nothing was changed. `git pull` and `./inv migrate` bring the environment's migrations; then run it again.",
        )


def _connect(url: DatabaseURL, **settings: str) -> psycopg.Connection[Any]:
    try:
        return open_psycopg(url.direct(), application_name=f"{APPLICATION} pull", settings=settings)
    except psycopg.Error as error:
        raise DatabaseFailed(f"no connection to {where(url)}: {error}", remedy="Nothing was changed.") from None


def _failed(error: psycopg.Error) -> DatabaseFailed:
    """Without the server's DETAIL, which quotes rows."""
    about = error.diag
    named = ".".join(filter(None, (about.table_name, about.column_name)))
    which = f" ({', '.join(filter(None, (named, about.constraint_name)))})" if named or about.constraint_name else ""
    remedy = "The local database is as it was, and nothing was written to the environment."
    if about.constraint_name or about.column_name:
        remedy += " Where a mask does not fit a constraint, masking.toml says what the column is to be."
    return DatabaseFailed(f"{about.message_primary or 'the connection was lost'}{which}", remedy=remedy)
