"""An environment's database on Neon: a branch, its compute, its passwords and its connection strings.

The comments that begin with "Trap" name what the Terraform provider (kislerdm/neon 0.15.0) does otherwise; the table in
docs/infrastructure.md has them all, with the test that fails without each answer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_neon as neon
import pulumi_random as random
from pulumi import Output, ResourceHookBinding, ResourceOptions

from infra import connection_strings, fixed_names, leftovers
from infra.adoption import ExistingBranch, refuse_to_move
from infra.branch_expiry import BranchExpiry
from infra.branch_guard import BranchGuard
from infra.branch_removal import BranchRemoval
from infra.compute import Compute
from infra.owner_password import OwnerPassword
from infra.settings import BranchSettings, ProjectSettings, Settings
from pipeline.neon import Compute as Size
from services import NAME, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

CONSOLE = "https://console.neon.tech/app"


@dataclass(frozen=True)
class ParentBranch:
    """The branch that another stack owns."""

    project_id: Output[str]
    branch_id: Output[str]


@dataclass(frozen=True)
class _Branch:
    """A branch with a compute, whichever stack made it; `made` are the resources that have to be there first."""

    project_id: Output[str]
    id: Output[str]
    endpoint_id: Output[str]
    made: list[pulumi.Resource]
    parent_id: Output[str] | None  # of a copy of its parent's data and passwords; such a one can be made again
    protect: bool  # in Pulumi

    @property
    def is_a_copy(self) -> bool:
        return self.parent_id is not None


class NeonDatabase(pulumi.ComponentResource):
    """One environment's database.

    With ProjectSettings it owns a Neon project and its default branch; with BranchSettings a branch of `parent`.
    The URLs are secrets; `service_urls` has those of the services, by the name of their output.
    """

    database_url: Output[str]
    project_id: Output[str]
    branch_id: Output[str]
    branch_name: Output[str]
    endpoint_id: Output[str]
    endpoint_host: Output[str]
    pooled_host: Output[str]
    region: Output[str]
    pg_version: Output[str]
    console_url: Output[str]

    def __init__(
        self,
        name: str,
        settings: ProjectSettings | BranchSettings,
        *,
        parent: ParentBranch | None = None,
        existing: ExistingBranch | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"{NAME}:neon:Database", name, {}, opts)
        # In the database the roles are made by a migration, never by Neon's API: a role that the API makes is a member of
        # neon_superuser and bypasses row level security.
        passwords = {role: self._password(role, version) for role, version in settings.password_versions.items()}
        if isinstance(settings, ProjectSettings):
            branch = self._make_project(name, settings, passwords=list(passwords.values()))
        elif parent is not None:
            branch = self._make_branch(name, settings, parent, existing or ExistingBranch())
        else:
            raise ValueError("a stack that owns a branch needs the branch that it is cut from")
        compute = self._settle(name, settings, branch)
        owner = self._own_password(name, settings, branch, compute)
        if isinstance(settings, BranchSettings):
            self._guard(name, settings, branch, [*branch.made, compute, owner, *passwords.values()])
        owner_password = owner.password

        def url(
            render: Callable[[str, str, str, str], str], host: Output[str], user: str, password: Output[str], what: str
        ) -> Output[str]:
            parts = Output.all(_filled(host, _empty("host")), _filled(password, _empty(what)))
            composed = parts.apply(lambda p: render(p[0], user, p[1], settings.database_name))
            # Trap: not every password of this provider is marked secret by itself; what holds one is wrapped here.
            return Output.secret(composed)

        strings = connection_strings
        self.database_url = url(
            strings.for_deploy, compute.host, settings.owner_name, owner_password, "password of the owner"
        )
        self.service_urls = {
            service.url_output: url(
                strings.for_service(service.client),
                compute.pooled_host,
                service.role,
                passwords[service.role].result,
                f"password of {service.role}",
            )
            for service in SERVICES
        }
        self.project_id = _filled(branch.project_id, _empty("project_id"))
        self.branch_id = _filled(branch.id, _empty("branch_id"))
        self.branch_name = Output.from_input(settings.branch_name)
        self.endpoint_id = _filled(branch.endpoint_id, _empty("endpoint_id"))
        self.endpoint_host = _filled(compute.host, _empty("endpoint_host"))
        self.pooled_host = _filled(compute.pooled_host, _empty("pooled_host"))
        self.region = _filled(compute.region, _empty("region"))
        version = compute.pg_version.apply(
            lambda number: str(int(number)) if number else ""
        )  # a double, from the engine
        self.pg_version = _filled(version, _empty("pg_version"))
        self.console_url = Output.concat(CONSOLE, "/projects/", self.project_id, "/branches/", self.branch_id)
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Output[str]]:
        """Return what the stack exports, by name."""
        return self.service_urls | {name: getattr(self, name) for name in self.__class__.__annotations__}

    def _make_project(self, name: str, settings: ProjectSettings, *, passwords: list[random.RandomPassword]) -> _Branch:
        project = neon.Project(
            name,
            # Trap: left out, the name would be this one with random characters.
            name=settings.project_name,
            org_id=settings.org_id,
            region_id=settings.region_id,
            pg_version=settings.pg_version,
            # Trap: the default of a day is more than the Free plan keeps.
            history_retention_seconds=settings.history_retention_seconds,
            # Trap: with "no" the creation fails after the project is there, since its password cannot be read.
            store_password="yes",  # noqa: S106 - a yes or no
            branch=neon.ProjectBranchArgs(
                name=settings.branch_name,
                role_name=settings.owner_name,
                database_name=settings.database_name,
            ),
            default_branch_protected=settings.protected,
            # Trap: an empty list is refused.
            allowed_ips=list(settings.allowed_ips) or None,
            allowed_ips_protected_branches_only="yes" if settings.allowed_ips_protected_branches_only else None,
            quota=neon.ProjectQuotaArgs(**asdict(settings.quota)) if settings.quota else None,
            # Trap: changing maintenance_window later crashes the provider, so it is left to Neon's console.
            opts=ResourceOptions(
                parent=self,
                # The data is in it: neither a destroy nor a replacement may take it along.
                protect=True,
                retain_on_delete=True,
                # A destroy deletes what nothing depends on until it meets a protected resource. The passwords have to
                # outlive a refused one, and cannot be protected themselves: they are replaced when they are rotated.
                depends_on=passwords,
                # Trap: role_name and database_name follow the oldest database, and a change there, by whoever, plans a
                # replacement of the project. Trap: default_endpoint_settings never reach the compute that is there
                # (infra/compute.py sends them). Trap: an update ignores store_password and compute_provisioner, which
                # would then differ for ever.
                ignore_changes=["branch", "defaultEndpointSettings", "storePassword", "computeProvisioner"],
                # Trap: the project falls out of the state when its owner's password cannot be read; with its id in the
                # settings it is taken back in, and without it the hook refuses to make a second one.
                import_=settings.project_id,
                hooks=ResourceHookBinding(before_create=[leftovers.before_project]),
            ),
        )
        # Trap: a neon.Endpoint for the default branch is refused (409), since the project brings one.
        ids = project.id, project.default_branch_id, project.default_endpoint_id
        return _Branch(*ids, [project], parent_id=None, protect=True)

    def _make_branch(
        self, name: str, settings: BranchSettings, parent: ParentBranch, existing: ExistingBranch
    ) -> _Branch:
        first = f"the stack {settings.parent_stack} is not made yet. Make it first: pulumi up --stack {settings.parent_stack}"
        project_id, parent_id = _filled(parent.project_id, first), _filled(parent.branch_id, first)
        stack = pulumi.get_stack()
        if (kept := existing.kept) is not None:

            def checked(ids: list[str]) -> str:
                refuse_to_move(stack, kept, *ids)
                return ids[0]

            project_id = Output.all(project_id, parent_id).apply(checked)
        removal = BranchRemoval(
            f"{name}-removal",
            project_id=project_id,
            branch_name=settings.branch_name,
            taken_in=(existing.import_id or "").rpartition("/")[2],
            stack=stack,
            opts=ResourceOptions(parent=self),
        )

        async def before_branch(args: pulumi.ResourceHookArgs) -> None:
            leftovers.before_branch(args, await removal.not_ours.future() or "", stack)

        branch = neon.Branch(
            name,
            project_id=project_id,
            parent_id=parent_id,
            name=settings.branch_name,
            protected="yes" if settings.protected else "no",
            opts=ResourceOptions(
                parent=self,
                depends_on=[removal],
                # Trap: the provider calls a change of these done and does nothing. A branch cannot move: it is made anew,
                # and the old one goes first, since two cannot bear one name.
                replace_on_changes=["projectId", "parentId"],
                delete_before_replace=True,
                # A restore of the parent moves this branch below the backup: that is no reason to make it anew.
                ignore_changes=["parentId"] if existing.kept or existing.import_id else None,
                import_=existing.import_id,
                protect=settings.protected,
                hooks=ResourceHookBinding(before_create=[before_branch]),
            ),
        )
        # Trap: a branch has no compute of its own. It does have its parent's roles and databases, so none is made here.
        endpoint = neon.Endpoint(
            name,
            project_id=project_id,
            branch_id=branch.id,
            type="read_write",
            autoscaling_limit_min_cu=settings.min_cu,
            autoscaling_limit_max_cu=settings.max_cu,
            suspend_timeout_seconds=settings.suspend_timeout_seconds,
            # Trap: with pooler_enabled the host becomes the pooled one, where migrations cannot run. Left out, it is off.
            opts=ResourceOptions(
                parent=self,
                # Trap: none of these is a change that replaces, and project_id and type are not even sent.
                replace_on_changes=["projectId", "branchId", "type"],
                delete_before_replace=True,
                protect=settings.protected,
                hooks=ResourceHookBinding(before_create=[leftovers.before_endpoint]),
            ),
        )
        made: list[pulumi.Resource] = [branch, endpoint]
        if settings.expires_at is not None:
            expiry = BranchExpiry(
                f"{name}-expiry",
                project_id=project_id,
                branch_id=branch.id,
                expires_at=settings.expires_at,
                opts=ResourceOptions(parent=self),
            )
            made.append(expiry)
        return _Branch(project_id, branch.id, endpoint.id, made, parent_id=parent_id, protect=settings.protected)

    def _guard(self, name: str, settings: BranchSettings, branch: _Branch, everything: list[pulumi.Resource]) -> None:
        BranchGuard(
            f"{name}-guard",
            project_id=branch.project_id,
            branch_id=branch.id,
            parent_id=branch.parent_id or "",
            stack=pulumi.get_stack(),
            # What depends on everything is deleted before everything.
            opts=ResourceOptions(parent=self, depends_on=everything, protect=settings.protected),
        )

    def _settle(self, name: str, settings: Settings, branch: _Branch) -> Compute:
        check = fixed_names.hook(name)
        return Compute(
            f"{name}-compute",
            project_id=branch.project_id,
            branch_id=branch.id,
            endpoint_id=branch.endpoint_id,
            names=fixed_names.Names(
                settings.branch_name if isinstance(settings, ProjectSettings) else "",
                settings.database_name,
                settings.owner_name,
            ),
            size=Size(settings.min_cu, settings.max_cu, settings.suspend_timeout_seconds),
            opts=ResourceOptions(
                parent=self,
                depends_on=branch.made,
                protect=branch.protect,
                hooks=ResourceHookBinding(before_create=[check], before_update=[check]),
            ),
        )

    def _own_password(self, name: str, settings: Settings, branch: _Branch, compute: Compute) -> OwnerPassword:
        return OwnerPassword(
            f"{name}-owner",
            project_id=branch.project_id,
            branch_id=branch.id,
            role=settings.owner_name,
            version=settings.owner_password_version,
            # Trap: a copy has its parent's passwords, unless the parent is protected. Version 0 leaves them.
            reset_when_made=branch.is_a_copy and settings.owner_password_version > 0,
            opts=ResourceOptions(parent=self, depends_on=[*branch.made, compute], protect=branch.protect),
        )

    def _password(self, role: str, version: int) -> random.RandomPassword:
        return random.RandomPassword(
            role,
            length=32,  # letters and digits: 190 bits, where Neon asks for 60
            special=False,
            keepers={"version": str(version)},
            opts=ResourceOptions(parent=self),
        )


def _filled(value: Output[str], complaint: str) -> Output[str]:
    """Fail the run on an empty value. Trap: on an error some parts of the provider give "" instead of failing."""

    def check(text: str | None) -> str:
        if not text:
            raise pulumi.RunError(complaint)
        return text

    return value.apply(check)


def _empty(what: str) -> str:
    return f"{what} is empty: nothing is published. Run it again: pulumi up --refresh"
