"""What `check` would ask about the files, answered in them: each ignore comment has the reason that the generation knows.

Only questions about the way are answered: a drop that schema.sql asks for, a constraint that another takes the place of.
A question about what schema.sql asks for, as an unlogged table, stays one for its author.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.generate.style import quoted
from pipeline.lint import lint
from pipeline.lint.source import read_sources
from pipeline.migrations.phrase import altered_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipeline.generate.new_migrations import NewStatement, Part
    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations import Folder
    from pipeline.migrations.sql_text import Statement

_GONE = "schema.sql has it no longer"
_AGAIN = "it is made again in this transaction"
_INSTEAD = "another takes its place in this transaction"
_RENAMED = "meant: docs/expand-contract.md has the way around"
_UNNAMED = "no query names it"
_REWRITTEN = "nobody reads or writes the table meanwhile: right for a small one, else docs/expand-contract.md"
_LOCKED = "PostgreSQL has no other way here: nobody writes meanwhile, which is right for a small table"
_PLAIN = "the careful way was not proven: nobody writes meanwhile, which is right for a small table"
_ASKED = "schema.sql asks for it"

_DROPS = frozenset({
    "ban-drop-column", "ban-drop-table", "ban-drop-schema", "ban-drop-sequence", "ban-drop-type", "ban-drop-domain",
    "ban-drop-extension", "ban-drop-view", "ban-drop-function", "ban-drop-constraint", "ban-drop-default",
    "ban-drop-generated-expression",
})  # fmt: skip
_REASONS = {
    "renaming-column": _RENAMED,
    "renaming-table": _RENAMED,
    "ban-set-schema": _RENAMED,
    "table-rewrite": _REWRITTEN,
    "adding-field-with-default": _REWRITTEN,
    "ban-alter-identity": _ASKED,
    "ban-alter-domain-with-add-constraint": _ASKED,
    "ban-create-domain-with-constraint": _ASKED,
    "require-concurrent-index-deletion": "what it is on goes or changes in this transaction",
    "require-concurrent-partition-detach": _LOCKED,
    "require-concurrent-index-creation": _LOCKED,
    "require-enum-value-ordering": "it comes last",
    "adding-foreign-key-constraint": _LOCKED,
    "constraint-missing-not-valid": _LOCKED,
    "disallowed-unique-constraint": _LOCKED,
    "adding-serial-primary-key-field": _LOCKED,
    "set-not-null": _LOCKED,
    "validate-in-same-file": _PLAIN,
    "attach-partition": _LOCKED,
    "several-tables": "each of them for a moment: nothing here reads or writes rows",
    "drop-primary-key": _GONE,
    "drop-cascade": _GONE,
}


def findings_about(folder: Folder, ids: Collection[str]) -> list[Finding]:
    """What `check` will ask about these migrations; without squawk's rules where squawk is not installed."""
    sources = [source for source in read_sources(folder.files, dict.fromkeys(ids, "one deploy")) if _id(source) in ids]
    try:
        return lint(sources)
    except ConfigurationError:
        return lint(sources, with_squawk=False)


def answered(parts: Sequence[Part], folder: Folder, ids: Sequence[str], *, careful: bool) -> list[Part]:
    """The parts, which stand in the folder under these ids, with an answer to each question that has one.

    `careful`: as far as PostgreSQL has a careful way, it was taken.
    """
    result = list(parts)
    sources = {source.path: source for source in read_sources(folder.files)}
    for finding in findings_about(folder, ids):
        source = sources.get(finding.path)
        if source is None or source.is_rollback or (number := _number(source, finding)) is None:
            continue
        at = ids.index(_id(source))
        part = result[at]
        asked = part.statements[number]
        reason = _reason(finding.rule, asked, part)
        if reason == _LOCKED and not careful:
            reason = _PLAIN
        ignore = f"{finding.rule} ({reason})"
        if reason and ignore not in asked.ignores:
            again = replace(asked, ignores=(*asked.ignores, ignore))
            result[at] = replace(part, statements=(*part.statements[:number], again, *part.statements[number + 1 :]))
    return result


def _id(source: Source) -> str:
    return source.path.rpartition("/")[2].removesuffix(".sql").removesuffix(".rollback")


def _number(source: Source, finding: Finding) -> int | None:
    """Which statement it is about."""
    lines = source.text.splitlines(keepends=True)
    offset = sum(map(len, lines[: finding.line - 1])) + finding.column - 1
    for number, statement in enumerate(source.statements):
        if statement.start <= offset < statement.start + len(statement.text):
            return number
    return None


def _reason(rule: str, asked: NewStatement, part: Part) -> str:
    statement = statements(asked.sql)[0]
    if known := dict(asked.answers).get(rule):
        return known
    if rule in _DROPS:
        return _why_dropped(rule, statement, part)
    if rule == "renaming-object":
        words = statement.words
        is_unnamed = words[:2] == ("ALTER", "INDEX") or "CONSTRAINT" in words[:6] or words[:2] == ("ALTER", "SEQUENCE")
        return _UNNAMED if is_unnamed else _RENAMED
    return _REASONS.get(rule, "")


def _why_dropped(rule: str, statement: Statement, part: Part) -> str:
    others = [statements(each.sql)[0] for each in part.statements if each.sql != statement.text]
    dropped = statement.tokens[-1].identifier
    if rule == "ban-drop-default":
        table, column = _column(statement)
        again = any(_column(other) == (table, column) and "DEFAULT" in other.words for other in others)
        return "the new one follows in this transaction" if again else _GONE
    if rule == "ban-drop-constraint":
        table, _ = altered_table(statement)
        if any("NOT NULL" in " ".join(other.words) and altered_table(other)[0] == table for other in others):
            return "NOT NULL says it now" if dropped.endswith("_not_null") else _GONE
        names = {token.identifier for other in others if "ADD" in other.words for token in other.tokens}
        return _INSTEAD if dropped in names else _GONE
    made = [other for other in others if other.words[0] == "CREATE"]
    name = next((token.identifier for token in statement.tokens[2:] if token.kind == "quoted"), dropped)
    return _AGAIN if any(name in {token.identifier for token in other.tokens[:8]} for other in made) else _GONE


def _column(statement: Statement) -> tuple[str, str]:
    table, clauses = altered_table(statement)
    if len(clauses) == 1 and clauses[0].take("ALTER", "COLUMN"):
        return quoted(table), clauses[0].name()
    return "", ""
