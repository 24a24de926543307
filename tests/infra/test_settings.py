from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from infra import settings as program_settings
from infra.settings import BranchSettings, ProjectSettings, Quota, SettingError, load
from services import PROJECT
from tests.support.databases import PRODUCT

ROOT = Path(__file__).resolve().parents[2]
PROD = {"owns": "project", "regionId": "aws-us-east-1"}
DEV = {"owns": "branch", "parentStack": "prod"}


def test_the_defaults_fit_the_free_plan() -> None:
    settings = load("prod", PROD)
    assert isinstance(settings, ProjectSettings)
    assert settings.history_retention_seconds <= 21_600
    assert settings.max_cu <= 2
    assert settings.suspend_timeout_seconds == 0
    assert not settings.protected
    assert settings.allowed_ips == ()
    assert settings.quota is None


def test_a_branch_is_named_for_its_stack_and_a_projects_is_main() -> None:
    assert load("staging", DEV).branch_name == "staging"
    assert load("staging", {**DEV, "branchName": "rehearsal"}).branch_name == "rehearsal"
    assert load("prod", PROD).branch_name == "main"


@pytest.mark.parametrize(("stack", "kind"), [("prod", ProjectSettings), ("dev", BranchSettings)])
def test_the_committed_files_are_valid_and_hold_no_secret(stack: str, kind: type) -> None:
    content = yaml.safe_load((PRODUCT / f"Pulumi.{stack}.yaml").read_text())
    given = {name.removeprefix(f"{PROJECT}:"): value for name, value in content["config"].items()}
    assert all(isinstance(value, str) for value in given.values()), "a setting is a string, {secure: …} is a secret"
    assert isinstance(load(stack, given), kind)


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        ({}, "owns", "is missing. Allowed: project"),
        ({"owns": "prod"}, "owns", "is 'prod'. Allowed: project"),
        ({"owns": "project"}, "regionId", "is missing. Allowed: a region of Neon's"),
        ({**PROD, "regionId": "here"}, "regionId", "is 'here'"),
        ({**PROD, "pgVersion": "12"}, "pgVersion", "is '12'. Allowed: 14, 15, 16, 17 or 18"),
        ({**PROD, "pgVersion": "new"}, "pgVersion", "is 'new'"),
        ({**PROD, "protected": "yes"}, "protected", "is 'yes'. Allowed: true"),
        ({**PROD, "minCu": "0"}, "minCu", "is '0'. Allowed: a number of Compute Units from 0.25"),
        ({**PROD, "minCu": "nan"}, "minCu", "is 'nan'"),
        ({**PROD, "minCu": "4"}, "minCu", "is 4, above maxCu"),
        ({**PROD, "suspendTimeoutSeconds": "700000"}, "suspendTimeoutSeconds", "is '700000'"),
        ({**PROD, "historyRetentionSeconds": "9999999"}, "historyRetentionSeconds", "21600 (Free)"),
        ({**PROD, "allowedIps": "203.0.113.1"}, "allowedIps", "Allowed: a JSON list"),
        ({**PROD, "allowedIps": '["everybody"]'}, "allowedIps", "Allowed: a JSON list"),
        ({**PROD, "quota": "[]"}, "quota", "Allowed: a JSON object"),
        ({**PROD, "quota": '{"seconds": 1}'}, "quota", "Allowed: a JSON object"),
        ({**PROD, "quota": '{"activeTimeSeconds": true}'}, "quota", "Allowed: a JSON object"),
        ({**PROD, "orgId": "acme"}, "orgId", "is 'acme'"),
        ({**PROD, "databaseName": "a b"}, "databaseName", "is 'a b'"),
        ({**PROD, "ownerPasswordVersion": "-1"}, "ownerPasswordVersion", "is '-1'"),
        ({**PROD, "rehearsal": "Required"}, "rehearsal", "is 'Required'. Allowed: required"),
        ({**DEV, "rehearsal": "false"}, "rehearsal", "is 'false'. Allowed: required"),
        ({**PROD, "keepPointsDays": "31"}, "keepPointsDays", "is '31'. Allowed: whole days from 1 to 30"),
        ({**PROD, "keepPointsDays": "0"}, "keepPointsDays", "is '0'"),
        ({**DEV, "branchId": "main"}, "branchId", "is 'main'"),
        ({**DEV, "expiresAt": "2026-12-31T18:00:00"}, "expiresAt", "Allowed: a moment with a time zone"),
        ({**DEV, "expiresAt": "2026-12-31T18:00:00Z", "protected": "true"}, "protected", "is true beside expiresAt"),
        ({"owns": "branch"}, "parentStack", "is missing"),
        ({**DEV, "parentStack": "a/b/c/d"}, "parentStack", "is 'a/b/c/d'"),
        ({**DEV, "projectId": "quiet-sea-1"}, "parentStack", "is given beside"),
        ({"owns": "branch", "projectId": "quiet-sea-1"}, "parentBranchId", "is missing"),
        ({"owns": "branch", "parentBranchId": "br-1"}, "projectId", "is missing"),
    ],
)
def test_a_wrong_setting_is_named_with_its_stack_what_is_allowed_and_the_remedy(
    settings: dict[str, str], key: str, said: str
) -> None:
    with pytest.raises(SettingError) as caught:
        load("blue", settings)
    message = str(caught.value)
    assert message.startswith(f"stack blue: the setting {key} ")
    assert said in message
    assert f"\nSet it with: pulumi config set --stack blue {key} " in message


