"""The SQL that runs one migration file and records it.

A file's text is never joined with other text: it travels as a literal and is executed by the server, so that an open
quote, a trailing comment or a COMMIT in it cannot reach beyond it. The record comes first, so that a rival that runs the
same file waits on its primary key before it does any work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.history.tables import SCHEMA
from pipeline.postgres.lock import KEY, TRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.migrations import MigrationFile
    from pipeline.migrations.chunks import Chunk
    from pipeline.migrations.plan import Applied
    from pipeline.migrations.script import Script

_NOW = "pg_catalog.clock_timestamp() AT TIME ZONE 'UTC'"
_COMMENT_LENGTH = 255  # of yoyo's column
_NAME_LENGTH = 255
_COMMIT_LENGTH = 40

# Stands in the place of a commit where none holds the file that ran.
UNCOMMITTED = "uncommitted"
_LONG = 1000  # characters of a statement


@dataclass(frozen=True, slots=True)
class Author:
    """Who deploys, from where, which commit, and what lets it in; each is kept with what is applied.

    `rehearsal` is the digest of a row of migration_history.rehearsals.
    """

    actor: str = ""
    host: str = ""
    commit: str = ""
    uncommitted: frozenset[str] = frozenset()  # ids of migrations that the commit does not hold as they run
    rehearsal: str = ""

    def at(self, commit: str, uncommitted: Iterable[str] = ()) -> Author:
        """The same author at a commit."""
        return replace(self, commit=commit, uncommitted=frozenset(uncommitted))

    def commit_of(self, file: MigrationFile) -> str:
        """What is recorded of a file: the commit that holds it, UNCOMMITTED, or nothing where nobody knows."""
        return UNCOMMITTED if file.id in self.uncommitted else self.commit[:_COMMIT_LENGTH]


# The SQLSTATE under which the server tells which file it is at. A server keeps its answers until its buffer is full or the
# query ends, but sends them with any INFO: so this is what lets the client see the commits of the files before.
RUNNING = "MG001"

# What makes a session as new, as DISCARD ALL would: that is refused in a transaction, and would give the deploy's lock
# away. Settings and roles come first, so that a deferred trigger runs as it would at COMMIT; then the deferred triggers,
# so that nothing of the file's own runs any more once the rest is gone.
_FORGET = (
    "RESET ALL;RESET SESSION AUTHORIZATION;RESET ROLE;SET CONSTRAINTS ALL IMMEDIATE;"
    "CLOSE ALL;UNLISTEN *;RESET ALL;RESET SESSION AUTHORIZATION;RESET ROLE;"
    "DISCARD TEMP;DISCARD SEQUENCES;DEALLOCATE ALL"
)
# pg_advisory_unlock_all() takes the deploy's lock too: the transaction keeps it meanwhile, so that no rival gets it.
_LOCKS = (
    f"PERFORM pg_catalog.pg_try_advisory_xact_lock({KEY}); PERFORM pg_catalog.pg_advisory_unlock_all(); PERFORM {TRY}; "
)
_FORGET_ALL = f"EXECUTE {literal(_FORGET)}; {_LOCKS}"

# Behind a file that failed, and behind a statement outside a transaction: a session as new, with the deploy's lock alone.
CLEAN = f"DO $clean$ BEGIN {_FORGET_ALL}END $clean$;"

# A commit that is on the disk as soon as the next one that waits is. Behind the file's own statements, which have no say in it.
COMMIT_WITHOUT_WAITING = "SET LOCAL synchronous_commit = off;COMMIT;"
# Waits until every commit before it is on the disk: locking a row writes, and changes nothing.
FLUSH = f"SELECT 1 FROM {SCHEMA}._yoyo_version FOR UPDATE;"

# The SQLSTATE of a file that was not begun, because a rival has the deploy's lock.
LOCK_LOST = "MG002"
# The SQLSTATE of a first file that was not begun, because the database is another than the one that was rehearsed.
NOT_AS_REHEARSED = "MG004"
_KEEP_LOCK = (
    f"IF NOT pg_catalog.pg_try_advisory_xact_lock({KEY}) THEN "
    f"RAISE EXCEPTION 'somebody else has the lock of the deploy' USING ERRCODE = '{LOCK_LOST}'; END IF; "
)


def apply_sql(file: MigrationFile, author: Author, *, announced: bool = True) -> str:
    """BEGIN, the record, the file's text, a clean session for the next file, the log row. The COMMIT is the caller's.

    `announced`: the server says that it is at this file, and with that sends the answers of those before it.
    """
    return _transaction(
        _announcement(file) if announced else "",
        file.forward,
        record=_record(file),
        log=_log(file, author, "apply", _measured_comment(file, author)),
    )


# The microseconds and the bytes of WAL that a piece of apply_in_pieces took, as the session's setting of this name has them.
MEASURED = "pipeline.measured"


# So many statements in a row that write rows are one piece: a look at each would take many times as long as they do.
_IN_A_ROW = 20
_WRITES_ROWS = frozenset({"INSERT", "UPDATE", "DELETE"})


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a file's chunks, mostly one, in a block that leaves in MEASURED what it took."""

    sql: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Pieces:
    """What apply_sql sends, cut into queries that are sent one by one in the same transaction. The COMMIT is the caller's.

    `begin` answers with the instant and the WAL position, of which `end` makes the log row. `statements` are the file's, and
    `single` the same again, each chunk by itself.
    """

    begin: str
    statements: tuple[Piece, ...]
    single: tuple[Piece, ...]
    _forget: str
    _log: str

    def end(self, began: str, lsn: str) -> str:
        """What makes the session clean for the next file, where deferred triggers run, and writes the log row."""
        block = _measured(
            f"started timestamptz := {literal(began)}; lsn pg_catalog.pg_lsn := {literal(lsn)}; ",
            f"{self._forget}{self._log}; ",
        )
        return f"DO {dollar_quoted(block)};"


