"""A run that is refused before it does anything: it says why and what to do, and nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services import DATABASE, OWNER
from tests.engine.workspace import Failed

if TYPE_CHECKING:
    from tests.engine.workspace import Workspace

NONE, WRONG = ("", "NEON_API_KEY is not set"), ("napi_of_nobody", "Set NEON_API_KEY")


@pytest.mark.parametrize(
    ("command", "key", "said"),
    [("preview", *NONE), ("preview", *WRONG), ("up --yes --skip-preview", *WRONG)]
    + [("destroy --yes --skip-preview", *key) for key in (NONE, WRONG)],
)
def test_a_run_without_a_valid_key_names_the_variable_and_changes_nothing(
    shared: Workspace, command: str, key: str, said: str
) -> None:
    def there() -> dict[str, str | None]:
        return {kind: resource.get("id") for kind, resource in shared.resources("dev").items()}

    before = there()
    with pytest.raises(Failed) as failure:
        shared.pulumi(*command.split(), "--stack", "dev", NEON_API_KEY=key)
    assert said in str(failure.value)
    assert "Traceback" not in str(failure.value)
    assert there() == before


@pytest.mark.parametrize(
    ("stack", "setting", "there"),
    [("prod", "databaseName", DATABASE), ("dev", "ownerName", OWNER), ("prod", "branchName", "main")],
)
def test_another_name_of_the_database_its_owner_or_the_default_branch_is_refused_in_a_preview(
    shared: Workspace, stack: str, setting: str, there: str
) -> None:
    shared.set(stack, **{setting: "renamed"})
    with pytest.raises(Failed) as failure:
        shared.pulumi("preview", "--stack", stack)
    shared.unset(stack, setting)
    said = " ".join(str(failure.value).split())
    assert f"The setting {setting} cannot change once the project is made; there is: {there}" in said
    assert f"pulumi config set --stack {stack} {setting} {there}" in said
    assert "Traceback" not in said


def test_a_value_of_another_type_is_refused_by_pulumi_with_the_setting_and_the_stack(shared: Workspace) -> None:
    shared.set("dev", protected="yes")
    with pytest.raises(Failed, match="'dev' with configuration key 'protected' must be of type 'boolean'"):
        shared.pulumi("preview", "--stack", "dev")
    shared.unset("dev", "protected")


def test_an_older_pulumi_is_refused_with_both_versions(shared: Workspace) -> None:
    file = shared.folder / "Pulumi.yaml"
    before = file.read_text()
    file.write_text(before.replace(">=3.259.0", ">=99.0.0"))
    with pytest.raises(Failed, match=r"version 3\.\S+ does not satisfy the version range \">=99\.0\.0\""):
        shared.pulumi("preview", "--stack", "dev")
    file.write_text(before)
