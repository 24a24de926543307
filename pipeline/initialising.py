"""`init`: a clone becomes another product's repository. Its schema, migrations and pages go, its names and services come.

What is the old product's own, product.toml lists (`own`); what is everybody's keeps its text, but for the lines that name the
old product. Nothing is committed: what was done is there to be read, and `git restore` undoes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from pipeline.errors import ConfigurationError, Refused, UsageError
from pipeline.git import run_git
from services import Client, InvalidProduct, Product, Service, parse_product, read_product

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TEMPLATES = Path(__file__).with_name("new_product")
# Kept as the product has them by the merge driver `ours`, whatever upstream makes of its own.
_KEPT = (
    "CHANGELOG.md", "README.md", "clients/prisma/schema.prisma", "docs/schema.md", "masking.toml", "migrations/**",
    "product.toml", "queries/**", "schema.sql",
)  # fmt: skip
# What is the same for the tests of any product.
_STAYS = "tests/product/conftest.py"
# Everybody's, with the names of the product in it.
_NAMING = (
    ".env.example", "CONTRIBUTING.md", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "Pulumi.yaml", "docker-compose.yml",
    "docs/architecture.md", "docs/infrastructure.md", "pyproject.toml",
)  # fmt: skip


@dataclass(frozen=True)
class Initialisation:
    """What `init` does: the files that go, and the new texts of those that stay or come. Paths are relative to the checkout."""

    product: Product
    removed: tuple[str, ...]
    written: Mapping[str, str]


def read_services(text: str) -> tuple[Service, ...]:
    """Read services as a command line has them: `api:prisma,worker:asyncpg,report:psycopg:read`.

    Raises:
        UsageError: one is not NAME:CLIENT or NAME:CLIENT:read.
    """
    services = []
    for word in filter(None, (each.strip() for each in text.split(","))):
        name, client, access, *more = [*word.split(":"), "", ""][: max(3, word.count(":") + 1)]
        if more or client not in get_args(Client) or access not in {"", "read", "write"}:
            raise UsageError(
                f"{word} is no service",
                remedy=f"It is NAME:CLIENT, with {', '.join(get_args(Client))} as the client, or NAME:CLIENT:read.",
            )
        services.append(
            Service(name, name.replace("-", "_"), cast("Client", client), "read" if access == "read" else "write")
        )
    if not services:
        raise UsageError("there is no service", remedy="For example: --services api:prisma,worker:asyncpg")
    return tuple(services)


def plan_initialisation(
    root: Path, name: str, services: tuple[Service, ...], *, database: str = "", owner: str = "", project: str = ""
) -> Initialisation:
    """Say what would be done in this checkout. Left out, the names follow from `name`: shop, shop_owner, shop-database.

    Raises:
        UsageError: a name or a service is not of the form that product.toml takes.
        Refused: it is another product's already, or there is something in it that no commit has.
        ConfigurationError: the folder is not git's, or product.toml cannot be read.
    """
    old = _old_product(root)
    if not old.own:
        raise Refused(
            f"this is {old.name}'s repository already",
            remedy="Nothing was changed. Names and services are edited in product.toml; `init` is for a fresh clone.",
        )
    plain = name.replace("-", "_")
    new = Product(name, database or plain, owner or f"{plain}_owner", project or f"{name}-database", services)
    written: dict[str, str] = {"product.toml": _product_file(new)}
    try:
        parse_product(written["product.toml"], "product.toml")
    except InvalidProduct as error:
        raise UsageError(str(error), remedy="Nothing was changed. `./inv --help init` says what they are.") from None
    tracked = _tracked(root)
    removed = [path for path in tracked if path.startswith(("migrations/", *(f"{each}/" for each in old.own)))]
    removed += [path for path in tracked if path in old.own]
    for path in _NAMING:
        written[path] = _renamed(path, (root / path).read_text(encoding="utf-8"), old, new)
    guide = _guide((root / "README.md").read_text(encoding="utf-8"), old)
    for template in sorted(_TEMPLATES.rglob("*")):
        if template.is_file():
            text = _filled(template.read_text(encoding="utf-8"), new, guide)
            written[str(template.relative_to(_TEMPLATES)).removesuffix(".txt")] = text
    attributes = (root / ".gitattributes").read_text(encoding="utf-8")
    ours = "".join(f"{path} merge=ours\n" for path in _KEPT)
    written[".gitattributes"] = (
        f"{attributes}\n# The product's own: a merge of upstream leaves them as they are.\n{ours}"
    )
    return Initialisation(new, tuple(sorted(set(removed) - {*written, _STAYS})), written)


def initialise(root: Path, plan: Initialisation) -> None:
    """Do it, and have git know the merge driver by which the product's own files stay as they are."""
    for path in plan.removed:
        (root / path).unlink(missing_ok=True)
        for folder in (root / path).parents:
            if folder == root or any(folder.iterdir()):
                break
            folder.rmdir()
    for path, text in plan.written.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    run_git(root, "config", "merge.ours.driver", "true")


