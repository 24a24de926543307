"""`./inv`: Invoke's parser over the verbs, with the options that they honour and no others.

Invoke's own options are about the shell commands of tasks. A verb runs none, so that `--dry` would change nothing at all, and
`deploy` would deploy: here they are unknown, and what is unknown ends with exit code 2 and the name that may have been meant.
"""

from __future__ import annotations

import atexit
import gc
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # A quarter of a verb that does little is the collector, which looks through what is imported again and again, and once
    # more at the end, and finds nothing.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)

import invoke.program
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument

from pipeline.console import reported
from pipeline.console.terminal import write_out
from pipeline.errors import UsageError
from verbs import VERBS, collect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from invoke.parser.context import ParserContext

_ROOT = Path(__file__).resolve().parents[1]
_UNKNOWN = re.compile(r"No idea what '(.*)' is!\Z", re.DOTALL)
_LEFT_OUT = re.compile(r"'([\w-]+)' did not receive required positional arguments: '([\w-]+)'")
_NO_VALUE = re.compile(r"Flag <Argument: ([\w-]+).*needed value", re.DOTALL)


class Program(invoke.program.Program):
    """The verbs as a program. Whatever it is given, it ends with an exit code of docs/reference.md and no traceback."""

    def core_args(self) -> list[Argument]:
        """The options beside the verbs' own."""
        return [
            Argument(names=("help", "h"), optional=True, help="Say what a verb and its flags do, and exit."),
            Argument(names=("list", "l"), kind=bool, default=False, help="List the verbs, and exit."),
            Argument(names=("version", "V"), kind=bool, default=False, help="Say which version this is, and exit."),
        ]

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002, ARG002 - Invoke's signature
        """Run what the command line asks for. Raises SystemExit with what went wrong."""
        with reported():
            try:
                self.create_config()
                self.normalize_argv(argv)
                self.parse_core_args()
                if self.args.version.value:
                    self.print_version()
                    return
                self.parse_collection()
                self.parse_tasks()
                if not self._has_answered():
                    self.config.merge()
                    self.execute()
            except ParseError as error:
                raise _explained(error) from None
            except Exit as end:
                raise SystemExit(end.code) from None

    def print_version(self) -> None:
        """The repository's version, its commit, and what it runs on."""
        import subprocess
        import tomllib

        from services import PROJECT

        project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        try:
            asked = ["git", "-C", str(_ROOT), "rev-parse", "--short=12", "HEAD"]
            commit = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=20).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            commit = ""
        python = ".".join(map(str, sys.version_info[:3]))
        write_out(f"{PROJECT} {project['version']}{commit and f', commit {commit}'} (Python {python})\n")

    def print_help(self) -> None:
        """How to call it, and the verbs."""
        print("Usage: ./inv VERB [FLAGS] [VERB [FLAGS] …]\n")
        self.print_columns(self.initial_context.help_tuples())
        self.list_tasks()

    def print_task_help(self, name: str) -> None:
        """One verb: what it does, and its flags."""
        flags = self.parser.contexts[name].help_tuples()
        positional = "".join(f" {each.name.upper()}" for each in self.parser.contexts[name].positional_args)
        print(f"Usage: ./inv {name}{positional}{' [FLAGS]' if flags else ''}\n\n  {VERBS[name].help}\n")
        if flags:
            self.print_columns(flags)

    def task_list_opener(self, extra: str = "") -> str:  # noqa: ARG002 - Invoke's signature
        """What stands above the list."""
        return "Verbs"

    def _has_answered(self) -> bool:
        """Whether a help or the list was asked for, or no verb at all; then it is printed."""
        about = self.args.help.value
        if isinstance(about, str):
            if about not in self.parser.contexts:
                raise ParseError(f"No idea what {about!r} is!")
            self.print_task_help(about)
        elif self.args.list.value:
            self.list_tasks()
        elif about or not self.tasks:
            self.print_help()
        else:
            return False
        return True


def _explained(error: ParseError) -> UsageError:
    """What Invoke's parser says, with what may have been meant."""
    context = error.context
    verb = context.name if context is not None and context.name else ""
    if (lacking := _NO_VALUE.match(str(error))) is not None:
        return UsageError(f"--{lacking[1]} of {verb} needs a value", remedy=_see_help(verb))
    if (left_out := _LEFT_OUT.match(str(error))) is not None:
        return UsageError(f"{left_out[1]} needs a {left_out[2]}", remedy=_see_help(left_out[1]))
    if (unknown := _UNKNOWN.match(str(error))) is None:
        return UsageError(f"{verb}: {error}" if verb else str(error), remedy=_see_help(verb))
    word = unknown[1]
    if word.startswith("-"):
        return _unknown_flag(word, verb, context)
    meant = VERBS[verb].bare if verb else ""
    if meant:
        return UsageError(
            f"{verb} takes no bare word, and {word} is no verb{_perhaps(word, VERBS)}",
            remedy=f"Say: ./inv {verb} --{meant} {word}",
        )
    return UsageError(f"there is no verb {word}{_perhaps(word, VERBS)}", remedy="`./inv --list` lists them.")


def _unknown_flag(word: str, verb: str, context: ParserContext | None) -> UsageError:
    flags = [] if context is None else [*context.flags, *context.inverse_flags]
    what = f"{verb} has no flag {word}" if verb else f"there is no option {word} before a verb"
    if word in {"--dry", "-R"}:
        dry = [name for name, each in _flags_of_verbs().items() if "--dry-run" in each]
        return UsageError(
            what, remedy=f"What a verb would do is told by --dry-run, of {', '.join(dry)}. Nothing was run."
        )
    if not verb and any(word in each for each in _flags_of_verbs().values()):
        return UsageError(what, remedy=f"A verb's flags stand behind it: ./inv VERB {word}")
    return UsageError(f"{what}{_perhaps(word, flags)}", remedy=_see_help(verb))


def _flags_of_verbs() -> dict[str, set[str]]:
    collection = collect(Path.cwd())
    contexts = sorted(collection.to_contexts(), key=lambda context: str(context.name))
    return {str(context.name): set(context.flags) for context in contexts}


def _perhaps(word: str, names: Iterable[str]) -> str:
    """The names that are most like a word, as the end of a sentence; nothing where none is."""
    close: Sequence[str] = get_close_matches(word, list(names), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _see_help(verb: str) -> str:
    return f"`./inv --help {verb}` lists its flags." if verb else "`./inv --help` says how it is called."


def main() -> None:
    """Run the verbs of the checkout in the working directory, where `./inv` goes first."""
    Program(namespace=collect(Path.cwd()), binary="./inv").run(["./inv", *sys.argv[1:]])


if __name__ == "__main__":
    main()
