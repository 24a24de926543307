"""Whatever a client sends, to whatever route: no 5xx, nothing that a list cannot show, and the connection lives."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emulator.routes import _NOT_EMULATED, _ROUTES
from tests.emulator.urls import branch_path, project_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.emulator import Emulator

Json = dict[str, Any]

ROUTES = sorted({(method, path) for method, path, *_ in (*_ROUTES, *_NOT_EMULATED)})

# Every name that a request may use, in bodies and queries (Neon's specification); the property mixes them at all depths.
OBJECTS = (
    "project", "branch", "endpoint", "role", "database", "settings", "default_endpoint_settings", "quota", "allowed_ips",
    "maintenance_window", "preload_libraries", "annotation_value", "pg_settings", "pgbouncer_settings", "annotations",
)  # fmt: skip
NAMES = (
    "name", "branch_id", "parent_id", "parent_lsn", "parent_timestamp", "init_source", "protected", "archived", "expires_at",
    "org_id", "region_id", "pg_version", "store_passwords", "history_retention_seconds", "provisioner", "role_name",
    "database_name", "owner_name", "no_login", "type", "autoscaling_limit_min_cu", "autoscaling_limit_max_cu",
    "suspend_timeout_seconds", "pooler_enabled", "disabled", "passwordless_access", "ips", "protected_branches_only",
    "weekdays", "start_time", "end_time", "enabled_libraries", "use_defaults", "hipaa", "audit_log_level",
    "source_branch_id", "source_lsn", "source_timestamp", "preserve_under_name", "target_branch_id", "finalize_restore",
    "snapshot", "timestamp", "lsn", "schedule", "frequency", "hour", "endpoints",
)  # fmt: skip
QUERIES = (
    "limit", "cursor", "search", "sort_by", "sort_order", "include_deleted", "hard_delete", "org_id", "branch_id",
    "endpoint_id", "database_name", "role_name", "pooled", "recoverable", "timeout", "lsn", "timestamp", "name", "expires_at",
    "db_name", "base_branch_id", "base_lsn", "base_timestamp", "format",
)  # fmt: skip

# What has broken such servers before, and what Hypothesis finds by itself.
AWKWARD = (
    "", "\0", "a\0b", "\ud800", "app", "main", "pg_x", "x" * 300, "é" * 32, "a'b\"c\\", "\n", "-1", "read_write",
    "0/0", "FFFFFFFF/FFFFFFFF", "0/1E8A9B8", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00",
    "parent-data", "schema-only",
)  # fmt: skip
SCALARS = st.one_of(
    st.sampled_from(AWKWARD),
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from((0, -1, 2**31, 2**63, 10**30)),
    st.floats(),
    st.text(st.characters(codec=None), max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from((*NAMES, *OBJECTS, "a\0b", "\udfff", "x y")), inner, max_size=4),
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from((*NAMES, *OBJECTS)), VALUES, min_size=1, max_size=4)
BODIES = st.one_of(
    st.dictionaries(
        st.sampled_from(("project", "branch", "endpoint", "role", "database")), FIELDS, min_size=1, max_size=2
    ),
    FIELDS,
    VALUES,
)
QUERY = st.dictionaries(
    st.sampled_from(QUERIES),
    st.one_of(st.sampled_from(["\0", "9" * 30, "9" * 5000, "-1", "true", "asc", *AWKWARD]), st.text(max_size=5)).filter(
        lambda text: not re.search("[\ud800-\udfff]", text)  # a URL cannot say it
    ),
    max_size=3,
)

PASSING = {
    "current_state", "pending_state", "state_changed_at", "last_active", "started_at", "suspended_at", "updated_at",
    "logical_size", "synthetic_storage_size", "operations", "pagination", "status", "total_duration_ms",
}  # fmt: skip


@pytest.fixture(scope="module")
def asked(emulator: Emulator) -> Iterator[Json]:
    """A project that is only asked for what Hypothesis invents."""
    made = emulator.create_project(name="asked")
    yield made
    for project in emulator.ok("GET", "/projects?limit=100")["projects"]:
        if project["name"] != "shared":
            emulator.delete_project(project["id"])


@pytest.fixture(scope="module")
def seen() -> list[Any]:
    """What the lists told after the last request, which is what they tell before the next."""
    return []


@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    route=st.sampled_from(ROUTES),
    real=st.booleans(),
    junk=st.sampled_from(("x", "%00", "%F0%9F", "%ED%A0%80", "a%20b", "..", "y" * 300)),
    query=QUERY,
    body=BODIES,
)
@example(("POST", "/projects/{project}/branches"), True, "x", {}, {"branch": {"name": "\ud800"}})
@example(("POST", "/projects/{project}/branches"), True, "x", {}, {"branch": {"name": "a\0b"}})
@example(("POST", "/projects/{project}/branches/{branch}/roles"), True, "x", {}, {"role": {"name": "a\0b"}})
@example(("POST", "/projects/{project}/branches/{branch}/databases"), True, "x", {}, {"database": {"name": "\0"}})
@example(("POST", "/projects"), True, "x", {}, {"project": {"branch": {"role_name": "a\0b"}}})
@example(
    ("PATCH", "/projects/{project}"),
    True,
    "x",
    {},
    {"project": {"default_endpoint_settings": {"suspend_timeout_seconds": "x"}}},
)
@example(
    ("PATCH", "/projects/{project}/endpoints/{endpoint}"),
    True,
    "x",
    {},
    {"endpoint": {"settings": {"pg_settings": [1]}}},
)
@example(("GET", "/projects"), True, "x", {"limit": "9" * 5000}, {})
def test_no_request_breaks_the_emulator_or_what_it_keeps(
    emulator: Emulator,
    asked: Json,
    seen: list[Any],
    route: tuple[str, str],
    real: bool,
    junk: str,
    query: dict[str, str],
    body: object,
) -> None:
    method, template = route
    known = {
        "project": asked["project"]["id"],
        "branch": asked["branch"]["id"],
        "endpoint": asked["endpoints"][0]["id"],
        "role": "app_owner",
        "database": "app",
    }
    # what is asked of the project itself goes on; it is not deleted
    takes_away = method == "DELETE" and template.endswith(("{project}", "{endpoint}"))
    path = re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], junk) if real and not takes_away else junk, template)
    before = seen.pop() if seen else shown(emulator, asked)
    answer = emulator.api.request(method, path, params=query, content=json.dumps(body))

    assert answer.status_code < 500 or answer.json().get("code") == "NOT_EMULATED", answer.text
    if answer.is_success and method != "GET":
        for operation in answer.json().get("operations", []):
            emulator.wait(operation)
    after = shown(emulator, asked) if method != "GET" else before
    seen.append(after)
    if not answer.is_success:
        changed = [(then, now) for then, now in zip(before, after, strict=True) if then != now]
        assert changed == [], f"what was refused with {answer.status_code} {answer.text} has changed something"


def shown(emulator: Emulator, asked: Json) -> list[Json]:
    """All that lists tell; each of them answers, with JSON."""
    lists = [
        "/projects?limit=100",
        *(f"{project_path(asked)}/{name}" for name in ("branches", "endpoints", "operations")),
    ]
    lists += [f"{branch_path(asked)}/{name}" for name in ("roles", "databases")]
    told = [emulator.ok("GET", path) for path in lists]
    return [without_what_passes(each) for each in told]


def without_what_passes(value: Any) -> Any:
    """Without what changes by itself: states, sizes and times of servers that fall asleep."""
    if isinstance(value, dict):
        return {name: without_what_passes(each) for name, each in value.items() if name not in PASSING}
    return [without_what_passes(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"project":' * 200_000,
        b'{"project": {"name": "' + b"x" * (60 << 20) + b'"}}',
        b'{"project": {"name": "\\ud800"}}',
        b'{"project": {"name": "\xff"}}',
        b'{"project": {"history_retention_seconds": 1e999}}',
        b'{"project": {"autoscaling_limit_max_cu": NaN}}',
        b'{"project": {"pg_version": ' + b"9" * 5000 + b"}}",
        b"nonsense",
    ],
    ids=["brackets", "objects", "60 MB", "a lone surrogate", "no UTF-8", "infinity", "NaN", "a long number", "no JSON"],
)
def test_a_body_that_cannot_be_is_refused_and_the_connection_lives(emulator: Emulator, body: bytes) -> None:
    assert emulator.api.get("/projects").is_success  # the connection that is to live
    connections: list[str] = []
    for path in ("/projects", "/projects/x/branches"):
        answer = emulator.api.post(path, content=body, extensions={"trace": trace(connections)})
        assert answer.status_code == 400, answer.text
        again = emulator.api.get("/projects", extensions={"trace": trace(connections)})
        assert again.status_code == 200
    assert connections == [], "a connection had to be made anew"


def trace(connections: list[str]) -> Any:
    def note(event: str, _: Json) -> None:
        if event == "connection.connect_tcp.started":
            connections.append(event)

    return note


@pytest.mark.parametrize("path", ["/faults", "/clock"])
@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"route": 1},
        {"route": "GET /x", "times": "often"},
        {"operation": "*", "seconds": float("nan")},
        {"advance_seconds": 1e300},
        {"advance_seconds": "x"},
        {"route": "GET /x", "message": "\ud800"},
    ],
)
def test_the_administration_refuses_what_makes_no_sense(emulator: Emulator, path: str, body: object) -> None:
    answer: httpx.Response = emulator.admin.post(path, content=json.dumps(body))

    assert answer.status_code == 400, answer.text
    assert emulator.admin.get("/faults").json() == {"calls": [], "operations": [], "moments": []}