def apply_in_pieces(file: MigrationFile, author: Author) -> Pieces:
    """As apply_sql, for who wants to look at the transaction between two statements."""
    script = file.forward
    begin = (
        f"{_begin(script, _record(file))}DO {dollar_quoted(f'BEGIN {_KEEP_LOCK}END')};"
        "SELECT pg_catalog.clock_timestamp(), pg_catalog.pg_current_wal_insert_lsn();"
    )
    tag = _tag(script.text)
    chunks = [(number, chunk) for number, chunk in enumerate(script.chunks, start=1) if chunk.statements]
    single = tuple(_piece([each], tag) for each in chunks)
    statements: list[Piece] = []
    for verb, group in groupby(chunks, key=lambda each: _row_verb(each[1])):
        alike = list(group)
        together = verb and len(alike) > _IN_A_ROW
        statements += [_piece(alike, tag)] if together else [_piece([each], tag) for each in alike]
    log = _log(file, author, "apply", _measured_comment(file, author))
    return Pieces(begin, tuple(statements), single, _FORGET_ALL, log)


def _row_verb(chunk: Chunk) -> str:
    verb = chunk.statements[0].first_word
    return verb if len(chunk.statements) == 1 and verb in _WRITES_ROWS else ""


def _piece(chunks: Sequence[tuple[int, Chunk]], tag: str) -> Piece:
    block = _measured("chunk text; bodies text; ", _execution_of(chunks, tag))
    return Piece(f"DO {dollar_quoted(block)};", tuple(chunk for _, chunk in chunks))


def _measured(variables: str, what: str) -> str:
    """A block that leaves in MEASURED what it took."""
    return (
        f"DECLARE {variables}measured_from timestamptz := pg_catalog.clock_timestamp(); "
        f"measured_at pg_catalog.pg_lsn := pg_catalog.pg_current_wal_insert_lsn(); BEGIN {what}"
        f"PERFORM pg_catalog.set_config('{MEASURED}', pg_catalog.concat_ws(' ', "
        "pg_catalog.round(1000000 * EXTRACT(epoch FROM pg_catalog.clock_timestamp() - measured_from))::bigint, "
        "pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), measured_at)), true); END"
    )


def rollback_sql(file: MigrationFile, backward: Script, author: Author) -> str:
    """As apply_sql, the other way."""
    return _transaction(
        _announcement(file),
        backward,
        record=f"DELETE FROM {SCHEMA}._yoyo_migration WHERE migration_hash = {literal(file.hash)}",
        log=_log(file, author, "rollback", literal("")),
    )


