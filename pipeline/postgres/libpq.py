"""The part of psycopg that a session of ours is made of: its wrapper of libpq, and what that needs.

A deploy with nothing to do would take a third longer for importing the rest (cursors, adapters, asyncio): measured from
start to end on loopback, with compiled bytecode, in three series of 30 pairs of runs in turn, the median pair took 0.66 to
0.77 of the time, and 0.68 to 0.78 of the processor's. So the rest is put off: the package stands in `sys.modules` as what
it is, and its own code runs when somebody first asks it for a name that is not one of its modules. `import psycopg`
anywhere else goes on meaning all of it.

This stands on which of its modules psycopg's own code imports, and in which order, which no release promises. So
pyproject.toml pins psycopg exactly, and a test fails when another one is installed: read what has changed in
psycopg/__init__.py and psycopg/pq/__init__.py, measure again, then raise VERSION together with the pin.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

VERSION = "3.3.9"
"""The psycopg that this was read against."""


def _put_off(name: str) -> None:
    """Let a package's modules be imported without the package's own code.

    importlib.util.LazyLoader is not for packages: it runs the code as soon as a module of it is looked for.
    """
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        return  # too late, or to be explained by the import that follows
    package = importlib.util.module_from_spec(spec)
    vars(package)["__getattr__"] = lambda attribute: _look_up(package, spec, attribute)
    sys.modules[name] = package


def _look_up(package: ModuleType, spec: ModuleSpec, attribute: str) -> Any:
    if not attribute.startswith("__") and importlib.util.find_spec(f"{spec.name}.{attribute}") is not None:
        return importlib.import_module(f"{spec.name}.{attribute}")
    if vars(package).pop("__getattr__", None) is not None and spec.loader is not None:
        spec.loader.exec_module(package)
    return getattr(package, attribute)


_put_off("psycopg")

from psycopg import pq  # noqa: E402
from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: E402
from psycopg.errors import OperationalError  # noqa: E402

__all__ = ["OperationalError", "conninfo_to_dict", "make_conninfo", "pq"]
