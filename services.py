"""The product and the services that use its database, as product.toml declares them.

    NAME, DATABASE, OWNER, PROJECT
    SERVICES, RUNTIME_ROLES, READERS
    rights_on_a_table

Importing it reads the file, and raises InvalidProduct where that is not as its own comments say.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = Path(os.environ.get("PRODUCT_FILE") or Path(__file__).with_name("product.toml"))

Client = Literal["asyncpg", "prisma", "psycopg"]
Access = Literal["write", "read"]

_SHAPES = {
    "name": r"[a-z][a-z0-9-]{0,29}",
    "database": r"[a-z_][a-z0-9_]{0,29}",
    "owner": r"[a-z_][a-z0-9_]{0,39}",
    "project": r"[a-z][a-z0-9-]{0,62}",
}


class InvalidProduct(ValueError):
    """A product.toml that cannot be used."""


class Service(NamedTuple):
    """A service: how people call it, the role that it connects as, and how it takes a connection string."""

    name: str
    role: str
    client: Client
    access: Access = "write"

    @property
    def url_output(self) -> str:
        """The stack's output with its connection string, pooled, as its role."""
        return f"{self.role}_database_url"

    @property
    def password_version(self) -> str:
        """The setting in Pulumi.STACK.yaml whose change makes a new password."""
        first, *rest = self.role.split("_")
        return f"{first}{''.join(word.title() for word in rest)}PasswordVersion"


class Product(NamedTuple):
    """What product.toml says."""

    name: str
    database: str
    owner: str
    project: str
    services: tuple[Service, ...]
    own: tuple[str, ...] = ()
    """Files and folders of the product of this repository, which are not of one that is made of a clone."""


def read_product(file: Path = FILE) -> Product:
    """Read a product.toml.

    Raises:
        InvalidProduct: it cannot be read, is no TOML, or a name or a service in it is not as its comments say.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidProduct(f"{file.name}: {error}") from error
    return parse_product(text, file.name)


def parse_product(text: str, file: str) -> Product:
    """Read the text of a product.toml; `file` names it in messages. Raises what `read_product` raises."""
    try:
        given = tomllib.loads(text)
    except ValueError as error:
        raise InvalidProduct(f"{file}: {error}") from error
    services = tuple(_service(file, entry) for entry in given.pop("services", []))
    own = tuple(given.pop("own", []))
    if given.keys() != _SHAPES.keys():
        raise InvalidProduct(f"{file} has {', '.join(sorted(given))}, and should have {', '.join(sorted(_SHAPES))}")
    for key, shape in _SHAPES.items():
        if not re.fullmatch(shape, str(given[key])):
            raise InvalidProduct(f"{file}: {key} = {given[key]!r} is not of the form {shape}")
    for what, names in (("name", [each.name for each in services]), ("role", [each.role for each in services])):
        if len(set(names)) < len(names):
            raise InvalidProduct(f"{file}: two services have the same {what}")
    if given["owner"] in {each.role for each in services}:
        raise InvalidProduct(f"{file}: a service has the owner's role, {given['owner']}: it could change the schema")
    return Product(**given, services=services, own=own)


def _service(file: str, entry: dict[str, Any]) -> Service:
    role = entry.get("role", str(entry.get("name", "")).replace("-", "_"))
    named = f"{file}: the service {entry.get('name', role)!r}"
    unknown = set(entry) - set(Service._fields)
    if unknown or not re.fullmatch(_SHAPES["name"], str(entry.get("name", ""))):
        raise InvalidProduct(f"{named} has {', '.join(sorted(unknown)) or 'no name of the form ' + _SHAPES['name']}")
    if not re.fullmatch(_SHAPES["owner"], str(role)):
        raise InvalidProduct(f"{named} has the role {role!r}, which is not of the form {_SHAPES['owner']}")
    for key, kinds in (("client", get_args(Client)), ("access", get_args(Access))):
        if entry.get(key, "write" if key == "access" else None) not in kinds:
            raise InvalidProduct(f"{named} has {key} = {entry.get(key)!r}, and not {', '.join(kinds)}")
    return Service(entry["name"], role, entry["client"], entry.get("access", "write"))


_PRODUCT = read_product()
NAME, DATABASE, OWNER, PROJECT, SERVICES, _ = _PRODUCT
RUNTIME_ROLES = tuple(service.role for service in SERVICES)
READERS = frozenset(service.role for service in SERVICES if service.access == "read")


def rights_on_a_table(roles: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Give what a new table's grants are, in their order: the rights, and those of the roles that get them."""
    given = tuple(roles)
    found = {
        "SELECT, INSERT, UPDATE, DELETE": tuple(role for role in given if role not in READERS),
        "SELECT": tuple(role for role in given if role in READERS),
    }
    return {rights: who for rights, who in found.items() if who}
