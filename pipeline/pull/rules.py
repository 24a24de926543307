"""masking.toml: what a pull makes of which column, and what it makes of those that the file does not name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigurationError
from pipeline.pull.masks import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.pull.tables import Column, Tables

FILE = "masking.toml"

_IDS_AND_TIMES = {"uuid", "timestamp", "timestamptz", "time", "timetz"}
_NUMBERS = {"int2", "int4", "int8"}
_NOT_UNIQUE = "fake text"

Rules = dict[tuple[str, str], str]  # by table and column, as people write them


@dataclass(frozen=True)
class Decision:
    """The rule of a column, and whether the file names it."""

    rule: str
    is_listed: bool


def read_rules(root: Path) -> Rules:
    """Read the file of a checkout; where there is none, no column has a rule of its own.

    Raises:
        ConfigurationError: it cannot be read, or a rule is unknown.
    """
    file = root / FILE
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"cannot read it: {error}", where=FILE, remedy="Correct it; nothing was read."
        ) from None
    rules: Rules = {}
    for table, columns in _mapping(content.get("tables", {}), "tables").items():
        for column, rule in _mapping(columns, f"tables.{table}").items():
            if rule not in RULES:
                raise ConfigurationError(
                    f"the rule {rule!r} of {table}.{column} is unknown",
                    where=FILE,
                    remedy=f"There are: {', '.join(RULES)}.",
                )
            rules[table, column] = rule
    if unknown := sorted(set(content) - {"tables"}):
        raise ConfigurationError(f"{unknown[0]} is unknown", where=FILE, remedy="Write rules below [tables.NAME].")
    return rules


def decide(source: Tables, local: Tables, rules: Rules, *, listed_only: bool) -> dict[tuple[str, str], Decision]:
    """The rule of each column of the source, by table (as in SQL) and column.

    A foreign key has the rule of what it refers to. Else it is the file's; else ids and times are kept, and the rest is masked.
    `listed_only`: nothing is kept that the file does not name.

    Raises:
        ConfigurationError: the file names what neither side has, or gives two columns that are equal two rules, or several rows
            the same unique value.
    """
    _refuse_unknown(source, local, rules)
    decisions: dict[tuple[str, str], Decision] = {}
    for table, columns in source.columns.items():
        for name, column in columns.items():
            decisions[table, name] = _decide(column, source, rules, listed_only=listed_only)
    for key, decision in decisions.items():
        column = source.columns[key[0]][key[1]]
        if decision.rule == _NOT_UNIQUE and key in source.unique | local.unique:
            raise ConfigurationError(
                f'"{_NOT_UNIQUE}" is not for {column.plain}.{column.name}: two rows may get the same, and it is unique',
                where=FILE,
                remedy='Nothing was changed. Take "mask", "fake name" or "fake email".',
            )
    return decisions


def _decide(column: Column, source: Tables, rules: Rules, *, listed_only: bool) -> Decision:
    own = rules.get((column.plain, column.name))
    end = _referred(column, source)
    if end is column:
        return Decision(own or _default(column, source, listed_only=listed_only), own is not None)
    above = rules.get((end.plain, end.name))
    rule = above or _default(end, source, listed_only=listed_only)
    if own == "null":
        return Decision(own, is_listed=True)  # which refers to nothing
    if own not in {None, rule}:
        raise ConfigurationError(
            f'{column.plain}.{column.name} is "{own}" and refers to {end.plain}.{end.name}, which is "{rule}"',
            where=FILE,
            remedy="Nothing was changed. Give both the same, or take the line of the one that refers away.",
        )
    if rule != "keep" and column.type != end.type:
        raise ConfigurationError(
            f"{column.plain}.{column.name} is {column.type} and refers to {end.plain}.{end.name}, which is {end.type}: "
            "their masks would differ",
            where=FILE,
            remedy='Nothing was changed. Write "keep" for the one that is referred to, or "null" for the other.',
        )
    return Decision(rule, own is not None or above is not None)


def _referred(column: Column, source: Tables) -> Column:
    """The column at the end of the foreign keys, or itself."""
    seen = {(column.table, column.name)}
    while (key := source.keys.get((column.table, column.name))) is not None and key not in seen:
        seen.add(key)
        found = source.columns.get(key[0], {}).get(key[1])
        if found is None:
            break
        column = found
    return column


def _default(column: Column, source: Tables, *, listed_only: bool) -> str:
    is_id = column.base in _NUMBERS and (column.table, column.name) in source.primary
    return "keep" if not listed_only and (column.base in _IDS_AND_TIMES or is_id) else "mask"


def _refuse_unknown(source: Tables, local: Tables, rules: Rules) -> None:
    known = {
        (column.plain, column.name)
        for side in (source, local)
        for columns in side.columns.values()
        for column in columns.values()
    }
    for table, column in rules:
        if (table, column) not in known:
            raise ConfigurationError(
                f"there is no column {column} of {table}, neither here nor there",
                where=FILE,
                remedy="Correct or remove its line.",
            )


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(
            f"{name} is no table of TOML", where=FILE, remedy='Write [tables.NAME], and column = "rule" below.'
        )
    return value
