"""Have the server plan every statement as the role that sends it, and say what it said. Nothing of a statement is executed.

In a transaction that is read-only and rolled back: the owner gives itself the role in it, which leaves no trace. What a
statement takes and returns is asked as a client asks (Parse and Describe), where the server takes one statement alone; what
was taken there is then explained. Planning may compute a function that is immutable or stable, with the role's rights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dbclient.quoting import identifier, literal
from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import APPLICATION
from pipeline.postgres.session import ServerError
from pipeline.rehearsal.compatibility.catalogue import is_planned
from pipeline.rehearsal.compatibility.plans import FOUND, Work, read_plan
from pipeline.rehearsal.compatibility.rules import Rules, read_rules
from pipeline.rehearsal.looking import read_relations
from pipeline.rehearsal.result import FINDING_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Description, Result, Session
    from pipeline.rehearsal.compatibility.plans import Relation
    from pipeline.rehearsal.compatibility.reading import Catalogues, Known

_SHOWN_WORK = f"{APPLICATION} compatibility"
_SINCE = 160_000  # EXPLAIN (GENERIC_PLAN), and GRANT … WITH SET
_EXPLAIN = "EXPLAIN (GENERIC_PLAN, VERBOSE, COSTS OFF, FORMAT JSON)"
_DENIED = (
    "SELECT seqrelid::regclass::text FROM pg_catalog.pg_sequence "
    "WHERE NOT pg_catalog.has_sequence_privilege(seqrelid, 'USAGE, UPDATE')"
)
_AT_ONCE = 50  # statements in one query
_NO_RIGHT, _NO_ROLE = "42501", "42704"  # insufficient_privilege, undefined_object
_NOT_PLANNED = "0A000"  # feature_not_supported

T = TypeVar("T")
Key = tuple[str, str]  # role and text


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says of a statement: the SQLSTATE with which it refuses it, or what it takes, returns and does.

    `parameters` are types, `results` names and types. `forced` is the work where the planner has to use an index if one
    serves: of statements that read a large table from end to end. `denied` are sequences that an INSERT takes a number of and
    that the role may not use, which a server notices only when it does.
    """

    sqlstate: str = ""
    parameters: tuple[str, ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    work: Work = field(default_factory=lambda: Work({}))
    forced: Work | None = None
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Planned:
    """The server's answers by role and text, the rules of its tables, and their rows by the name that is shown."""

    catalogues: Catalogues
    answers: Mapping[Key, Answer]
    rules: Rules
    rows: Mapping[str, int]
    not_measured: tuple[str, ...] = ()


def plan(url: DatabaseURL, catalogues: Catalogues) -> Planned:
    """Plan the statements on a copy of production; the database is left as it was.

    Raises:
        DatabaseFailed: no connection, or it was lost.
    """
    with open_session(url, application_name=_SHOWN_WORK) as session:
        session.on_notice = None  # a notice may have a value in it
        rows = {each.name: each.rows for each in read_relations(session).values()}
        rules = read_rules(session)
        if session.connection.server_version < _SINCE:
            why = f"PostgreSQL {session.connection.server_version // 10_000} cannot plan a statement without its values"
            return Planned(catalogues, {}, rules, rows, (f"compatibility: {why}",))
        large = {key for key, table in rules.tables.items() if rows.get(table.shown, 0) > FINDING_ROWS}
        answers: dict[Key, Answer] = {}
        not_measured = []
        by_role: dict[str, list[Known]] = {}
        for known in catalogues.statements:
            by_role.setdefault(known.role, []).append(known)
        for role, statements in by_role.items():
            texts = [known.sent.sql for known in statements]
            try:
                found = _as_role(session, role, partial(_plan_all, session, texts, large))
            except ServerError as error:
                if error.sqlstate == _NO_RIGHT:
                    not_measured.append(f"compatibility of what {role} sends: the owner may not become {role}")
                    continue
                if error.sqlstate != _NO_ROLE:
                    raise
                found = [Answer(_NO_ROLE)] * len(texts)
            answers |= {(role, text): answer for text, answer in zip(texts, found, strict=True)}
    return Planned(catalogues, answers, rules, rows, tuple(not_measured))


def _as_role(session: Session, role: str, work: Callable[[], list[Answer]]) -> list[Answer]:
    path = session.run(
        "SELECT pg_catalog.split_part(setting, '=', 2) FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) AS setting "
        f"WHERE setting ^@ 'search_path=' AND setrole = pg_catalog.to_regrole({literal(identifier(role))}) AND setdatabase IN "
        "(0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) ORDER BY setdatabase DESC"
    )[0].rows
    member = f"SELECT pg_catalog.pg_has_role({literal(role)}, 'SET')"
    session.run("BEGIN")
    try:
        if session.run(member)[0].rows[0][0] != "t":
            session.run(f"GRANT {identifier(role)} TO CURRENT_USER WITH SET TRUE")
        session.run(
            f"SET TRANSACTION READ ONLY;SET LOCAL ROLE {identifier(role)};"
            f"SET LOCAL search_path = {path[0][0] if path else chr(34) + '$user' + chr(34) + ', public'};SAVEPOINT one"
        )
        done = work()
    except ServerError:
        session.run("ROLLBACK")
        raise
    session.run("ROLLBACK")
    return done


def _plan_all(session: Session, texts: Sequence[str], large: AbstractSet[Relation]) -> list[Answer]:
    described: dict[str, Description] = {}
    works: dict[str, Work] = {}
    sqlstates = {text: _NOT_PLANNED for text in texts if not is_planned(text)}
    for text, answer in _each(session, [text for text in texts if text not in sqlstates], session.describe):
        if isinstance(answer, str):
            sqlstates[text] = answer
        else:
            described[text] = answer
    explain = partial(_explain, session)
    for text, work in _each(session, list(described), explain):
        if isinstance(work, str):
            sqlstates[text] = work
        else:
            works[text] = work
    slow = [
        text for text, work in works.items() if any(work.reads[each].how < FOUND for each in large & work.reads.keys())
    ]
    session.run("SET LOCAL enable_seqscan = off;SAVEPOINT one")
    forced = dict(_each(session, slow, explain))
    names = _type_names(session, described.values())
    denied = {name for (name,) in session.run(_DENIED)[0].rows}
    return [
        Answer(sqlstates[text])
        if text in sqlstates
        else Answer(
            "",
            tuple(names[oid] for oid in described[text].parameters),
            tuple((name, names[oid]) for name, oid in described[text].results),
            works[text],
            None if isinstance(again := forced.get(text), str) else again,
            frozenset(name for insert in works[text].inserts for name in insert.sequences & denied),
        )
        for text in texts
    ]


def _each(
    session: Session, texts: Sequence[str], ask: Callable[[Sequence[str]], tuple[Sequence[T], ServerError | None]]
) -> Iterator[tuple[str, T | str]]:
    """What `ask` says of each text, or the SQLSTATE: it is asked of many at once, and stops at the first that fails."""
    left = list(texts)
    while left:
        some = left[:_AT_ONCE]
        answers, error = ask(some)
        yield from zip(some, answers, strict=False)
        left = left[len(answers) :]
        if error is not None:
            yield left.pop(0), error.sqlstate
            session.run("ROLLBACK TO one")


def _explain(session: Session, texts: Sequence[str]) -> tuple[list[Work], ServerError | None]:
    failure = None
    try:
        # a text may end with a comment, which ends with its line
        results: Sequence[Result] = session.run("\n;".join(f"{_EXPLAIN} {text}" for text in texts))
    except ServerError as error:
        results, failure = error.results, error
    return [read_plan(json.loads("\n".join(line or "" for (line,) in each.rows))) for each in results], failure


def _type_names(session: Session, described: Iterable[Description]) -> dict[int, str]:
    oids = {oid for each in described for oid in (*each.parameters, *(oid for _, oid in each.results))}
    listed = ", ".join(map(str, sorted(oids)))
    sql = f"SELECT oid, pg_catalog.format_type(oid, NULL) FROM pg_catalog.pg_type WHERE oid = ANY ('{{{listed}}}')"
    return {int(oid or 0): name or "" for oid, name in session.run(sql)[0].rows}