@pytest.mark.parametrize(
    ("kind", "key"),
    [(PROD, key) for key in program_settings._COMMON | program_settings._PROJECT if key != "regionId"]
    + [(DEV, key) for key in program_settings._BRANCH],
)
def test_an_empty_setting_is_taken_out(kind: dict[str, str], key: str) -> None:
    with pytest.raises(SettingError, match=f"the setting {key} is empty") as caught:
        load("blue", {**kind, key: ""})
    assert str(caught.value).endswith(f"\nTake it out with: pulumi config rm --stack blue {key}")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({**PROD, "histroyRetentionSeconds": "1"}, "histroyRetentionSeconds is not one of this program's"),
        ({**PROD, "parentStack": "prod"}, "parentStack is for a stack that does not own a project"),
        ({**DEV, "pgVersion": "17"}, "pgVersion is for a stack that does not own a branch"),
        ({**DEV, "regionId": "aws-us-east-1"}, "regionId is for a stack that does not own a branch"),
    ],
)
def test_a_setting_that_would_be_ignored_is_an_error(settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said) as caught:
        load("blue", settings)
    assert "Remove it with: pulumi config rm --stack blue" in str(caught.value)


def test_the_defaults_that_pulumi_gives_every_stack_are_the_programs_and_fit_both_kinds() -> None:
    declared = yaml.safe_load((PRODUCT / "Pulumi.yaml").read_text())["config"]
    assert all(entry.keys() <= {"type", "description", "default"} for entry in declared.values())
    assert [name for name, entry in declared.items() if not entry["description"]] == []
    # Pulumi writes a default as YAML's own text of it
    given = {name: str(e["default"]).lower() for name, e in declared.items() if "default" in e}
    for kind in (PROD, DEV):
        assert load("blue", {**kind, **given}) == load("blue", kind)


def test_every_setting_with_a_default_is_declared_for_pulumi() -> None:
    declared = yaml.safe_load((PRODUCT / "Pulumi.yaml").read_text())["config"]
    keys = program_settings._COMMON | program_settings._PROJECT | program_settings._BRANCH
    # allowedIps: a default of an empty list would make it a list in the stack's file, and it is JSON there
    wanted = {name for name, key in keys.items() if key.default is not None} - {"allowedIps"}
    assert declared.keys() == {"owns"} | wanted


def test_a_quota_is_read_by_neons_names() -> None:
    settings = load("prod", {**PROD, "quota": '{"computeTimeSeconds": 5, "writtenDataBytes": 6}'})
    assert isinstance(settings, ProjectSettings)
    assert settings.quota == Quota(compute_time_seconds=5, written_data_bytes=6)


def test_the_generated_provider_asks_for_a_plugin_that_real_users_can_install() -> None:
    plugin = json.loads((ROOT / "sdks/neon/pulumi_neon/pulumi-plugin.json").read_text())
    package: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["packages"]["neon"]
    assert (
        (plugin["name"], plugin["version"])
        == (package["source"], package["version"])
        == ("terraform-provider", "1.1.3")
    )
    assert plugin["parameterization"]["version"] == package["parameters"][1]


def test_no_api_key_was_generated_into_the_provider() -> None:
    texts = [path.read_text() for path in (ROOT / "sdks/neon").rglob("*.py")]
    assert texts
    assert not [text for text in texts if "napi_" in text]
