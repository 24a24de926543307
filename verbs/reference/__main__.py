"""docs/reference.md and docs/schemas, made from the code: `python -m verbs.reference` writes them.

The verbs and their flags come from Invoke's own view of tasks.py, so that nothing can be listed that is not there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.loader import FilesystemLoader

from pipeline.console.document_types import DOCUMENTS, FILES
from pipeline.errors import Interrupted, PipelineError
from verbs import KINDS, VERBS
from verbs.reference import described, json_schema
from verbs.reference.environment_variables import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from invoke.parser.context import ParserContext

    from verbs import Verb

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference.md"
SCHEMAS = ROOT / "docs" / "schemas"

_HEAD = """\
<!-- Made by `python -m verbs.reference` from the code. Do not edit: a test compares. -->

# Reference

What every verb does, what it may be pointed at, and what it gives back. `./inv VERB` runs one; `invoke VERB` does the same
from an activated environment. `./inv --list` and `./inv --help VERB` say the same on a terminal.
"""

_ZERO = ("0", "", "Done, or nothing to do.")


def main() -> None:
    """Write the page and the schemas."""
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")


def page() -> str:
    """The whole page as Markdown."""
    contexts = verb_contexts()
    verbs = sorted(VERBS.values(), key=lambda verb: (list(KINDS).index(verb.kind), verb.name))
    parts = [_HEAD, _kinds(), *(_verb(verb, contexts[verb.name]) for verb in verbs)]
    return "\n".join([*parts, _exit_codes(), _variables(), _documents()])


def schemas() -> dict[str, str]:
    """The JSON Schema of each document, by the name of its file."""
    return {
        f"{name}.schema.json": json.dumps(json_schema(document), indent=2) + "\n"
        for name, document in (DOCUMENTS | FILES).items()
    }


def verb_contexts() -> dict[str, ParserContext]:
    """The verbs of tasks.py by name, with their flags as Invoke parses them."""
    module, _ = FilesystemLoader(start=str(ROOT)).load("tasks")
    return {str(context.name): context for context in Collection.from_module(module).to_contexts()}


def _kinds() -> str:
    rows = ((f"*{kind}*", meaning) for kind, meaning in KINDS.items())
    return "## Verbs\n\n" + _table(("kind", "what it may do"), rows)


def _verb(verb: Verb, context: ParserContext) -> str:
    flags = [(f"`{flag}`", text or "") for flag, text in context.help_tuples()]
    lines = [f"### {verb.name}\n", f"{verb.help} *{verb.kind}*, for {verb.who}.\n"]
    if flags:
        lines.append(_table(("flag", "meaning"), flags))
    return "\n".join(lines)


def _exit_codes() -> str:
    errors = sorted(_tree(PipelineError), key=lambda error: (error is Interrupted, error.exit_code))
    rows = [_ZERO, *((_code(error), f"`{error.__name__}`", _first_line(error)) for error in errors)]
    return (
        "## Exit codes\n\n"
        "An error says on standard error what happened, where, and what to do next. `test` and `psql` end with the exit\n"
        "code of the program that they ran.\n\n" + _table(("code", "error", "meaning"), rows)
    )


def _code(error: type[PipelineError]) -> str:
    return "130, 143" if error is Interrupted else str(error.exit_code)


def _tree(error: type[PipelineError]) -> Iterator[type[PipelineError]]:
    """The class and those below it that pipeline/errors.py itself defines; others are details of theirs."""
    yield error
    for below in error.__subclasses__():
        if below.__module__ == error.__module__:
            yield from _tree(below)


def _first_line(error: type[PipelineError]) -> str:
    return "Unexpected." if error is PipelineError else (error.__doc__ or "").split("\n")[0]


def _variables() -> str:
    rows = ((f"`{each.name}`".replace(", ", "`, `"), each.read_by, each.meaning) for each in VARIABLES)
    return (
        "## Environment variables\n\n"
        "`.env` in the checkout is read too (`.env.example` has a copy to start from); the process's own variables win. "
        "A value in single quotes is taken as it stands; in others `${NAME}` is replaced (and `$NAME` is not, as it would be by "
        "a shell and Docker Compose: with single quotes all three agree).\n\n"
        + _table(("variable", "read by", "meaning"), rows)
    )


def _documents() -> str:
    head = (
        "## JSON documents\n\n"
        "`--json` prints one document, alone on standard output; progress stays on standard error. Fields are added, never\n"
        "renamed or removed. (Not promised for `bench`, which prints its measurements.)\n"
        "`docs/schemas` has each as a JSON Schema.\n"
    )
    titles = {name: "An error" if name == "error" else f"`{name} --json`" for name in DOCUMENTS}
    titles |= {name: f"A {name}, as a file" for name in FILES}
    return "\n".join([head, *(_document(titles[name], each) for name, each in (DOCUMENTS | FILES).items())])


def _document(title: str, document: type) -> str:
    rows = ((f"`{field}`", meaning) for field, meaning in described(document))
    return f"### {title}\n\n" + _table(("field", "meaning"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
