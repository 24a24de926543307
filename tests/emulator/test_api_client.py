"""Neon's typed client, @neondatabase/api-client, and the specification that it is made from."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
from ruamel.yaml import YAML

from emulator.routes import _ROUTES

if TYPE_CHECKING:
    from tests.support.neon_cli import NeonPackages

SPECIFICATION = "node_modules/@neondatabase/api-client/public-v2-for-users.gen.yaml"
# What Neon answers though its specification does not list it.
UNLISTED = {("POST", "/projects/{project}/branches/{branch}/reset")}
Json = dict[str, Any]


def test_every_answer_is_what_neons_own_client_expects(neon_packages: NeonPackages) -> None:
    done = neon_packages.run("api_client.mjs")
    assert done.returncode == 0, done.stderr
    specification = YAML(typ="safe").load(neon_packages.folder / SPECIFICATION)
    calls = json.loads(done.stdout)

    assert {message for call in calls for message in faults(specification, call)} == set()
    asked = {(call["method"].upper(), template(specification, call["url"])) for call in calls}
    served = {(method, path) for method, path, _, _ in _ROUTES} - UNLISTED
    assert {(method, path) for method, path in served if (method, named_as_neon(path)) not in asked} == set()


def faults(specification: Json, call: Json) -> set[str]:
    """How an answer is not what the specification says of its route and its status."""
    path = template(specification, call["url"])
    answers = specification["paths"][path][call["method"]]["responses"]
    where = f"{call['method'].upper()} {path} {call['status']}"
    if call["status"] not in answers:
        return {f"{where}: the specification has no such status"}
    answer = answers[call["status"]]
    if "$ref" in answer:
        answer = specification["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    schema = answer["content"]["application/json"]["schema"] | {"components": specification["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    return {f"{where}: {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(call["data"])}


def template(specification: Json, url: str) -> str:
    """The path of the specification that a URL is of; the one with the fewest parameters where several are."""
    fitting = [path for path in specification["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), url)]
    assert fitting, f"Neon has no route {url}"
    return str(min(fitting, key=lambda path: path.count("{")))


def named_as_neon(path: str) -> str:
    """A path of ours with Neon's names of its parameters."""
    longer = {"role": "role_name", "database": "database_name"}
    return re.sub(r"\{(\w+)\}", lambda found: "{" + longer.get(found[1], f"{found[1]}_id") + "}", path)
