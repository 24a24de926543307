"""The rules of our own, each under its slug. A rule takes a source and yields what it finds in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.rules.alter_database import alter_database
from pipeline.lint.rules.alter_system import alter_system
from pipeline.lint.rules.copy_file import copy_file
from pipeline.lint.rules.extension_not_on_neon import extension_not_on_neon
from pipeline.lint.rules.history_schema import history_schema
from pipeline.lint.rules.libc_collation import libc_collation
from pipeline.lint.rules.logical_replication import logical_replication
from pipeline.lint.rules.missing_grants import missing_grants
from pipeline.lint.rules.missing_rollback import missing_rollback
from pipeline.lint.rules.role_attributes import role_attributes
from pipeline.lint.rules.session_state import session_state
from pipeline.lint.rules.set_not_null import set_not_null
from pipeline.lint.rules.superuser_only import superuser_only
from pipeline.lint.rules.table_rewrite import table_rewrite
from pipeline.lint.rules.tablespace import tablespace
from pipeline.lint.rules.unlogged_table import unlogged_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

    Rule = Callable[[Source], Iterable[Finding]]

_ALL: tuple[Rule, ...] = (
    alter_database,
    alter_system,
    copy_file,
    extension_not_on_neon,
    history_schema,
    libc_collation,
    logical_replication,
    missing_grants,
    missing_rollback,
    role_attributes,
    session_state,
    set_not_null,
    superuser_only,
    table_rewrite,
    tablespace,
    unlogged_table,
)

RULES: dict[str, Rule] = {rule.__name__.replace("_", "-"): rule for rule in _ALL}
