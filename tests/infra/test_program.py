"""What the program asks of the engine, for each kind of stack and each setting; one test for each trap's answer."""

from __future__ import annotations

from typing import Any

import pytest

import services
from dbclient.url import DatabaseURL
from tests.infra.program import (
    ANSWERS,
    BRANCH,
    COMPUTE,
    ENDPOINT,
    EXPIRY,
    GUARD,
    OWNER,
    PASSWORD,
    PROJECT,
    REFERENCE,
    REMOVAL,
    failure,
    run,
)

PROD = {"owns": "project", "regionId": "aws-us-east-1"}
DEV = {"owns": "branch", "parentStack": "prod"}
URLS = {"database_url", "server_database_url", "ai_service_database_url"}


def test_prod_is_a_project_and_dev_a_branch_of_it() -> None:
    prod, dev = run("prod", PROD), run("dev", DEV)
    assert not prod.all(BRANCH)
    assert not dev.all(PROJECT)
    assert dev.one(BRANCH).inputs["projectId"] == "quiet-sea-1"
    assert dev.one(BRANCH).inputs["parentId"] == "br-main-1"
    assert dev.one(BRANCH).inputs["name"] == "dev"
    assert dev.one(ENDPOINT).inputs["branchId"] == "br-dev-1"


@pytest.mark.parametrize(("stack", "settings"), [("prod", PROD), ("dev", DEV)])
def test_the_outputs_are_those_of_the_contract_and_the_urls_are_secret(stack: str, settings: dict[str, str]) -> None:
    made = run(stack, settings)
    assert made.outputs.keys() == {
        *URLS,
        *("project_id", "branch_id", "branch_name", "endpoint_id", "endpoint_host"),
        *("pooled_host", "region", "pg_version", "console_url"),
    }
    assert made.secrets == URLS
    assert made.outputs["pg_version"] == "16"
    branch = f"{made.outputs['project_id']}/branches/{made.outputs['branch_id']}"
    assert made.outputs["console_url"] == f"https://console.neon.tech/app/projects/{branch}"


def test_each_url_is_what_its_client_takes() -> None:
    outputs = run("dev", DEV).outputs
    owner = DatabaseURL.parse(outputs["database_url"])
    assert outputs["database_url"] == owner.for_psycopg().dsn
    assert not owner.is_pooled
    server = DatabaseURL.parse(outputs["server_database_url"])
    assert outputs["server_database_url"] == server.for_prisma().dsn
    assert server.is_pooled
    ai_service = DatabaseURL.parse(outputs["ai_service_database_url"])
    assert outputs["ai_service_database_url"] == ai_service.for_asyncpg().dsn
    assert ai_service.is_pooled
    assert [url.user for url in (owner, server, ai_service)] == [services.OWNER, "server", "ai_service"]


def test_trap_1_the_branchs_end_is_looked_after_by_a_resource_that_it_depends_on() -> None:
    dev = run("dev", DEV)
    assert dev.one(REMOVAL).inputs["branch_name"] == "dev"
    assert any("BranchRemoval" in urn for urn in dev.one(BRANCH).request.dependencies)


@pytest.mark.parametrize(
    ("stack", "settings", "kind"), [("prod", PROD, PROJECT), ("dev", DEV, BRANCH), ("dev", DEV, ENDPOINT)]
)
def test_trap_2_nothing_is_made_before_it_was_looked_for(stack: str, settings: dict[str, str], kind: str) -> None:
    assert run(stack, settings).one(kind).hooks("before_create") == 1


def test_trap_3_passwords_are_stored() -> None:
    assert run("prod", PROD).one(PROJECT).inputs["storePassword"] == "yes"


def test_trap_4_the_oldest_database_does_not_replace_the_project() -> None:
    request = run("prod", PROD).one(PROJECT).request
    assert "branch" in request.ignoreChanges
    assert request.protect
    assert request.retainOnDelete


def test_trap_4_a_project_that_fell_out_of_the_state_is_taken_back_by_its_id() -> None:
    assert run("prod", {**PROD, "projectId": "quiet-sea-9"}).one(PROJECT).request.importId == "quiet-sea-9"
    assert run("prod", PROD).one(PROJECT).request.importId == ""


