"""Where answers of the API keep what a test wants."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def uri(answer: Json) -> str:
    """The URL in the answer to creating a project or a branch."""
    found: str = answer["connection_uris"][0]["connection_uri"]
    return found


def project_path(answer: Json) -> str:
    """/projects/ID, from an answer that carries the project or a branch."""
    return f"/projects/{answer['project']['id'] if 'project' in answer else answer['branch']['project_id']}"


def branch_path(answer: Json) -> str:
    """/projects/ID/branches/ID, from an answer that carries the branch."""
    return f"/projects/{answer['branch']['project_id']}/branches/{answer['branch']['id']}"


def endpoint_path(answer: Json) -> str:
    """/projects/ID/endpoints/ID of the first compute in an answer."""
    endpoint = answer["endpoints"][0]
    return f"/projects/{endpoint['project_id']}/endpoints/{endpoint['id']}"
