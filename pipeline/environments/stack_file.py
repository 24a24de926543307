"""What `Pulumi.STACK.yaml` asks of the pipeline: read by a deploy, which has neither pulumi nor the stack's state.

`infra/settings.py` has the same keys for Pulumi's run. Here a file that cannot be read, or says what nobody understands, is
an error: it never counts as one that asks for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import ConfigurationError
from services import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REQUIRED, OFF = "required", "off"
_DAYS: Final = range(1, 31)  # Neon lets a branch expire within 30 days
_READ: Final = ("owns", "projectId", "branchName", "rehearsal", "keepPointsDays", "backfillWalRate", "backfillWalTotal")


@dataclass(frozen=True, slots=True)
class StackFile:
    """The settings of a stack that the pipeline follows.

    `rehearsal` is REQUIRED or OFF; `project_id` is empty where the file does not say; `keep_points_days` is for how long the
    state before a destroying file is kept. The megabytes of WAL that a backfill may cause are for each second, and for a run; 0
    for as many as it needs.
    """

    environment: str
    rehearsal: str = OFF
    project_id: str = ""
    branch_name: str = ""
    keep_points_days: int = 7
    backfill_wal_rate: int = 0
    backfill_wal_total: int = 0

    @property
    def requires_rehearsal(self) -> bool:
        """Whether pending files need the receipt of a rehearsal."""
        return self.rehearsal == REQUIRED


def stack_file_name(environment: str) -> str:
    """The name of an environment's file. Pulumi takes ORGANIZATION/PROJECT/STACK for a stack too, and has one file for it."""
    return f"Pulumi.{environment.rpartition('/')[2]}.yaml"


def read_stack_file(environment: str, root: Path) -> StackFile:
    """Read the file of an environment's stack in the checkout at `root`; one that is not there has the defaults.

    Raises:
        ConfigurationError: it cannot be read, or a setting is not what it may be.
    """
    name = stack_file_name(environment)
    stack = environment.rpartition("/")[2]
    try:
        text = (root / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return StackFile(environment, branch_name=stack)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the settings of {environment} cannot be read: {_why(error)}", where=name, remedy=_RESTORE
        ) from error
    said = dict(_settings(text, name))
    rehearsal, days = said.get("rehearsal", OFF), said.get("keepPointsDays", "7")
    if rehearsal not in {REQUIRED, OFF}:
        raise _wrong(name, stack, "rehearsal", rehearsal, "required, or off", REQUIRED)
    if not (days.isascii() and days.isdecimal() and int(days) in _DAYS):
        raise _wrong(name, stack, "keepPointsDays", days, "whole days from 1 to 30", "7")
    rate, total = (_megabytes(said, key, name, stack) for key in ("backfillWalRate", "backfillWalTotal"))
    named = "main" if said.get("owns") == "project" else stack
    return StackFile(
        environment, rehearsal, said.get("projectId", ""), said.get("branchName", named), int(days), rate, total
    )


def _megabytes(said: dict[str, str], key: str, name: str, stack: str) -> int:
    text = said.get(key, "0")
    if not (text.isascii() and text.isdecimal()):
        raise _wrong(name, stack, key, text, "whole megabytes, 0 for no limit", "20")
    return int(text)


def _settings(text: str, name: str) -> Iterator[tuple[str, str]]:
    """The settings of ours in a file, without their namespace, as the texts that stand there.

    The nodes are read, not values: in YAML `off` is false for one program and a text for the other.
    """
    import yaml  # type: ignore[import-untyped]

    try:
        document = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigurationError(
            f"it is not YAML: {getattr(error, 'problem', None) or 'it cannot be parsed'}",
            where=f"{name}:{mark.line + 1}" if mark else name,
            remedy=_RESTORE,
        ) from None
    for key, value in _pairs(document, name):
        if key != "config":
            continue
        for full, setting in _pairs(value, name, of=_NAMESPACES):
            if full in _READ:
                if not isinstance(setting, yaml.ScalarNode):
                    raise ConfigurationError(
                        f"{full} is not a plain text",
                        where=_at(name, setting),
                        remedy=f"{_RESTORE} It may not be a secret: the deploy reads it without Pulumi.",
                    )
                yield full, setting.value


# Pulumi takes each of them for the project's own setting.
_NAMESPACES: Final = (f"{PROJECT}:config:", f"{PROJECT}:")
_RESTORE: Final = "Nothing was changed. Set it right, or restore the file that is committed: git checkout."


def _pairs(node: Any, name: str, of: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The keys of a mapping, without the prefixes `of`, and their nodes. Each stands there once."""
    import yaml

    if node is None or (isinstance(node, yaml.ScalarNode) and node.value in {"", "~", "null"}):
        return
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError("there are no keys with values here", where=_at(name, node), remedy=_RESTORE)
    seen = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            raise ConfigurationError("this key is not a plain text", where=_at(name, key), remedy=_RESTORE)
        bare = next((key.value.removeprefix(each) for each in of if key.value.startswith(each)), key.value)
        if bare in seen:
            raise ConfigurationError(f"{bare} is said twice", where=_at(name, key), remedy=_RESTORE)
        seen.add(bare)
        yield bare, value


def _at(name: str, node: Any) -> str:
    return f"{name}:{node.start_mark.line + 1}"


def _why(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)


def _wrong(name: str, stack: str, key: str, said: str, allowed: str, example: str) -> ConfigurationError:
    return ConfigurationError(
        f"the setting {key} is {said!r}. Allowed: {allowed}",
        where=name,
        remedy=f"Nothing was changed. Set it with: pulumi config set --stack {stack} {key} {example}",
    )
