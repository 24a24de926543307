"""What surrounds a deploy has no say in its session: the same files give the same database from every machine."""

from __future__ import annotations

import os
import socket
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply, inspect_server
from pipeline.errors import ConfigurationError
from pipeline.postgres.connect import SETTINGS, open_session
from services import OWNER

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

NAMES = ("TimeZone", "DateStyle", "client_encoding", "geqo")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PGTZ", "Asia/Tokyo"), ("PGDATESTYLE", "German"), ("PGCLIENTENCODING", "LATIN1"), ("PGGEQO", "off")],
)
def test_a_variable_of_libpqs_changes_nothing(
    db: Database, folder: FolderBuilder, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    settings = ", ".join(f"current_setting('{name}')" for name in NAMES)
    folder.write(
        "0001_probe", f"CREATE TABLE probe AS SELECT concat_ws(' ', {settings}) AS settings, 'ä€'::text AS text;"
    )
    with monkeypatch.context() as environment:
        environment.setenv(variable, value)
        apply(db.url, folder.read())
        assert apply(db.url, folder.read()).already == 1  # the history's instants are read back
        assert os.environ[variable] == value
    assert db.rows("SELECT settings, text FROM probe") == [("UTC ISO, MDY UTF8 on", "ä€")]


# What a role or a database may set, and why it does not change what a file means or stores.
HARMLESS = """
    # nothing but speed, memory and disk
    backend_flush_after commit_delay commit_siblings compute_query_id constraint_exclusion cpu_*_cost cursor_tuple_fraction
    deadlock_timeout default_statistics_target default_toast_compression effective_* enable_* from_collapse_limit geqo*
    gin_pending_list_limit hash_mem_multiplier jit* join_collapse_limit logical_decoding_work_mem maintenance_*
    max_parallel_* max_stack_depth min_parallel_* parallel_* plan_cache_mode random_page_cost recursive_worktable_factor
    scram_iterations seq_page_cost stats_fetch_consistency synchronize_seqscans temp_buffers temp_file_limit
    temp_tablespaces vacuum_* wal_* work_mem
    # what is written to the log, counted, or shown
    application_name backtrace_functions debug_* escape_string_warning lc_messages log_* pg_stat_statements.track* trace_*
    track_* update_process_title
    # of the connection, which has ours
    tcp_*
    # the transaction's own, of which default_… is the session's
    transaction_deferrable transaction_isolation transaction_read_only
    # a server that takes no writes says so, and when a commit is safe is the administrator's choice
    default_transaction_read_only synchronous_commit
    # they make a statement fail, and none mean another thing
    icu_validation_level restrict_nonsystem_relation_kind
    # not there before PostgreSQL 16: older servers would refuse the connection
    createrole_self_grant
    # a superuser's, which the session of an owner could not set
    allow_in_place_tablespaces allow_system_table_mods dynamic_library_path ignore_checksum_failure lo_compat_privileges
    *_preload_libraries zero_damaged_pages
    # likewise, and refused by check_target
    session_replication_role
"""


def test_every_setting_of_a_role_is_pinned_or_known_to_be_harmless(superuser: Database) -> None:
    rows = superuser.rows("SELECT name FROM pg_settings WHERE context IN ('user', 'superuser')")
    lines = (line.strip() for line in HARMLESS.splitlines())
    patterns = [pattern for line in lines if not line.startswith("#") for pattern in line.split()]
    unknown = [
        name
        for (name,) in rows
        if name not in SETTINGS and not any(fnmatchcase(str(name), pattern) for pattern in patterns)
    ]
    assert unknown == []
    assert [name for name in SETTINGS if any(fnmatchcase(name, pattern) for pattern in patterns)] == []


# What the owner of a database could bring along, and what it would make of the probe below.
BROUGHT_ALONG = {
    "array_nulls": "off",
    "backslash_quote": "on",
    "bytea_output": "escape",
    "check_function_bodies": "off",
    "DateStyle": "SQL, DMY",
    "default_text_search_config": "pg_catalog.german",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-10",
    "gin_fuzzy_search_limit": "1",
    "IntervalStyle": "iso_8601",
    "password_encryption": "md5",
    "plpgsql.check_asserts": "off",
    "plpgsql.extra_errors": "all",
    "quote_all_identifiers": "on",
    "row_security": "off",
    "search_path": "pg_catalog",
    "standard_conforming_strings": "off",
    "statement_timeout": "1s",
    "TimeZone": "Asia/Tokyo",
    "timezone_abbreviations": "Australia",
    "transform_null_equals": "on",
    "xmlbinary": "hex",
    "xmloption": "document",
}


@pytest.mark.parametrize("of", ["DATABASE {database}", f"ROLE {OWNER} IN DATABASE {{database}}"])
def test_what_a_role_or_a_database_sets_changes_nothing(
    db: Database, superuser: Database, folder: FolderBuilder, of: str
) -> None:
    names = ", ".join(f"current_setting('{name}')" for name in SETTINGS)
    folder.write("0001_set", "SET IntervalStyle = 'iso_8601'; CREATE TABLE t ();")
    folder.write(
        "0002_probe",
        f"""CREATE TABLE probe AS SELECT ARRAY[{names}] AS settings, ARRAY[
            interval '1 day 2 hours'::text, to_tsvector('the houses')::text, (0.1::float8 + 0.2)::text, '\x01'::bytea::text,
            timestamptz '2020-01-02 EST'::text, 'a\b', (NULL = NULL)::text, '{{NULL}}'::text[] IS NULL OR '{{NULL}}' = '{{}}'
        ]::text[] AS values;
        DO $$ BEGIN ASSERT false; RAISE 'asserts are off'; EXCEPTION WHEN assert_failure THEN NULL; END $$;""",
    )
    apply(db.url, folder.read())
    expected = db.rows("SELECT settings, values FROM probe")
    db.run("DROP TABLE probe, t; DROP SCHEMA migration_history CASCADE")
    for name, value in BROUGHT_ALONG.items():
        superuser.run(f"ALTER {of.format(database=db.url.database)} SET {name} = '{value}'")
    apply(db.url, folder.read())
    assert superuser.rows("SELECT settings, values FROM public.probe") == expected


def test_a_role_without_triggers_and_foreign_keys_is_refused_and_may_look(
    migrated_sample: Database, superuser: Database, sample: FolderBuilder
) -> None:
    superuser.run(f"ALTER DATABASE {migrated_sample.url.database} SET session_replication_role = replica")
    with pytest.raises(ConfigurationError, match="session_replication_role is replica") as caught:
        apply(migrated_sample.url, sample.read())
    assert "RESET session_replication_role" in caught.value.remedy
    inspect_server(migrated_sample.url)


def test_an_encoding_in_the_url_changes_nothing(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_probe", "CREATE TABLE probe AS SELECT 'ä€'::text AS text;")
    apply(db.url.copy_with(params=(("client_encoding", "LATIN1"),)), folder.read())
    assert db.rows("SELECT text FROM probe") == [("ä€",)]


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system does not show a connection's keepalives")
def test_a_silent_connection_is_kept_alive_and_a_dead_one_noticed(db: Database) -> None:
    def idle_before_the_first_probe(url: DatabaseURL) -> int:
        with (
            open_session(url, application_name="test") as session,
            socket.socket(fileno=os.dup(session.connection.socket)) as connection,
        ):
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)

    assert idle_before_the_first_probe(db.url) == 30
    assert idle_before_the_first_probe(db.url.copy_with(params=(("keepalives_idle", "7"),))) == 7
