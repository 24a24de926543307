"""What a statement takes away that no rollback file brings back: the one list of the generator, which asks, and of a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.column_types import new_type, widens
from pipeline.lint.row_changes import row_changes
from pipeline.lint.source import read_sources
from pipeline.migrations.phrase import Phrase, altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from pipeline.lint.source import Step
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement

_DROPS = {
    "DROP TABLE": "table {} with its rows",
    "DROP MATERIALIZED VIEW": "materialized view {} with its contents",
    "DROP SCHEMA": "schema {} with what is in it",
    "DROP SEQUENCE": "sequence {} with its current number",
    "DROP EXTENSION": "extension {} with its types and functions",
}
_LOSES_NOTHING = ("DROP FOREIGN TABLE",)  # its rows are elsewhere
# A statement that may lose something has one of them, and most files have none.
_MARKS = frozenset({"DROP", "DETACH", "TYPE", "TRUNCATE", "UPDATE", "DELETE", "MERGE", "DO", "CALL", "SELECT"})


def loss_of(statement: Statement, type_of: Callable[[str, str], str | None], enums: Collection[str] = ()) -> str | None:
    """Say what a statement that changes the schema loses: "" where it is known to lose nothing, None where nothing is known.

    `type_of` gives the type of a table's column, "" for one that nobody knows, which then may lose values, and None where there
    is no such column. A change of one of the `enums` to text loses nothing.
    """
    phrase = Phrase(statement)
    if any(phrase.take(*words.split()) for words in _LOSES_NOTHING):
        return ""
    for words, what in _DROPS.items():
        if phrase.take(*words.split()):
            phrase.take("IF", "EXISTS")
            return what.format(quoted(phrase.name()))
    table, clauses = altered_table(statement)
    return next((loss for clause in clauses if (loss := _loss_of_clause(table, clause, type_of, enums))), None)


def losses(files: Sequence[MigrationFile], pending: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What each pending file of a folder loses on a database that has the others; a file that loses nothing is left out.

    Read off the text alone, also in DO blocks and the functions that a file calls. What files of the same deploy made has no
    rows that anybody would miss. What SQL is put together at run time nobody sees here.
    """
    suspects = [file for file in files if file.id in pending and _may_lose(file)]
    if not suspects:
        return {}
    sources = {source.path: source for source in read_sources(files, dict.fromkeys(pending, "pending"))}
    found = {
        file.id: tuple(dict.fromkeys(_lost(sources[file.path].running))) for file in suspects if file.path in sources
    }
    return {id_: lost for id_, lost in found.items() if lost}


def _may_lose(file: MigrationFile) -> bool:
    return any(not _MARKS.isdisjoint(statement.words) for statement in file.forward.statements)


def _lost(steps: Iterator[Step]) -> Iterator[str]:
    for step in steps:
        yield from _lost_by(step)


def _lost_by(step: Step) -> Iterator[str]:
    before, phrase = step.before, Phrase(step.statement)
    if phrase.take("TRUNCATE"):
        phrase.take("TABLE")
        phrase.take("ONLY")
        yield from (f"every row of {quoted(name)}" for name in phrase.names() if before.in_use(name))
        return
    for change in row_changes(Phrase(step.statement), before):
        if before.in_use(change.table):
            done = "values" if change.verb == "UPDATE" else "rows"
            yield f"{done} of {quoted(change.table)} by {change.verb}"
    if _is_about_new_table(step):
        return

    def type_of(table: str, column: str) -> str:
        known = before.relation(table).columns.get(column)
        return "" if known is None else known.type

    enums = [name for name, type_ in before.types.items() if type_.kind == "enum"]
    if loss := loss_of(step.statement, type_of, enums):
        yield loss


def _is_about_new_table(step: Step) -> bool:
    """Whether it drops or alters what the same deploy made."""
    phrase = Phrase(step.statement)
    if phrase.take("DROP", "TABLE") or phrase.take("DROP", "MATERIALIZED", "VIEW"):
        phrase.take("IF", "EXISTS")
        names = phrase.names()
        return bool(names) and not any(step.before.in_use(name) for name in names)
    table, _ = altered_table(step.statement)
    return bool(table) and not step.before.in_use(table)


def _loss_of_clause(
    table: str, clause: Phrase, type_of: Callable[[str, str], str | None], enums: Collection[str]
) -> str:
    if clause.take("DROP"):
        if clause.take_any("CONSTRAINT", "EXPRESSION", "IDENTITY"):
            return ""
        clause.take("COLUMN")
        clause.take("IF", "EXISTS")
        return f"column {quoted(table)}.{quoted(clause.name())} with its contents"
    if clause.take("DETACH", "PARTITION"):
        return f"the rows of partition {quoted(clause.name())} from {quoted(table)}"
    if clause.take("ALTER"):
        clause.take("COLUMN")
        column = clause.name()
        if clause.take_any("TYPE", "SET DATA TYPE"):
            return _loss_of_type(table, column, new_type(clause), type_of(table, column), enums)
    return ""


def _loss_of_type(table: str, column: str, new: str, old: str | None, enums: Collection[str]) -> str:
    if old is None or (old and (widens(old, new) or (new == "text" and _is_one_of(old, enums)))):
        return ""
    was = f" (it was {old})" if old else ""
    return f"values of {quoted(table)}.{quoted(column)} that {new} cannot hold{was}"


def _is_one_of(type_: str, enums: Collection[str]) -> bool:
    return any(quoted(name) == type_ or name == type_ for name in enums)
