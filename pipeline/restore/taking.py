"""Rows of a table that were there before a migration and are not there now, as files: the rows, and what brings them back.

Nothing here runs on the environment. The rows travel through COPY into a file, and from there, by a person's hand, into a
schema that no service sees; a migration then moves them, which is reviewed, planned and deployed as any other. A foreign server
would need a password in production's catalogs and an extension, and a migration cannot read a file: so it is two steps.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dbclient.quoting import identifier, literal
from pipeline.errors import Refused, UsageError
from pipeline.lint import lint
from pipeline.lint.model import Schema
from pipeline.lint.source import Source, read_sources, schema_behind
from pipeline.lint.squawk import has_squawk
from pipeline.migrations.names import next_number, number_of
from pipeline.restore.comparing import compare_table
from pipeline.restore.ground import client_of, find_ground, find_migration
from pipeline.restore.looking import Look, branch_then, sides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.deploy.checkout import Checkout
    from pipeline.lint.finding import Finding
    from pipeline.migrations.plan import Applied
    from pipeline.restore.comparing import Sides
    from pipeline.restore.tables import Pair

STAGE: Final = "restored"  # a schema of its own: no service has a right on it
_OWNER_ALONE = 0o600


@dataclass(frozen=True)
class Taken:
    """What was taken of a table. `rows` is how many stand in the first file; without any there are no files.

    `findings` is what `check` would say of the draft.
    """

    look: Look
    rows: int
    files: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()


def take_rows(checkout: Checkout, before: str, table: str, environ: Mapping[str, str]) -> Taken:
    """Write the rows of `table` (as people write it) that are not there any more, and a draft of a migration, into files.

    They are below .local/restored, which git ignores, for their owner alone. Raises what `look` raises, and

        UsageError: there was no such table.
        Refused: nothing tells its rows apart, so nobody knows which are missing.
    """
    with client_of(environ) as client:
        ground = find_ground(checkout, client)
        migration = find_migration(ground.view, before)
        lease, again = branch_then(client, ground, migration, checkout.environment.name or "")
    with sides(checkout, lease) as both:
        pair = _find(both.pairs(), table)
        counted, gone = compare_table(both, pair, large=True)
        look = Look(ground, migration, lease, again, (counted,))
        if not counted.gone:
            return Taken(look, 0)
        folder = _folder(checkout, migration, pair)
        columns = _columns(pair)
        rows = _write_rows(both, pair, columns, gone, folder / "rows.copy")
    draft = _draft(pair, columns, migration, rows)
    load = _write(folder / "load.sql", _load(pair, columns, folder / "rows.copy"))
    migration_file = _write(folder / f"{_name(checkout, pair)}.sql", draft)
    rollback = _write(folder / f"{_name(checkout, pair)}.rollback.sql", _ROLLBACK)
    files = (folder / "rows.copy", load, migration_file, rollback)
    return Taken(look, rows, files, _lint(checkout, migration_file, draft))


def _find(found: Sequence[Pair], table: str) -> Pair:
    pair = next((each for each in found if each.then and table in {each.then.plain, each.then.name}), None)
    if pair is None or pair.then is None:
        there = ", ".join(each.then.plain for each in found if each.then)
        raise UsageError(f"there was no table {table}", remedy=f"There were: {there or 'none'}.")
    if pair.now is not None and not pair.key:
        raise Refused(
            f"{table} has no primary key or unique constraint on NOT NULL columns: nobody can tell which of its rows are missing",
            remedy="Nothing was changed. The branch of the look has all of them: `./inv restore --env … --before … --show`.",
        )
    return pair


def _columns(pair: Pair) -> tuple[str, ...]:
    """What is written to: no column that the server works out, and none that is not there any more."""
    there = pair.then.columns if pair.then else {}
    now = pair.now.columns if pair.now else there
    return tuple(name for name in there if name in now and not now[name].generated)


def _write_rows(both: Sides, pair: Pair, columns: Sequence[str], gone: str, file: Path) -> int:
    assert pair.then is not None  # noqa: S101 - _find has seen to it
    query = f"COPY (SELECT {_listed(columns)} FROM {pair.then.source} AS t WHERE {gone}) TO STDOUT"
    with open(os.open(file, _NEW, _OWNER_ALONE), "wb") as target, both.then.cursor() as cursor:  # noqa: PTH123 - with a mode
        with cursor.copy(query.encode()) as source:
            target.writelines(source)
        return cursor.rowcount


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def _write(file: Path, text: str) -> Path:
    with open(os.open(file, _NEW, _OWNER_ALONE), "w", encoding="utf-8") as target:  # noqa: PTH123 - with a mode
        target.write(text)
    return file


def _folder(checkout: Checkout, migration: Applied, pair: Pair) -> Path:
    name = f"{checkout.environment.name}-{_snake(pair.either.plain)}-before-{number_of(migration.id)}"
    folder = checkout.root / ".local" / "restored" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _load(pair: Pair, columns: Sequence[str], rows: Path) -> str:
    """For psql, which reads the file here and sends it there."""
    assert pair.then is not None  # noqa: S101 - likewise
    types = ", ".join(f"{identifier(name)} {pair.then.columns[name].type}" for name in columns)
    return (
        "-- For psql: brings the rows into a schema that no service sees. Nothing else changes.\n"
        "\\set ON_ERROR_STOP on\n"
        "SET default_transaction_read_only = off;\n"
        "BEGIN;\n"
        f"CREATE SCHEMA IF NOT EXISTS {STAGE};\n"
        f"CREATE TABLE {_stage(pair)} ({types});\n"
        f"\\copy {_stage(pair)} FROM {literal(str(rows.absolute()))}\n"
        "COMMIT;\n"
    )


def _draft(pair: Pair, columns: Sequence[str], migration: Applied, rows: int) -> str:
    assert pair.then is not None  # noqa: S101 - likewise
    own = " OVERRIDING SYSTEM VALUE" if any(pair.then.columns[name].identity for name in columns) else ""
    listed = _listed(columns)
    return (
        f"-- bring back {rows} rows of {pair.either.plain} that {migration.id} took away\n"
        f"-- load.sql has brought them into {_stage(pair)}. On a database without that table this does nothing.\n"
        "DO $rows$\n"
        "BEGIN\n"
        f"    IF to_regclass({literal(_stage(pair))}) IS NOT NULL THEN\n"
        f"        INSERT INTO {pair.either.name} ({listed}){own}\n"
        f"        SELECT {listed} FROM {_stage(pair)}\n"
        "        ON CONFLICT DO NOTHING;\n"
        "    END IF;\n"
        "END\n"
        "$rows$;\n"
    )


_ROLLBACK = "-- the rows stay: they were there before\nSELECT 1;\n"


def _lint(checkout: Checkout, file: Path, draft: str) -> tuple[Finding, ...]:
    """What `check` would say of it, as the last migration; without squawk where that cannot be had, which is said."""
    with_squawk = has_squawk(checkout.observer.note)
    files = checkout.folder().files
    before = [source for source in read_sources(files) if not source.is_rollback]
    rollback = file.with_suffix(".rollback.sql")
    schema = schema_behind(before[-1]).deployed() if before else Schema()
    return tuple(lint([Source(str(file), draft, str(rollback), before=schema)], with_squawk=with_squawk))


def _name(checkout: Checkout, pair: Pair) -> str:
    number = next_number(file.id for file in checkout.folder().files)
    return f"{number}_bring_back_{_snake(pair.either.plain)}"


def _stage(pair: Pair) -> str:
    return f"{STAGE}.{identifier(pair.either.plain.rpartition('.')[2])}"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(identifier, columns))


def _snake(name: str) -> str:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    return re.sub(r"[^a-z0-9]+", "_", words).strip("_") or "table"