def test_trap_5_the_maintenance_window_is_left_to_the_console() -> None:
    assert "maintenanceWindow" not in run("prod", PROD).one(PROJECT).inputs


def test_trap_6_no_data_source_is_asked_for_a_password() -> None:
    assert run("prod", PROD).calls == []
    assert run("dev", DEV).calls == []


@pytest.mark.parametrize(
    "what", [{OWNER: {"password": ""}}, {PASSWORD: {"result": ""}}, {COMPUTE: {"host": ""}}, {COMPUTE: {"region": ""}}]
)
def test_trap_6_an_empty_value_is_never_published(what: dict[str, dict[str, Any]]) -> None:
    answers = {kind: (ANSWERS[kind][0], {**ANSWERS[kind][1], **changed}) for kind, changed in what.items()}
    assert "is empty: nothing is published" in failure("dev", DEV, answers=answers)


def test_trap_7_main_gets_no_second_compute_and_its_size_is_sent_to_the_one_it_has() -> None:
    prod = run("prod", {**PROD, "minCu": "0.5", "maxCu": "1", "suspendTimeoutSeconds": "600"})
    assert prod.all(ENDPOINT) == []
    assert "defaultEndpointSettings" in prod.one(PROJECT).request.ignoreChanges
    size = prod.one(COMPUTE).inputs
    assert (size["endpoint_id"], size["min_cu"], size["max_cu"]) == ("ep-main-1", 0.5, 1)
    assert size["suspend_timeout_seconds"] == 600


def test_trap_8_dev_has_a_compute_of_its_own_and_makes_no_role_and_no_database() -> None:
    dev = run("dev", DEV)
    assert dev.one(ENDPOINT).inputs["type"] == "read_write"
    assert not dev.all("neon:index/role:Role")
    assert not dev.all("neon:index/database:Database")
    assert any("endpoint:Endpoint" in urn for urn in dev.one(OWNER).request.dependencies)


def test_trap_9_a_password_with_any_character_survives_its_url() -> None:
    assert DatabaseURL.parse(run("dev", DEV).outputs["database_url"]).password == "ow/n@er%"


@pytest.mark.parametrize(("stack", "settings", "reset"), [("prod", PROD, False), ("dev", DEV, True)])
def test_trap_10_the_owners_password_is_the_graphs_own(stack: str, settings: dict[str, str], reset: bool) -> None:
    owner = run(stack, {**settings, "ownerPasswordVersion": "7"}).one(OWNER)
    assert owner.inputs["version"] == 7
    assert owner.inputs["reset_when_made"] is reset
    assert owner.request.additionalSecretOutputs == ["password"]


def test_trap_11_what_cannot_change_in_place_is_replaced_old_one_first() -> None:
    dev = run("dev", DEV)
    assert dev.one(BRANCH).request.replaceOnChanges == ["projectId", "parentId"]
    assert dev.one(ENDPOINT).request.replaceOnChanges == ["projectId", "branchId", "type"]
    assert dev.one(BRANCH).request.deleteBeforeReplace
    assert dev.one(ENDPOINT).request.deleteBeforeReplace


def test_the_history_fits_the_free_plan_unless_it_is_set() -> None:
    assert run("prod", PROD).one(PROJECT).inputs["historyRetentionSeconds"] == 21_600
    longer = run("prod", {**PROD, "historyRetentionSeconds": "604800"}).one(PROJECT)
    assert longer.inputs["historyRetentionSeconds"] == 604_800


def test_the_host_stays_the_direct_one() -> None:
    assert "poolerEnabled" not in run("dev", DEV).one(ENDPOINT).inputs


def test_nothing_is_asked_by_an_attribute_that_a_later_provider_took_away() -> None:
    asked = run("prod", PROD).one(PROJECT).inputs.keys() | run("dev", DEV).one(ENDPOINT).inputs.keys()
    assert not asked & {"defaultEndpointSettings", "poolerEnabled"}


def test_a_refused_destroy_of_prod_takes_nothing_along() -> None:
    prod = run("prod", PROD)
    assert all(prod.one(kind).request.protect for kind in (PROJECT, COMPUTE, OWNER))
    # what is not protected is deleted after what is, and so not at all
    assert {urn.rpartition("::")[2] for urn in prod.one(PROJECT).request.dependencies} >= {"server", "ai_service"}


