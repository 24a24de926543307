"""`diff`: what a live database is, beside what the migrations that are applied there build. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.deploy import inspect_server
from pipeline.deploy.activation import refused_passwords
from pipeline.deploy.observer import Observer
from pipeline.deploy.status import role_deviations
from pipeline.deploy.target import Target
from pipeline.errors import InvalidPlan
from pipeline.migrations import Folder, read_folder
from pipeline.postgres.connect import open_psycopg
from pipeline.postgres.lock import APPLICATION
from pipeline.schema.catalog import read_catalog
from pipeline.schema.replay import replay
from pipeline.schema.shadows import SETTING, open_shadows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbclient.url import DatabaseURL
    from pipeline.generate import Workbench
    from pipeline.roles import Fact
    from pipeline.schema.catalog import Catalog, Difference


@dataclass(frozen=True, slots=True)
class Drift:
    """One object that is not what the migrations made of it. `expected` or `found` is None where it is not there.

    The kind "role" is for what a runtime role may do beyond its grants, "setting" for settings of the database.
    """

    kind: str
    name: str
    expected: str | None
    found: str | None

    @property
    def verdict(self) -> str:
        """missing, unexpected or changed."""
        if self.expected is None:
            return "unexpected"
        return "missing" if self.found is None else "changed"


@dataclass(frozen=True)
class Comparison:
    """A live database beside its history. `pending` are migrations that are not applied there, and are no drift."""

    server: str
    applied: int
    pending: tuple[str, ...]
    drift: tuple[Drift, ...]


def compare(
    url: DatabaseURL, workbench: Workbench, *, target: Target | None = None, observer: Observer | None = None
) -> Comparison:
    """Compare a live database with what its applied migrations build in a shadow, object by object, grants included.

    Beside that the runtime roles with what they are to be: with the target's passwords at hand also whether they take
    them.

    Raises:
        InvalidPlan: it has migrations applied that this checkout has not, or in another text.
        WrongTarget, ConfigurationError, DatabaseFailed: as `inspect_server`.
    """
    view = inspect_server(url, target=target, observer=observer)
    shown, history = view.server, view.history
    folder = read_folder(workbench.migrations)
    missing = sorted(set(history.applied) - set(folder.by_id))
    if missing:
        raise InvalidPlan(
            f"{shown} has {', '.join(missing)} applied, which this checkout does not have",
            remedy="Compare from a commit that has it: this checkout may be older than the database.",
        )
    applied = tuple(file for file in folder.files if file.id in history.applied)
    with open_shadows(workbench.local, workbench.shadow) as shadows:
        built = shadows.create("history")
        replay(built, Folder(folder.path, applied, folder.faults))
        expected, found = _read(built), _read(url.direct())
        built_settings = _settings(inspect_server(built).facts)
    if built_settings.get(f"database: {SETTING[0]}") == SETTING[1]:
        del built_settings[f"database: {SETTING[0]}"]
    roles = (*role_deviations(view), *refused_passwords(url, target or Target(), observer or Observer()))
    return Comparison(
        shown,
        len(applied),
        tuple(file.id for file in folder.files if file.id not in history.applied),
        (
            *(_drift(each) for each in expected.differences(found)),
            *_settings_drift(built_settings, _settings(view.facts)),
            *(
                Drift("role", f"{each.role}: {each.what}", each.expected, each.found)
                for each in roles
                if each.role and each.grave  # the rest are grants and settings, compared above
            ),
        ),
    )


def _read(url: DatabaseURL) -> Catalog:
    with open_psycopg(url, application_name=f"{APPLICATION} diff") as connection:
        connection.read_only = True
        return read_catalog(connection)


def _settings(facts: Iterable[Fact]) -> dict[str, str]:
    return {
        f"{'database' if fact.kind == 'database' else 'every database'}: {fact.name.lower()}": fact.value
        for fact in facts
        if not fact.role
    }


def _settings_drift(expected: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Drift]:
    """The shadow's server may have settings for all of its databases; those are no migration's."""
    for name in sorted(expected.keys() | found.keys()):
        before = None if name.startswith("every ") else expected.get(name)
        if before != found.get(name):
            yield Drift("setting", name, before, found.get(name))


def _drift(difference: Difference) -> Drift:
    return Drift(difference.kind, difference.name, difference.ours, difference.theirs)
