"""What a run of the emulator is told: where its data is, its port, and the plan whose limits it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """Limits of a Neon plan (plans page of 2026-08-27)."""

    name: str
    branches: int
    root_branches: int
    protected_branches: int
    history_seconds: int
    snapshots: int  # taken by hand
    max_cu: float
    may_change_suspend: bool
    owner_type: str


PLANS = {
    plan.name: plan
    for plan in (
        Plan("free", 10, 3, 0, 21_600, 1, 2, may_change_suspend=False, owner_type="free_v3"),
        Plan("launch", 5000, 5, 2, 604_800, 100, 16, may_change_suspend=True, owner_type="launch_v3"),
        Plan("scale", 5000, 25, 5, 2_592_000, 100, 56, may_change_suspend=True, owner_type="scale_v3"),
    )
}


# Below localhost, which leads to this machine wherever names below it are known (RFC 6761); two labels, since verifiers
# take no wildcard for a single one.
DOMAIN = "neon.localhost"


@dataclass(frozen=True)
class Settings:
    """One run of the emulator.

    `data` is made absolute here, once: the programs that work in the folder (initdb, postgres, cp, PgBouncer) run in
    working directories of their own, where a relative path leads elsewhere.

    `operation_seconds` is the least time that an operation takes. `refusal_status` is the answer to a delete that the
    rules forbid (protected, default, root, with children): which of 422 and 409 Neon gives is not known, and the
    Terraform provider takes a 422 for "already deleted". `require_org` refuses project calls without org_id, as a
    personal key does. `names` gives hosts names below DOMAIN instead of addresses. `restored_id` says whether what is
    restored keeps its id or gets a new one, its old id staying with the old state. Neon's documents say the first of a
    branch's restore and the second of a snapshot's, which is `documented`; `kept` and `new` are for both.
    """

    data: Path
    port: int = 0
    plan: Plan = PLANS["launch"]
    operation_seconds: float = 0.0
    refusal_status: int = 422
    require_org: bool = False
    names: bool = False
    restored_id: str = "documented"

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", self.data.resolve())
