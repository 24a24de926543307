"""The rules of our own, each under its slug. A rule takes a source and yields what it finds in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.rules.adding_foreign_key_constraint import adding_foreign_key_constraint
from pipeline.lint.rules.adding_required_field import adding_required_field
from pipeline.lint.rules.adding_serial_primary_key_field import adding_serial_primary_key_field
from pipeline.lint.rules.alter_database import alter_database
from pipeline.lint.rules.alter_system import alter_system
from pipeline.lint.rules.attach_partition import attach_partition
from pipeline.lint.rules.ban_drop_constraint import ban_drop_constraint
from pipeline.lint.rules.ban_drop_default import ban_drop_default
from pipeline.lint.rules.constraint_missing_not_valid import constraint_missing_not_valid
from pipeline.lint.rules.copy_file import copy_file
from pipeline.lint.rules.ddl_with_data import ddl_with_data
from pipeline.lint.rules.disallowed_unique_constraint import disallowed_unique_constraint
from pipeline.lint.rules.drop_cascade import drop_cascade
from pipeline.lint.rules.drop_primary_key import drop_primary_key
from pipeline.lint.rules.enum_value_in_use import enum_value_in_use
from pipeline.lint.rules.excessive_grants import excessive_grants
from pipeline.lint.rules.extension_not_on_neon import extension_not_on_neon
from pipeline.lint.rules.history_schema import history_schema
from pipeline.lint.rules.index_if_not_exists import index_if_not_exists
from pipeline.lint.rules.libc_collation import libc_collation
from pipeline.lint.rules.lock_table import lock_table
from pipeline.lint.rules.lock_timeout import lock_timeout
from pipeline.lint.rules.logical_replication import logical_replication
from pipeline.lint.rules.missing_grants import missing_grants
from pipeline.lint.rules.missing_rollback import missing_rollback
from pipeline.lint.rules.require_concurrent_index_creation import require_concurrent_index_creation
from pipeline.lint.rules.require_concurrent_index_deletion import require_concurrent_index_deletion
from pipeline.lint.rules.require_concurrent_partition_detach import require_concurrent_partition_detach
from pipeline.lint.rules.require_concurrent_reindex import require_concurrent_reindex
from pipeline.lint.rules.revoke_from_service import revoke_from_service
from pipeline.lint.rules.rls_without_policy import rls_without_policy
from pipeline.lint.rules.role_attributes import role_attributes
from pipeline.lint.rules.session_state import session_state
from pipeline.lint.rules.set_not_null import set_not_null
from pipeline.lint.rules.several_tables import several_tables
from pipeline.lint.rules.superuser_only import superuser_only
from pipeline.lint.rules.table_rewrite import table_rewrite
from pipeline.lint.rules.tablespace import tablespace
from pipeline.lint.rules.truncate import truncate
from pipeline.lint.rules.unlogged_table import unlogged_table
from pipeline.lint.rules.validate_in_same_file import validate_in_same_file
from pipeline.lint.rules.whole_table_change import whole_table_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

    Rule = Callable[[Source], Iterable[Finding]]

_ALL: tuple[Rule, ...] = (
    adding_foreign_key_constraint,
    adding_required_field,
    adding_serial_primary_key_field,
    alter_database,
    alter_system,
    attach_partition,
    ban_drop_constraint,
    ban_drop_default,
    constraint_missing_not_valid,
    copy_file,
    ddl_with_data,
    disallowed_unique_constraint,
    drop_cascade,
    drop_primary_key,
    enum_value_in_use,
    excessive_grants,
    extension_not_on_neon,
    history_schema,
    index_if_not_exists,
    libc_collation,
    lock_table,
    lock_timeout,
    logical_replication,
    missing_grants,
    missing_rollback,
    require_concurrent_index_creation,
    require_concurrent_index_deletion,
    require_concurrent_partition_detach,
    require_concurrent_reindex,
    revoke_from_service,
    rls_without_policy,
    role_attributes,
    session_state,
    set_not_null,
    several_tables,
    superuser_only,
    table_rewrite,
    tablespace,
    truncate,
    unlogged_table,
    validate_in_same_file,
    whole_table_change,
)

RULES: dict[str, Rule] = {rule.__name__.replace("_", "-"): rule for rule in _ALL}
