"""The schema of a database, now or at a moment, and how two of them differ."""

from __future__ import annotations

import difflib
import shutil
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psycopg

from emulator.errors import ApiError, bad_request, busy
from emulator.history import Moment
from emulator.moments import read_moment, resolve
from emulator.servers.catalog import read_databases
from emulator.servers.schema_reading import DumpFailed, dump, tables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from emulator.control import Call
    from emulator.servers import Cluster
    from emulator.shapes import Json
    from emulator.state import Branch, Project

_MOMENT = ("lsn", "timestamp")
_BASE = ("base_lsn", "base_timestamp")


async def read(call: Call) -> Json:
    """GET /projects/P/branches/B/schema: pg_dump's text, or with format=json the tables."""
    wanted = call.query.get("format") or "sql"
    if wanted not in {"sql", "json"}:
        raise bad_request("format must be sql or json")
    project, database = call.project(), _database(call)
    branch, moment = call.branch(project, ready=True), _moment(call, _MOMENT)
    async with _server(call, project, branch, moment) as server:
        await _require(branch, server, database)
        if wanted == "json":
            return {"json": {"tables": await tables(server, database)}}
        return {"sql": await _dump(call, server, database)}


async def compare(call: Call) -> Json:
    """GET /projects/P/branches/B/compare_schema: what the branch has, seen from its base.

    Without a base_branch_id, the base is the parent; a root branch is its own, for two moments of it.
    """
    project, database = call.project(), _database(call)
    branch = call.branch(project, ready=True)
    base = call.branch(project, call.query.get("base_branch_id") or branch.parent_id or branch.id, ready=True)
    sides = [(base, _moment(call, _BASE)), (branch, _moment(call, _MOMENT))]
    texts = []
    for side, moment in sides:
        async with _server(call, project, side, moment) as server:
            await _require(side, server, database)
            texts.append((await _dump(call, server, database)).splitlines(keepends=True))
    before, after = texts
    lines = difflib.unified_diff(before, after, fromfile=f"a/{database}", tofile=f"b/{database}")
    return {"diff": "".join(lines)}


def _database(call: Call) -> str:
    name = call.query.get("db_name")
    if not name:
        raise bad_request("db_name is required")
    return name


def _moment(call: Call, names: tuple[str, str]) -> Moment:
    return read_moment(*(call.query.get(name, "") for name in names), names=names)


@asynccontextmanager
async def _server(call: Call, project: Project, branch: Branch, moment: Moment) -> AsyncIterator[Cluster]:
    """A running server that holds a moment of a branch; one of the past is made for this call and removed after it."""
    computes, history = call.control.computes, call.control.history
    if moment == Moment():
        server = await computes.start(project, branch)
        run = server.port  # of its own for each start
        try:
            yield server
        except (psycopg.Error, DumpFailed) as failure:
            call.project()  # not found, if the server went with its project
            if project.busy or not server.available or server.port != run:
                raise busy() from None  # it is being suspended, or was: asking again helps
            raise ApiError(500, f"the schema cannot be read: {failure}") from None
        return
    point = await resolve(call, project, branch, moment)
    folder = computes.folder(f"look-{uuid.uuid4().hex[:8]}")  # what a kill leaves of it goes at the next start
    server = computes.spare(folder)
    try:
        await history.materialise(project, point, folder)
        await server.start({})
        yield server
    finally:
        await server.stop(immediate=True)
        shutil.rmtree(folder, ignore_errors=True)


async def _require(branch: Branch, server: Cluster, database: str) -> None:
    async with await server.connect() as connection:
        found, _ = await read_databases(connection)
    if database not in {item.name for item in found}:
        raise ApiError(404, f'database not found for branch; database_name:"{database}", branch_id:"{branch.id}"')


async def _dump(call: Call, server: Cluster, database: str) -> str:
    computes = call.control.computes
    return await dump(server, database, computes.programs, computes.account, computes.password)
