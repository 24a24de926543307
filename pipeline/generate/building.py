"""The two databases that are compared: what the migrations build, and what schema.sql says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.deploy import apply
from pipeline.deploy.target import Target
from pipeline.errors import InvalidPlan, PipelineError
from pipeline.generate.schema_text import read_schema
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb.url import DatabaseURL
    from pipeline.migrations import Folder

_INTERNAL_ERROR = "XX000"


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
    with open_session(database, application_name="chat-database schema") as session:
        try:
            # one message, which the server runs as one transaction; the results before the error tell which one failed
            session.run(";\n".join(statement.text for statement in found))
        except ServerError as error:
            statement = found[min(len(error.results), len(found) - 1)]
            raise InvalidPlan(error.message, where=f"{schema.name}:{statement.line}", remedy=_hint(error)) from error


def _hint(error: ServerError) -> str:
    hint = error.fields.get("hint", "")
    return hint or "Correct it there; the database that was being built is thrown away."
