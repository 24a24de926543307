"""The two states that are compared, each built in a shadow database: what the migrations build, and what schema.sql says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.deploy import apply
from pipeline.deploy.target import Target
from pipeline.errors import InvalidPlan, PipelineError
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError
from pipeline.schema.dump import Deviation, Objects, deviations, read_objects
from pipeline.schema.facts import Facts, read_facts
from pipeline.schema.schema_text import read_schema
from servers.extensions import remedy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.migrations import Folder
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.shadows import Shadows

_INTERNAL_ERROR = "XX000"
_BETWEEN = ";\n"


@dataclass(frozen=True)
class BuiltSchema:
    """A shadow database and what is in it."""

    database: DatabaseURL
    objects: Objects
    facts: Facts


@dataclass(frozen=True)
class BothSchemas:
    """Both sides."""

    current: BuiltSchema
    desired: BuiltSchema

    @property
    def deviations(self) -> list[Deviation]:
        """What schema.sql asks for and the migrations do not build, or the other way round."""
        return deviations(self.desired.objects, self.current.objects, grants=False)


def build_both(shadows: Shadows, folder: Folder, schema: Path) -> BothSchemas:
    """Build and read both sides, side by side.

    Raises:
        InvalidPlan: a migration, or schema.sql, cannot be run.
    """
    current = shadows.create("current")

    def build_current() -> BuiltSchema:
        replay(current, folder)
        return read_built(current)

    return build_beside(build_current, shadows.create("desired"), schema)


def build_beside(build_current: Callable[[], BuiltSchema], desired: DatabaseURL, schema: Path) -> BothSchemas:
    """Build the current side as it is asked to, and beside it the other one in a database that is empty.

    Raises:
        InvalidPlan: schema.sql cannot be run; and what `build_current` raises.
    """

    def build_desired() -> BuiltSchema:
        load(desired, schema)
        return read_built(desired)

    with ThreadPoolExecutor(max_workers=2) as pool:
        sides = pool.submit(build_current), pool.submit(build_desired)
        left = sides[0].result()
        try:
            return BothSchemas(left, sides[1].result())
        except InvalidPlan:
            # on a new server it may have named a role that the migrations, beside it, had not made yet
            return BothSchemas(left, build_desired())


def read_built(database: DatabaseURL) -> BuiltSchema:
    """Read a database that is built."""
    return BuiltSchema(database, read_objects(database), read_facts(database))


def replay(database: DatabaseURL, folder: Folder) -> None:
    """Apply every migration of the folder to an empty database, with the pipeline's own runner.

    Raises:
        InvalidPlan: a file is at fault, or fails on the schema that those before it build.
    """
    try:
        try:
            apply(database, folder, target=Target(), verb="replay")
        except PipelineError as error:
            if not _met_another(error):
                raise
            apply(database, folder, target=Target(), verb="replay")  # goes on with the file that failed
    except PipelineError as error:
        if isinstance(error, InvalidPlan):
            raise
        raise InvalidPlan(
            f"the migrations do not run on an empty database: {error.message}", where=error.where, remedy=error.remedy
        ) from error


def _met_another(error: PipelineError) -> bool:
    """Whether it may be "tuple concurrently updated": a role or another thing of the server that all shadows share."""
    return isinstance(error.__cause__, ServerError) and error.__cause__.sqlstate == _INTERNAL_ERROR


def load(database: DatabaseURL, schema: Path) -> None:
    """Load schema.sql into an empty database, in one transaction.

    Raises:
        ConfigurationError: there is no such file.
        InvalidPlan: it cannot be read as SQL, or a statement of it fails; `where` names its line.
    """
    found = read_schema(schema).statements
    with open_session(database, application_name="db-pipeline schema") as session:
        try:
            # one message, which the server runs as one transaction; the results before the error tell which one failed
            session.run(_BETWEEN.join(statement.text for statement in found))
        except ServerError as error:
            where = f"{schema.name}:{_line(error, found)}"
            raise InvalidPlan(error.message, where=where, remedy=_hint(error)) from error


def _line(error: ServerError, sent: Sequence[Statement]) -> int:
    """The line that an error of the joined statements is about: that of its position, else where its statement begins.

    The server reads the whole message before it runs any of it, so a syntax error has no results before it.
    """
    position = error.fields.get("position", "")
    if not position.isdigit():  # one of the catalog, such as a relation that is not there
        return sent[min(len(error.results), len(sent) - 1)].line
    offset = int(position) - 1  # it counts characters from 1
    for statement in sent[:-1]:
        if offset < len(statement.text) + len(_BETWEEN):
            return statement.line_at(offset)
        offset -= len(statement.text) + len(_BETWEEN)
    return sent[-1].line_at(offset)


def _hint(error: ServerError) -> str:
    hint = error.fields.get("hint", "")
    return remedy_of(error.message) or hint or "Correct it there; the database that was being built is thrown away."