def started_sql(file: MigrationFile, author: Author, existed: str) -> str:
    """Log that a non-transactional file is about to run, and return the log row's comment.

    `existed` is an SQL expression for what is there already: an index's definition, or the leftovers of a REINDEX.
    """
    # what existed comes last: where the comment is cut, that it did is enough
    let_in = f" rehearsal={author.rehearsal}" if author.rehearsal else ""
    known = literal(f"sha256={file.checksum}{let_in} lsn=")
    comment = f"{known} || pg_catalog.pg_current_wal_insert_lsn() || ' existed=' || ({existed})"
    return f"{_log(file, author, 'started', _cut(comment))} RETURNING comment"


def mark_sql(file: MigrationFile, author: Author, *, milliseconds: int | None = None, lsn: str = "") -> str:
    """One transaction that records a non-transactional file, whose statement ran already.

    `milliseconds` and `lsn` are how long that took and the WAL position before it, where they are known.
    """
    notes = {
        "sha256": file.checksum,
        "commit": author.commit_of(file),
        "rehearsal": author.rehearsal,
        "ms": milliseconds,
        "lsn": lsn,
    }
    return f"BEGIN;{_record(file)};{_log(file, author, 'apply', _comment(notes))};COMMIT;"


def registered_sql(file: MigrationFile, author: Author, registration: str) -> str:
    """One transaction that records a batched file, whose batches come after it, and does what `registration` says."""
    comment = _cut(f"{literal(f'{_known(file, author)} lsn=')} || pg_catalog.pg_current_wal_insert_lsn()")
    return (
        f"BEGIN;{_record(file)};DO {dollar_quoted(f'BEGIN {_KEEP_LOCK}END')};{registration}"
        f"{_log(file, author, 'apply', comment)};COMMIT;"
    )


def baseline_sql(missing: Sequence[MigrationFile], unverified: Sequence[MigrationFile], author: Author) -> str:
    """Record files as applied without running them; those recorded already get a log row with their checksum."""
    logs = (
        _log(file, author, "mark", _comment({"sha256": file.checksum, "commit": author.commit_of(file)}))
        for file in (*missing, *unverified)
    )
    return "".join(f"{sql};" for sql in (*(_record(file) for file in missing), *logs))


def unmark_sql(file: MigrationFile, author: Author) -> str:
    """One transaction that takes a file's record away without running anything."""
    return (
        f"BEGIN;DELETE FROM {SCHEMA}._yoyo_migration WHERE migration_hash = {literal(file.hash)};"
        f"{_log(file, author, 'rollback', literal(''))};COMMIT;"
    )


def renamed_sql(files: Mapping[Applied, MigrationFile]) -> str:
    """One transaction that records what is applied under the id and the text that its file has now."""
    statements = []
    for applied, file in files.items():
        old = literal(sha256(applied.id.encode()).hexdigest())
        checksums = f"{literal(f'sha256={applied.checksum}')}, {literal(f'sha256={file.checksum}')}"
        names = f"migration_hash = {literal(file.hash)}, migration_id = {literal(file.id)}"
        statements += [
            f"UPDATE {SCHEMA}.{table} SET {values} WHERE migration_hash = {old}"
            for table, values in (
                ("_yoyo_migration", names),
                ("_yoyo_log", f"{names}, comment = pg_catalog.replace(comment, {checksums})"),
            )
        ]
    return f"BEGIN;{';'.join(statements)};COMMIT;"


def _announcement(file: MigrationFile) -> str:
    return f"RAISE INFO '%', {literal(file.id)} USING ERRCODE = '{RUNNING}'; "


def _transaction(announcement: str, script: Script, *, record: str, log: str) -> str:
    block = (
        "DECLARE started timestamptz := pg_catalog.clock_timestamp(); "
        "lsn pg_catalog.pg_lsn := pg_catalog.pg_current_wal_insert_lsn(); "
        f"chunk text; bodies text; BEGIN {_KEEP_LOCK}{announcement}{_execution(script)}"
        f"{_FORGET_ALL}{log}; END"
    )
    return f"{_begin(script, record)}DO {dollar_quoted(block)};"


def _begin(script: Script, record: str) -> str:
    limits = "".join(f"SET LOCAL {key.replace('-', '_')} = {literal(value)};" for key, value in script.settings.items())
    return f"BEGIN;{limits}{record};"


def _execution(script: Script) -> str:
    """What executes the file's text, chunk by chunk.

    The server sends the text that it executes along with each NOTICE and WARNING: 8,000 of them would carry a file that
    was executed as a whole 8,000 times.
    """
    return _execution_of(list(enumerate(script.chunks, start=1)), _tag(script.text))