def _old_product(root: Path) -> Product:
    try:
        changed = run_git(root, "status", "--porcelain")
    except OSError as error:
        raise ConfigurationError("there is no git", remedy="`init` works in a clone.") from error
    if changed.returncode != 0:
        raise ConfigurationError(f"{root} is no clone: {changed.stderr.strip()}", remedy="`init` works in a clone.")
    if changed.stdout:
        first = changed.stdout.splitlines()[0]
        raise Refused(
            f"the checkout is not clean: {first.strip()}", remedy="Nothing was changed. Commit it, or take it away."
        )
    try:
        return read_product(root / "product.toml")
    except InvalidProduct as error:
        raise ConfigurationError(str(error), where=str(root / "product.toml"), remedy="Restore it.") from error


def _tracked(root: Path) -> list[str]:
    return run_git(root, "ls-files", "-z").stdout.split("\0")[:-1]


def _renamed(path: str, text: str, old: Product, new: Product) -> str:
    """The text with the new product's names in it, and without the lines about what is removed."""
    packages = [each for each in old.own if "/" not in each]
    if path == "pyproject.toml":
        text = _without_packages(text, packages, new)
    for package in packages:
        text = re.sub(rf"^(?:\| `{package}/`| *{package}(?:/ | -->)).*\n", "", text, flags=re.MULTILINE)
    if path == "Pulumi.yaml":
        text = _with_password_versions(text, old, new)
    for before, after in ((old.project, new.project), (old.owner, new.owner), (old.database, new.database)):
        text = re.sub(rf"(?<!\w){re.escape(before)}(?!\w)", after, text)
    return text


def _without_packages(text: str, packages: Iterable[str], new: Product) -> str:
    for package in packages:
        text = re.sub(rf'^name = "{package}"$', f'name = "{new.name}-dbclient"', text, flags=re.MULTILINE)
        text = re.sub(rf'^{package} = \["py.typed"\]\n', "", text, flags=re.MULTILINE)
        text = re.sub(rf', "{package}(?:\.\*)?"|"{package}(?:\.\*)?", ', "", text)
        text = re.sub(rf", and `{package}` on it,", "", text)
        head, *contracts = text.split("\n[[tool.importlinter.contracts]]\n")
        kept = [each for each in contracts if f'protected_modules = ["{package}"]' not in each]
        text = "\n[[tool.importlinter.contracts]]\n".join([head, *kept])
    return text


def _with_password_versions(text: str, old: Product, new: Product) -> str:
    """Pulumi's declarations of the settings that make a service another password."""
    entries = {
        service.password_version: f"  {service.password_version}:\n    type: integer\n"
        f"    description: Another number makes another password of the role {service.role}, which the next deploy sets.\n"
        "    default: 1\n"
        for service in (*old.services, *new.services)
    }
    first, *others = [entries[service.password_version] for service in old.services]
    text = text.replace(first, "".join(entries[service.password_version] for service in new.services))
    for entry in others:
        text = text.replace(entry, "")
    return text


def _product_file(new: Product) -> str:
    head = (_TEMPLATES.parent.parent / "product.toml").read_text(encoding="utf-8")
    comments = head[head.index("# The services that use") : head.index("[[services]]")]
    entries = "\n".join(
        f'[[services]]\nname = "{each.name}"\nrole = "{each.role}"\nclient = "{each.client}"\n'
        + ('access = "read"\n' if each.access == "read" else "")
        for each in new.services
    )
    names = "".join(f'{key} = "{getattr(new, key)}"\n' for key in ("name", "database", "owner", "project"))
    return f"{head[: head.index('name = ')]}{names}\n{comments}{entries}"


def _guide(readme: str, old: Product) -> str:
    """What the page at the root says of the pipeline, from its first table of verbs on, without links to what is removed."""
    text = readme[readme.index("## Day to day") :]
    for path in old.own:
        text = re.sub(rf", \[[^\]]*\]\({re.escape(path)}\)", "", text)
    return text


def _filled(text: str, new: Product, guide: str) -> str:
    """A template with the product's names: NAME, DATABASE, OWNER, and the services' roles as SQL has them."""
    roles = [service.role for service in new.services]
    values = {
        "README": guide,
        "NAME": new.name,
        "DATABASE": new.database,
        "OWNER": new.owner,
        "ROLES": ", ".join(roles),
        "ROLE_TEXTS": ", ".join(f"'{role}'" for role in roles),
        "SERVICES": "\n".join(
            f"| {each.name} | `{each.role}` | {each.client} | {each.access} |" for each in new.services
        ),
    }
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text)
