"""Operations: what the control plane is doing, and did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.errors import not_found
from emulator.pages import cut
from emulator.shapes import Json, operation_shape

if TYPE_CHECKING:
    from emulator.control import Call


async def read(call: Call) -> Json:
    """GET /projects/P/operations/O."""
    project = call.project()
    for operation in project.operations:
        if operation.id == call.path["operation"]:
            return {"operation": operation_shape(project, operation)}
    raise not_found("operation", call.path["operation"])


async def find(call: Call) -> Json:
    """GET /projects/P/operations, newest first."""
    project = call.project()
    newest_first = list(reversed(project.operations))
    page, cursor, _ = cut(newest_first, call.query, default=100, key=lambda operation: operation.id)
    shapes = [operation_shape(project, operation) for operation in page]
    return {"operations": shapes, "pagination": {"cursor": cursor} if cursor else {}}