def _execution_of(chunks: Sequence[tuple[int, Chunk]], tag: str) -> str:
    blocks: list[str] = []
    small: list[str] = []
    for number, chunk in chunks:
        text = f"{tag}{numbered(number, chunk.text)}{tag}"
        if not _is_long(chunk):
            small.append(text)
            continue
        blocks += (_each(small), _by_a_function(number, text))
        small = []
    return "".join((*blocks, _each(small)))


def numbered(number: int, chunk: str) -> str:
    """A chunk's text as it is sent: a message that names it tells which one it is."""
    return f"/*{number}*/{chunk}"


def _is_long(chunk: Chunk) -> bool:
    """Whether a statement is too long to be repeated with each of its messages; a DO block may have a message in a loop."""
    return len(chunk.statements) == 1 and (len(chunk.text) > _LONG or chunk.statements[0].first_word == "DO")


def _each(texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return f"EXECUTE {texts[0]}; "
    return f"FOREACH chunk IN ARRAY ARRAY[{','.join(texts)}] LOOP EXECUTE chunk; END LOOP; " if texts else ""


def _by_a_function(number: int, text: str) -> str:
    """What runs one long statement as a function's body: then a message has the function's name and not the text.

    The server refuses in a function what it refuses in EXECUTE. Its text is not looked at before it runs, as with EXECUTE.
    A file that took on another role, or gave rights away, may not make one here: then the text is executed.
    """
    name = f"{SCHEMA}.statement_{number}()"
    return (
        f"chunk := {text}; IF pg_catalog.has_schema_privilege('{SCHEMA}', 'CREATE') THEN "
        "bodies := pg_catalog.current_setting('check_function_bodies'); "
        "PERFORM pg_catalog.set_config('check_function_bodies', 'off', true); "
        f"EXECUTE pg_catalog.format('CREATE FUNCTION {name} RETURNS void LANGUAGE sql AS %L', chunk); "
        "PERFORM pg_catalog.set_config('check_function_bodies', bodies, true); "
        f"IF {name} IS NULL THEN END IF; DROP FUNCTION {name}; "
        "ELSE EXECUTE chunk; END IF; "
    )


def _record(file: MigrationFile) -> str:
    return f"INSERT INTO {SCHEMA}._yoyo_migration (migration_hash, migration_id, applied_at_utc) VALUES ({_ids(file)}, {_NOW})"


def _comment(notes: Mapping[str, object]) -> str:
    return literal(" ".join(f"{key}={value}" for key, value in notes.items() if value not in {None, ""}))


def _ids(file: MigrationFile) -> str:
    return f"{literal(file.hash)}, {literal(file.id)}"


def _log(file: MigrationFile, author: Author, operation: str, comment: str) -> str:
    return (
        f"INSERT INTO {SCHEMA}._yoyo_log "
        "(id, migration_hash, migration_id, operation, username, hostname, comment, created_at_utc) VALUES ("
        f"pg_catalog.gen_random_uuid()::text, {_ids(file)}, {literal(operation)}, {literal(author.actor[:_NAME_LENGTH])}, "
        f"{literal(author.host[:_NAME_LENGTH])}, {comment}, {_NOW})"
    )


def _measured_comment(file: MigrationFile, author: Author) -> str:
    """The log row's comment as an SQL expression over the block's variables `started` and `lsn`."""
    return _cut(f"{literal(f'{_known(file, author)} ms=')} || {_milliseconds('started')} || ' lsn=' || lsn")


def _known(file: MigrationFile, author: Author) -> str:
    """The notes of a log row that are known before the file runs: with all of them, 200 characters."""
    notes = {"sha256": file.checksum, "commit": author.commit_of(file), "rehearsal": author.rehearsal}
    return " ".join(f"{key}={value}" for key, value in notes.items() if value)


def _milliseconds(since: str) -> str:
    return f"pg_catalog.round(1000 * EXTRACT(epoch FROM pg_catalog.clock_timestamp() - {since}))::bigint"


def _cut(expression: str) -> str:
    return f"pg_catalog.left({expression}, {_COMMENT_LENGTH})"


def dollar_quoted(text: str) -> str:
    """The text in dollar quotes with a tag that does not occur in it."""
    tag = _tag(text)
    return f"{tag}{text}{tag}"


def _tag(text: str) -> str:
    tag = "$body$"
    number = 0
    while tag[:-1] in text:
        number += 1
        tag = f"$body{number}$"
    return tag
