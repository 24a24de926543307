"""Every fault that a file can have by itself: named with file and line, with exit code 4, before anything runs."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import InvalidPlan, MigrationFileError
from pipeline.migrations import raise_faults
from pipeline.migrations.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.folders import FolderBuilder

NOT_TRANSACTIONAL = "-- transactional: false\n"

FAULTY_TEXTS = [
    pytest.param(b"SELECT '\xff';", ":1", "0xff is not UTF-8", id="not UTF-8"),
    pytest.param(b"SELECT 1;\n\n-- \xe4", ":3", "0xe4 is not UTF-8", id="not UTF-8 in line 3"),
    pytest.param(b"\xef\xbb\xbfSELECT 1;", ":1", "byte order mark", id="BOM"),
    pytest.param("SELECT '\0';", ":1", "NUL", id="NUL"),
    pytest.param("", "", "no statement", id="empty"),
    pytest.param("-- title\n\n;\n", "", "no statement", id="comments and a lone semicolon"),
    pytest.param("SELECT 1;\nBEGIN;", ":2", "BEGIN in a migration", id="BEGIN"),
    pytest.param("start transaction;", ":1", "START in a migration", id="START TRANSACTION"),
    pytest.param("SELECT 1;\n\nCOMMIT;", ":3", "COMMIT in a migration", id="COMMIT"),
    pytest.param("END;", ":1", "END in a migration", id="END"),
    pytest.param("ROLLBACK;", ":1", "ROLLBACK in a migration", id="ROLLBACK"),
    pytest.param("abort", ":1", "ABORT in a migration", id="ABORT"),
    pytest.param("SAVEPOINT a;", ":1", "SAVEPOINT in a migration", id="SAVEPOINT"),
    pytest.param("RELEASE a;", ":1", "RELEASE in a migration", id="RELEASE"),
    pytest.param("PREPARE TRANSACTION 'a';", ":1", "PREPARE in a migration", id="PREPARE TRANSACTION"),
    pytest.param("COPY t FROM STDIN;\n1\n\\.\n", ":1", "COPY", id="COPY FROM STDIN"),
    pytest.param("SELECT 1;\n\\copy t from 'x'", ":2", "psql command", id="psql command"),
    pytest.param("SELECT 'a;\nCOMMIT;", ":1", "string that is never closed", id="open quote"),
    pytest.param('SELECT 1;\nSELECT "a;', ":2", "quoted identifier that is never closed", id="open identifier"),
    pytest.param("SELECT 1; /* COMMIT;", ":1", "block comment that is never closed", id="open comment"),
    pytest.param(
        "SELECT 1;\nSELECT a INTO u FROM t; ALTER TABLE u ADD b int;", ":2", "SELECT … INTO", id="SELECT INTO"
    ),
    pytest.param("WITH x AS (SELECT 1 AS a)\nSELECT * INTO TEMP u FROM x", ":1", "SELECT … INTO", id="WITH … INTO"),
    pytest.param("(SELECT 1 AS a INTO u)", ":1", "SELECT … INTO", id="SELECT INTO in parentheses"),
    pytest.param("SELECT 1 AS a INTO u UNION SELECT 2;", ":1", "SELECT … INTO", id="SELECT INTO of a UNION"),
    pytest.param("-- depends: 0003_c\nSELECT 1;", ":1", "depends on 0003_c, which comes after it", id="a later file"),
    pytest.param("\n--depends:0000_z 0001_first\nSELECT 1;", ":2", "depends on itself", id="depends on itself"),
    pytest.param("DO $$ BEGIN", ":1", "dollar-quoted string $$ that is never closed", id="open dollar quote"),
    pytest.param("-- pipeline: lock_timeout=5s\nSELECT 1;", ":1", "unknown key 'lock_timeout'", id="unknown key"),
    pytest.param("-- pipeline: lock-timeout=soon\nSELECT 1;", ":1", "not a duration", id="not a duration"),
    pytest.param("-- transactional: maybe\nSELECT 1;", ":1", "true or false", id="neither true nor false"),
    pytest.param("-- Transactional: false\nSELECT 1;", ":1", "only in lower case", id="upper-case directive"),
    pytest.param("SELECT 1;\n-- transactional: false\n", ":2", "no effect", id="directive behind a statement"),
    pytest.param("CREATE INDEX CONCURRENTLY i ON t (a);", ":1", "cannot run in a transaction", id="CONCURRENTLY"),
    pytest.param("SELECT 1;\nVACUUM t;", ":2", "cannot run in a transaction", id="VACUUM"),
    pytest.param("REINDEX TABLE CONCURRENTLY t;", ":1", "cannot run in a transaction", id="REINDEX CONCURRENTLY"),
    pytest.param("SELECT 1; -- a comment ends here\rCOMMIT;", ":1", "COMMIT in a migration", id="behind a lone CR"),
    pytest.param(
        "SET standard_conforming_strings = off;\nSELECT '\\', '; DROP TABLE t; --';",
        ":2",
        "a backslash in a string",
        id="strings, SET",
    ),
    pytest.param(
        "SELECT set_config('Standard_Conforming_Strings', 'off', true);\nSELECT 1;\nSELECT '\\';",
        ":3",
        "a backslash in a string",
        id="strings, set_config",
    ),
    *(
        pytest.param(f"-- pipeline: {text}\nSELECT 1;", ":1", "why in parentheses", id=text)
        for text in (
            "accept=exclusive-lock",
            "accept=exclusive-lock ()",
            "accept=all (why)",
            "accept (why)",
            "accept=exclusive-lock (why)lock-timeout=5s",
        )
    ),
    pytest.param("-- pipeline: accept=exclusive-lock (why (so))\nSELECT 1;", ":1", "", id="nested parentheses"),
    pytest.param("-- pipeline: lock-timeout=\u0665s\nSELECT 1;", ":1", "not a duration", id="digits of another script"),
    pytest.param(NOT_TRANSACTIONAL + "VACUUM a;\nVACUUM b;", ":3", "2 statements", id="two statements"),
    pytest.param(NOT_TRANSACTIONAL + "CREATE TABLE t ();", ":2", "holds one CREATE INDEX", id="another kind"),
    pytest.param(
        NOT_TRANSACTIONAL + "CREATE INDEX CONCURRENTLY ON t (a);", ":2", "holds one", id="index without a name"
    ),
    pytest.param(NOT_TRANSACTIONAL + "CREATE INDEX i ON t (a);", ":2", "holds one", id="not concurrently"),
    pytest.param(
        NOT_TRANSACTIONAL + "CREATE INDEX CONCURRENTLY a.i ON a.t (b);",
        ":2",
        "holds one",
        id="a schema before the index",
    ),
    pytest.param(NOT_TRANSACTIONAL + "DROP INDEX CONCURRENTLY a, b;", ":2", "holds one", id="two indexes"),
    pytest.param(
        "ALTER TABLE p DETACH PARTITION q CONCURRENTLY;", ":1", "cannot run in a transaction", id="DETACH CONCURRENTLY"
    ),
    pytest.param(
        NOT_TRANSACTIONAL + "ALTER TABLE p DETACH PARTITION q;",
        ":2",
        "holds one",
        id="DETACH that needs no file of its own",
    ),
    pytest.param(
        NOT_TRANSACTIONAL + "ALTER TABLE p DETACH PARTITION q CONCURRENTLY, ADD a int;", ":2", "holds one", id="two"
    ),
]


@pytest.mark.parametrize(("text", "line", "message"), FAULTY_TEXTS)
def test_a_faulty_text_is_named_with_its_line(
    folder: FolderBuilder, text: str | bytes, line: str, message: str
) -> None:
    folder.write("0001_first", text)
    (fault,) = make_plan(folder.read(), {}).faults
    assert isinstance(fault, MigrationFileError)
    assert fault.where.endswith(f"0001_first.sql{line}")
    assert message in fault.message
    assert fault.remedy
    assert fault.exit_code == 4


@pytest.mark.parametrize(
    ("statement", "remedy"),
    [
        ("CREATE DATABASE d", "infra/"),
        ("DROP DATABASE IF EXISTS d", "infra/"),
        ("ALTER DATABASE d SET TABLESPACE s", "Neon has none"),
        ("ALTER SYSTEM SET work_mem = '4MB'", "ALTER ROLE … SET"),
        ("CREATE TABLESPACE s LOCATION '/s'", "Neon has none"),
        ("DROP TABLESPACE s", "Neon has none"),
        ("REINDEX DATABASE d", "REINDEX TABLE CONCURRENTLY name"),
        ("REINDEX (VERBOSE) SCHEMA CONCURRENTLY s", "REINDEX TABLE CONCURRENTLY name"),
        ("COMMIT PREPARED 'a'", "no migration prepares one"),
        ("ROLLBACK PREPARED 'a'", "no migration prepares one"),
        ("DISCARD ALL", "the runner"),
        ("CLUSTER", "CLUSTER table"),
        ("CLUSTER (VERBOSE)", "CLUSTER table"),
    ],
)
@pytest.mark.parametrize("head", ["", NOT_TRANSACTIONAL], ids=["in a transaction", "outside of one"])
def test_what_is_no_migrations_has_the_same_remedy_with_and_without_a_transaction(
    folder: FolderBuilder, head: str, statement: str, remedy: str
) -> None:
    (fault,) = make_plan(folder.write("0001_first", f"{head}{statement};").read(), {}).faults
    assert "is no migration's" in fault.message
    assert remedy in fault.remedy
    assert "remove `-- transactional: false`" not in fault.remedy


@pytest.mark.parametrize(
    ("statement", "kind", "exclusive"),
    [
        ("ALTER TABLE p DETACH PARTITION q CONCURRENTLY", "detach partition", False),
        ('ALTER TABLE IF EXISTS ONLY s."P" DETACH PARTITION s."Q" CONCURRENTLY', "detach partition", False),
        ("VACUUM", "vacuum", False),
        ("VACUUM (ANALYZE) t", "vacuum", False),
        ("VACUUM FULL t", "vacuum", True),
        ("VACUUM (VERBOSE, FULL) t", "vacuum", True),
        ("VACUUM (FULL TRUE, ANALYZE) t", "vacuum", True),
        ("VACUUM (FULL off) t", "vacuum", False),
        ('VACUUM (FULL 0) "full"', "vacuum", False),
        ("CLUSTER t", "cluster", True),
        ("CLUSTER VERBOSE t USING i", "cluster", True),
        ("CLUSTER (VERBOSE) s.t USING i", "cluster", True),
        ("CLUSTER i ON t", "cluster", True),
    ],
)
def test_a_statement_outside_a_transaction_is_read(
    folder: FolderBuilder, statement: str, kind: str, exclusive: bool
) -> None:
    concurrent = folder.write("0001_first", f"{NOT_TRANSACTIONAL}{statement};").read().files[0].forward.concurrent
    assert concurrent is not None
    assert (concurrent.kind, concurrent.exclusive) == (kind, exclusive)


@pytest.mark.parametrize(
    "text",
    [
        "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x;",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x;",
        "WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE;",
        "SELECT 1 AS into;",
        "SELECT t.into FROM t;",
        'SELECT "INTO" FROM t;',
    ],
)
def test_what_the_server_takes_is_no_fault(folder: FolderBuilder, text: str) -> None:
    assert make_plan(folder.write("0001_first", text).read(), {}).faults == ()


NOT_OF_THE_FORM = [
    "2_second.sql",
    "0002-second.sql",
    "0002_Second.sql",
    "0002_second.SQL",
    "0002_second.Rollback.sql",
    "0002_.sql",
    "post-apply.sql",
    "\u0660\u0660\u0660\u0662_second.sql",  # digits of another script, which int() would take
    "\uff10\uff10\uff10\uff12_second.sql",  # of full width
    "0002_sec\u043end.sql",  # a Cyrillic letter
    "0002_second\uff0esql",  # a full stop of full width
    "0002_second.sql ",
    " 0002_second.sql",
    "0002_second.sql\n",
    "0002_second.sql\u200b",
    "0002_second.sql.",
    "0002_second.sql.txt",
]


@pytest.mark.parametrize("name", NOT_OF_THE_FORM)
def test_a_name_that_is_almost_a_migrations_is_a_fault(folder: FolderBuilder, name: str) -> None:
    folder.write("0001_first", "SELECT 1;")
    (folder.path / name).write_text("SELECT 2;")
    (fault,) = make_plan(folder.read(), {}).faults
    assert "not of the form" in fault.message
    assert repr(name) in fault.message
    assert fault.where.isprintable()
    assert fault.exit_code == 4


def test_a_name_that_is_no_text_is_a_fault_that_can_be_printed(folder: FolderBuilder) -> None:
    folder.write("0001_first", "SELECT 1;")
    try:
        (folder.path / os.fsdecode(b"0002_sec\xf6nd.sql")).write_text("SELECT 2;")
    except OSError:
        pytest.skip("this file system takes no name that is not UTF-8")
    (fault,) = make_plan(folder.read(), {}).faults
    assert "not of the form" in fault.message
    assert "0002_sec\\udcf6nd.sql" in str(fault).encode().decode()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("0002_second.py", "Python migrations are not run"),
        ("0002_second.rollback.sql", "without its migration 0002_second.sql"),
    ],
)
def test_a_faulty_name_is_named(folder: FolderBuilder, name: str, message: str) -> None:
    folder.write("0001_first", "SELECT 1;")
    (folder.path / name).write_text("SELECT 2;")
    (fault,) = make_plan(folder.read(), {}).faults
    assert fault.where.endswith(name)
    assert message in fault.message


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        at = os.open(path.parent, os.O_RDONLY)
        made.bind(f"/proc/self/fd/{at}/{path.name}" if sys.platform == "linux" else str(path))
        os.close(at)


@pytest.mark.parametrize("name", ["0002_second.sql", "0001_first.rollback.sql"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: path.symlink_to("nowhere.sql"), "a symbolic link that leads to no file", id="broken"),
        pytest.param(lambda path: path.symlink_to(path.name), "a symbolic link that leads to no file", id="circle"),
        pytest.param(lambda path: path.symlink_to("."), "a directory", id="link to a directory"),
        pytest.param(lambda path: path.symlink_to(os.devnull), "a device", id="link to a device"),
        pytest.param(lambda path: path.mkdir(), "a directory", id="directory"),
        pytest.param(_pipe, "a pipe", id="pipe"),
        pytest.param(_socket, "a socket", id="socket"),
    ],
)
def test_what_is_named_like_a_migration_and_is_no_file_is_a_fault(
    folder: FolderBuilder, name: str, make: Callable[[Path], None], message: str
) -> None:
    folder.write("0001_first", "SELECT 1;")
    make(folder.path / name)
    (fault,) = make_plan(folder.read(), {}).faults
    assert fault.where.endswith(name)
    assert message in fault.message
    assert fault.remedy


def test_a_link_to_a_file_is_read_as_that_file(folder: FolderBuilder) -> None:
    (folder.path.parent / "elsewhere").write_text("SELECT 1;")
    (folder.path / "0001_first.sql").symlink_to("../elsewhere")
    (file,) = make_plan(folder.read(), {}).pending
    assert file.data == b"SELECT 1;"


def test_the_longest_name_that_a_folder_takes_is_a_migrations(folder: FolderBuilder) -> None:
    id_ = f"0001_{'x' * 246}"
    assert [file.id for file in make_plan(folder.write(id_, "SELECT 1;").read(), {}).pending] == [id_]


def test_two_files_of_one_number_are_a_fault(folder: FolderBuilder) -> None:
    folder.write("0001_a", "SELECT 1;").write("0001_b", "SELECT 1;")
    (fault,) = make_plan(folder.read(), {}).faults
    assert fault.where.endswith("0001_b.sql")
    assert "number 0001 is taken by 0001_a" in fault.message


def test_files_of_other_kinds_are_left_alone(folder: FolderBuilder) -> None:
    folder.write("0001_first", "SELECT 1;")
    backups = ("0001_first.sql~", "#0001_first.sql#", "0001_first.sql.orig", "0001_first.sql.bak", "0001_first.sql.swp")
    for name in ("README.md", ".0002_hidden.sql.swp", ".0002_hidden.sql", "0002_off.sql.disabled", *backups):
        (folder.path / name).write_text("")
    (folder.path / ".#0001_first.sql").symlink_to("somebody@somewhere.4711")  # an editor's lock
    (folder.path / "2026").mkdir()
    assert [file.id for file in make_plan(folder.read(), {}).pending] == ["0001_first"]
    assert make_plan(folder.read(), {}).faults == ()


def test_a_missing_dependency_is_named(folder: FolderBuilder) -> None:
    folder.write("0001_first", "-- depends: 0000_zero\nSELECT 1;")
    (fault,) = make_plan(folder.read(), {}).faults
    assert "depends on 0000_zero, which is not there" in fault.message


def test_a_circle_of_dependencies_is_a_fault_of_the_file_that_looks_ahead(folder: FolderBuilder) -> None:
    folder.write("0001_a", "-- depends: 0002_b\nSELECT 1;").write("0002_b", "-- depends: 0001_a\nSELECT 1;")
    (fault,) = make_plan(folder.read(), {}).faults
    assert fault.where.endswith("0001_a.sql:1")
    assert "above 0002" in fault.remedy


def test_a_faulty_rollback_file_is_named(folder: FolderBuilder) -> None:
    folder.write("0001_a", "SELECT 1;", rollback="-- depends: 0002_b\nSELECT 1;")
    (file,) = folder.read().files
    with pytest.raises(MigrationFileError, match="depends on nothing"):
        _ = file.backward


def test_several_faults_are_listed_together(folder: FolderBuilder) -> None:
    folder.write("0001_a", "COMMIT;").write("0002_b", "SELECT '")
    with pytest.raises(InvalidPlan, match="2 faults") as caught:
        raise_faults(make_plan(folder.read(), {}).faults)
    assert "0001_a.sql:1" in str(caught.value)
    assert "0002_b.sql:1" in str(caught.value)
