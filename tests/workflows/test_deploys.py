"""A push to main, to its end in production: each job with the secrets that it has, on each of GitHub's plans."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.workflows.conftest import ADDITION

if TYPE_CHECKING:
    from tests.workflows.conftest import Team
    from tests.workflows.runner import Ran

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="jq, which gh has built in, is not on PATH")

APPROVED = {"state": "approved", "environments": [{"name": "prod"}], "user": {"login": "ada"}}


def answers(team: Team, *, approvals: list[Any] | None = None, dev: str = "success") -> dict[str, Any]:
    """What GitHub's API knows behind a push: its run, how its jobs ended, its artifact, and who approved what."""
    actions = "repos/team/database/actions"
    this = {"head_branch": "main", "head_sha": team.commit}
    ours = {**this, "id": 7, "repository_id": 1, "head_repository_id": 1}
    fork = {**ours, "id": 8, "head_repository_id": 2}
    other = {**ours, "id": 9, "head_branch": "a-branch"}
    made = [{"expired": False, "created_at": now(), "workflow_run": run} for run in (fork, other, ours)]
    return {
        f"{actions}/workflows/deploy.yml/runs": {"workflow_runs": [{**this, "event": "push", "id": 7}]},
        f"{actions}/runs/7/jobs": {"jobs": [{"name": "dev", "conclusion": dev}]},
        f"{actions}/artifacts": {"artifacts": made},
        f"{actions}/runs/7/approvals": approvals or [],
    }


def now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def results(jobs: dict[str, Ran]) -> dict[str, str]:
    return {name: job.result for name, job in jobs.items()}


def test_a_push_is_rehearsed_and_goes_to_prod_when_somebody_starts_it_by_hand(team: Team) -> None:
    """On a plan whose environments ask nobody."""
    team.write("0900_pinned", ADDITION)
    pushed = team.run("deploy.yml", "push")
    assert results(pushed) == {
        "before": "skipped",
        "ci": "success",
        "dev": "success",
        "plan": "success",
        "rehearse": "success",
        "prod": "skipped",
    }, pushed["rehearse"].text
    assert "### ✅ Rehearsal on `prod`: passed" in pushed["rehearse"].summary
    assert "0900_pinned" not in team.applied()
    assert team.branches() == ["main"]

    asked = team.run(
        "deploy.yml",
        "workflow_dispatch",
        context={"inputs.rehearsal": "reuse"},
        answers=answers(team),
        earlier=team.runs[0],
    )
    assert results(asked) == {
        "before": "success",
        "ci": "skipped",
        "dev": "skipped",
        "plan": "success",
        "rehearse": "success",
        "prod": "success",
    }, asked["prod"].text
    assert "The rehearsal" not in asked["rehearse"].steps
    assert team.applied()[-1] == "0900_pinned"
    for secret in (secret for secrets in team.secrets.values() for secret in secrets.values()):
        assert not any(secret in job.text for jobs in (pushed, asked) for job in jobs.values())


def test_another_rehearsal_is_made_where_one_is_asked_for(team: Team) -> None:
    team.write("0900_pinned", ADDITION)
    asked = team.run("deploy.yml", "workflow_dispatch", context={"inputs.rehearsal": "remake"}, answers=answers(team))
    assert asked["rehearse"].steps["The rehearsal"].returncode == 0, asked["rehearse"].text
    assert asked["prod"].result == "success", asked["prod"].text
    assert team.applied()[-1] == "0900_pinned"


def test_what_the_push_did_not_do_is_done_when_it_is_started_by_hand(team: Team) -> None:
    asked = team.run(
        "deploy.yml",
        "workflow_dispatch",
        context={"inputs.rehearsal": "remake"},
        answers=answers(team, dev="failure"),
    )
    assert set(results(asked).values()) == {"success"}, asked["before"].text
    assert "nothing is pending" in asked["rehearse"].summary


