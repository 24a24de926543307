"""Whose key it is: one user, in one organisation or in those that projects were made for; and where projects may live."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.control import Call
    from emulator.shapes import Json

ORGANIZATION = "org-emulated-12345678"
EMAIL = "owner@example.test"
_REGIONS = ("aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "aws-eu-central-1", "aws-eu-west-2", "azure-eastus2")
_ENDLESS = -1


async def me(call: Call) -> Json:
    """GET /users/me."""
    plan = call.control.settings.plan
    person = {"email": EMAIL, "image": "", "login": EMAIL, "name": "emulator"}
    return person | {
        "id": "00000000-0000-4000-8000-000000000000",
        "last_name": "",
        "auth_accounts": [person | {"provider": "keycloak"}],
        "active_seconds_limit": _ENDLESS,
        "projects_limit": _ENDLESS,
        "branches_limit": plan.branches,
        "max_autoscaling_limit": plan.max_cu,
        "plan": plan.owner_type,
    }


async def organizations(call: Call) -> Json:
    """GET /users/me/organizations."""
    projects = call.control.store.projects.values()
    since = min((project.created_at for project in projects), default=call.control.clock.stamp())
    fixed = {
        "name": "emulated",
        "plan": call.control.settings.plan.name,
        "managed_by": "console",
        "created_at": since,
        "updated_at": since,
    }
    known = {ORGANIZATION} | {project.org_id for project in projects}
    return {"organizations": [{"id": item, "handle": item} | fixed for item in sorted(known)]}


async def regions(_: Call) -> Json:
    """GET /regions: every region is this machine."""
    place = {"geo_lat": "0", "geo_long": "0"}
    return {"regions": [{"region_id": item, "name": item, "default": item == _REGIONS[0]} | place for item in _REGIONS]}
