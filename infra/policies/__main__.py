"""What every stack has to be, whoever changes its settings: a policy pack of Pulumi's (docs/infrastructure.md, Policies).

To allow another region or a larger compute, change the tables here: that is a line of a pull request which somebody reads.
Pulumi runs this file by itself, so it imports nothing of ours; its one package needs an older protobuf than the program's,
so it has an environment of its own. A policy is shown secrets in clear and cannot tell which are secret: that no output is
one in clear is for tests/infra/test_policies.py, which asks the same of the committed stacks without the engine.
"""

# ruff: noqa: INP001 - a policy pack is a folder with this file and its settings, not a package

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT: Final = "neon:index/project:Project"
BRANCH: Final = "neon:index/branch:Branch"
COMPUTE: Final = "pulumi-python:dynamic/neon:Compute"

REGIONS: Final = {"aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "aws-eu-central-1", "aws-eu-west-2"}
LARGEST_CU: Final = {"project": 4.0, "branch": 2.0}
LONGEST_IDLE_SECONDS: Final = 3600  # a compute that never stops is paid for at night, too


def _production_stays(args: Any) -> Iterator[str]:
    if args.resource_type == PROJECT and not args.opts.protect:
        yield "the project has production's data: its resource has to be protected (protect=True)"
    if args.resource_type == BRANCH and (args.props.get("protected") == "yes") != args.opts.protect:
        yield "what is protected on Neon is protected in Pulumi, and nothing else"


def _region(args: Any) -> Iterator[str]:
    if args.resource_type == PROJECT and (region := args.props.get("regionId")) not in REGIONS:
        yield f"regionId is {region}; allowed are {', '.join(sorted(REGIONS))}"


def _size(args: Any) -> Iterator[str]:
    if args.resource_type != COMPUTE:
        return
    kind = "project" if args.props.get("branch_name") else "branch"
    if args.props["max_cu"] > LARGEST_CU[kind]:
        yield f"maxCu is {args.props['max_cu']:g}; of a {kind} at most {LARGEST_CU[kind]:g} are allowed"
    if not 0 <= args.props["suspend_timeout_seconds"] <= LONGEST_IDLE_SECONDS:
        yield f"suspendTimeoutSeconds has to be 0 (Neon's default) to {LONGEST_IDLE_SECONDS}"


# By name: what it is for, and what it has against a resource (pulumi_policy's ResourceValidationArgs).
POLICIES: Final[dict[str, tuple[str, Callable[[Any], Iterator[str]]]]] = {
    "production-stays": ("No run may destroy or replace what has data that nobody else has.", _production_stays),
    "region": ("Data stays in regions that were agreed on.", _region),
    "size": ("A compute has a size that was agreed on, and stops when it is idle.", _size),
}


def main() -> None:
    """Serve the pack to the engine that started this."""
    from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

    def validation(violations: Callable[[Any], Iterator[str]]) -> Callable[[Any, Callable[..., None]], None]:
        def validate(args: Any, report: Callable[..., None]) -> None:
            for each in violations(args):
                report(each)

        return validate

    policies = [
        ResourceValidationPolicy(name=name, description=description, validate=validation(violations))
        for name, (description, violations) in POLICIES.items()
    ]
    PolicyPack(name="db-pipeline", enforcement_level=EnforcementLevel.MANDATORY, policies=policies)


if __name__ == "__main__":
    main()