@pytest.mark.parametrize("approvals", [[], [{**APPROVED, "state": "rejected"}]])
def test_nothing_goes_to_prod_where_approvals_are_counted_on_and_nobody_is_asked(
    team: Team, approvals: list[Any]
) -> None:
    team.write("0900_pinned", ADDITION)
    jobs = team.run(
        "deploy.yml",
        "push",
        context={"vars.PROD_DEPLOY": "approval"},
        answers=answers(team, approvals=approvals),
    )
    assert jobs["rehearse"].result == "success", jobs["rehearse"].text
    assert jobs["prod"].result == "failure"
    assert list(jobs["prod"].steps) == ["Somebody asked for it"]
    assert "::error title=Nobody approved this::" in jobs["prod"].text
    assert "0900_pinned" not in team.applied()


def test_what_somebody_approved_goes_to_prod(team: Team) -> None:
    team.write("0900_pinned", ADDITION)
    jobs = team.run(
        "deploy.yml",
        "push",
        context={"vars.PROD_DEPLOY": "approval"},
        answers=answers(team, approvals=[APPROVED]),
    )
    assert jobs["prod"].result == "success", jobs["prod"].text
    assert team.applied()[-1] == "0900_pinned"


def test_what_breaks_something_is_not_offered_to_prod(team: Team) -> None:
    team.write("0900_breaks", 'ALTER TABLE "Message" ADD COLUMN pinned boolean NOT NULL;\nSELECT 1 / 0;')
    asked = team.run("deploy.yml", "workflow_dispatch", context={"inputs.rehearsal": "remake"}, answers=answers(team))
    assert asked["rehearse"].steps["The rehearsal"].returncode == 4
    assert "### ❌ Rehearsal on `prod`: break" in asked["rehearse"].summary
    assert (asked["rehearse"].result, asked["prod"].result) == ("failure", "skipped")
    assert (team.runs[-1].artifacts / "rehearsal-report" / "report.html").exists()
    assert not (team.runs[-1].artifacts / "rehearsal-of-prod").exists()
    assert team.branches() == ["main"]


def test_without_a_key_the_rehearsal_is_not_red_and_prod_takes_nothing(team: Team) -> None:
    team.write("0900_pinned", ADDITION)
    del team.secrets["prod-rehearsal"]
    asked = team.run("deploy.yml", "workflow_dispatch", context={"inputs.rehearsal": "remake"}, answers=answers(team))
    assert asked["rehearse"].result == "success"
    assert asked["rehearse"].summary == "Not rehearsed: the environment prod-rehearsal has no secret NEON_API_KEY.\n"
    assert asked["prod"].steps["Deploy"].returncode == 3
    assert "0900_pinned" not in team.applied()


def test_a_signed_receipt_lets_the_deploy_run_and_another_does_not(team: Team) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (team.repository.root / "rehearsal.pub").write_bytes(public)
    team.write("0900_pinned", ADDITION)
    by_hand = {"inputs.rehearsal": "remake"}
    unsigned = team.run("deploy.yml", "workflow_dispatch", context=by_hand, answers=answers(team))
    assert unsigned["prod"].steps["Deploy"].returncode == 3
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    team.secrets["prod-rehearsal"]["REHEARSAL_SIGNING_KEY"] = private
    signed = team.run("deploy.yml", "workflow_dispatch", context=by_hand, answers=answers(team))
    assert signed["prod"].result == "success", signed["prod"].text
    assert team.applied()[-1] == "0900_pinned"


def test_a_plan_without_environments_has_its_secrets_under_names_of_their_own(team: Team) -> None:
    team.write("0900_pinned", ADDITION)
    team.secrets = {
        "": {
            "DEV_DATABASE_URL": team.dev.reveal(),
            "PROD_READER_URL": team.secrets["prod-plan"]["DATABASE_URL"],
            "PROD_DATABASE_URL": team.prod.reveal(),
            "NEON_API_KEY": team.emulator.environment["NEON_API_KEY"],
        }
    }
    asked = team.run(
        "deploy.yml",
        "workflow_dispatch",
        context={"inputs.rehearsal": "remake"},
        answers=answers(team, dev="failure"),
    )
    assert set(results(asked).values()) == {"success"}, [job.text for job in asked.values()]
    assert team.applied()[-1] == "0900_pinned"