def test_dev_can_be_destroyed() -> None:
    for _, resource in run("dev", DEV).resources:
        assert not getattr(resource.request, "protect", False)
        assert not getattr(resource.request, "retainOnDelete", False)


def test_what_may_stand_in_the_way_of_a_destroy_is_asked_first() -> None:
    dev = run("dev", {**DEV, "expiresAt": "2026-12-31T18:00:00Z"})
    before = {urn.rpartition("::")[2] for urn in dev.one(GUARD).request.dependencies}
    everything = {item.name for kind, item in dev.resources if kind not in {GUARD, REFERENCE, REMOVAL}}
    # the removal is behind the branch, and the component and the stack are behind all that is in them
    assert before >= everything - {f"{services.PROJECT}-dev"}


def test_a_protected_branch_is_protected_in_pulumi_and_its_destroy_meets_that_first() -> None:
    dev = run("dev", {**DEV, "protected": "true"})
    for kind in (BRANCH, ENDPOINT, COMPUTE, OWNER, GUARD):
        assert dev.one(kind).request.protect
    assert dev.one(BRANCH).inputs["protected"] == "yes"


def test_a_branch_expires_only_when_that_is_set() -> None:
    assert run("dev", DEV).all(EXPIRY) == []
    expiry = run("dev", {**DEV, "expiresAt": "2026-12-31T19:00:00+01:00"}).one(EXPIRY)
    assert expiry.inputs["expires_at"] == "2026-12-31T18:00:00+00:00"


def test_every_setting_of_a_project_arrives() -> None:
    inputs = (
        run(
            "prod",
            {
                **PROD,
                "projectName": "shop",
                "orgId": "org-a-1",
                "pgVersion": "17",
                "branchName": "trunk",
                "databaseName": "shops",
                "ownerName": "shops_owner",
                "protected": "true",
                "allowedIps": '["203.0.113.0/24", "2001:db8::/32"]',
                "allowedIpsProtectedBranchesOnly": "true",
                "quota": '{"activeTimeSeconds": 3600, "logicalSizeBytes": 1000000}',
            },
        )
        .one(PROJECT)
        .inputs
    )
    assert (inputs["name"], inputs["orgId"], inputs["pgVersion"]) == ("shop", "org-a-1", 17)
    assert inputs["branch"] == {"name": "trunk", "databaseName": "shops", "roleName": "shops_owner"}
    assert inputs["defaultBranchProtected"] is True
    assert inputs["allowedIps"] == ["203.0.113.0/24", "2001:db8::/32"]
    assert inputs["allowedIpsProtectedBranchesOnly"] == "yes"
    assert inputs["quota"] == {"activeTimeSeconds": 3600, "logicalSizeBytes": 1_000_000}


def test_what_is_not_set_is_not_sent() -> None:
    inputs = run("prod", PROD).one(PROJECT).inputs
    assert not {"orgId", "allowedIps", "allowedIpsProtectedBranchesOnly", "quota"} & inputs.keys()
    assert inputs["defaultBranchProtected"] is False


def test_each_runtime_role_has_a_password_of_its_own_version() -> None:
    made = run("dev", {**DEV, "serverPasswordVersion": "3"}).all(PASSWORD)
    assert {item.name: item.inputs["keepers"]["version"] for item in made} == {"server": "3", "ai_service": "1"}
    assert all(item.inputs["length"] >= 32 for item in made)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("prod", f"org/{services.PROJECT}/prod"), ("a/prod", "org/a/prod"), ("b/a/prod", "b/a/prod")],
)
def test_the_parent_stack_may_be_in_another_project_or_organization(said: str, meant: str) -> None:
    assert run("dev", {**DEV, "parentStack": said}).one(REFERENCE).name == meant


def test_a_parent_given_by_its_ids_reads_no_other_stack() -> None:
    dev = run("dev", {"owns": "branch", "projectId": "quiet-sea-2", "parentBranchId": "br-main-2"})
    assert dev.all(REFERENCE) == []
    assert dev.one(BRANCH).inputs["parentId"] == "br-main-2"


def test_a_parent_that_was_never_made_is_named() -> None:
    assert "the stack prod is not made yet. Make it first: pulumi up --stack prod" in failure("dev", DEV, parent={})
