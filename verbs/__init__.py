"""The verbs: a file for each one or for a small family, with its flags, the one call that it makes, and what it prints.

A file is all that a new verb needs here: tasks.py collects whatever is in this folder. What a verb works with is imported
when it runs: a deploy with nothing to do spends most of its time on imports.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal

from invoke.collection import Collection
from invoke.tasks import task

from pipeline.console import reported
from pipeline.errors import PipelineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from invoke.context import Context

    from pipeline.deploy.checkout import Checkout

Kind = Literal["read", "deploy", "local-only", "checkout"]

KINDS: dict[Kind, str] = {
    "read": "looks at any environment and changes nothing",
    "deploy": "writes to any environment, committed migrations only",
    "local-only": "refused on anything but a local database, with no way around",
    "checkout": "works on this checkout or this machine; no environment is involved",
}

ENV = "the environment: local, dev, prod, or another stack; left out, the bare DATABASE_URL"
READ_ENV = "the environment: local, dev, prod, or another stack; left out, DATABASE_URL if it is set, else local"
LOCAL_ENV = "the environment: local (the default), dev, prod, or another stack"
JSON = "print one JSON document on standard output"
UNCOMMITTED = "also migrations that are not those of the commit that is checked out; the history says so"
DRY_RUN = "say what would be run, refuse what would be refused, and change nothing"
SUMMARY = "also write it as Markdown to the end of this file, as for a comment or $GITHUB_STEP_SUMMARY"
NOTHING_DONE = "a dry run: nothing was changed"
WAIT = "seconds to wait for another deploy to end (600)"


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: what it may be pointed at, who uses it, its one line of help, and what runs it from a checkout's folder.

    `bare` is the flag that somebody means who writes a word behind it without one; empty where nobody would.
    """

    name: str
    kind: Kind
    who: Literal["developers", "CI", "platform engineers", "everybody"]
    help: str
    bare: str
    in_checkout: Callable[[Path], Any]


VERBS: dict[str, Verb] = {}


def verb(
    kind: Kind,
    who: Literal["developers", "CI", "platform engineers", "everybody"],
    *,
    flags: Mapping[str, str] | None = None,
    repeatable: Sequence[str] = (),
    bare: str = "",
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a function as a verb. Its docstring is its line of help, its parameters behind the checkout's root are its flags.

    `flags` says what each flag means; those named in `repeatable` may be given several times, and `bare` is the one that is
    proposed for a word without a flag. What the function raises is reported as `reported` does it, with a JSON document where
    the verb has `--json` and that was given.
    """

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        name = function.__name__.rstrip("_")

        def in_checkout(root: Path) -> Any:
            @wraps(function)
            def run(context: Context, **given: Any) -> None:
                with reported(as_json=bool(given.get("json"))):
                    _refuse_not_honoured(context)
                    function(root, **given)

            return task(run, name=name, help=dict(flags or {}), iterable=list(repeatable))

        VERBS[name] = Verb(name, kind, who, (function.__doc__ or "").strip(), bare, in_checkout)
        return function

    return declare


def _refuse_not_honoured(context: Context) -> None:
    """Refuse what Invoke was told about the shell commands of tasks, and would change what is done: a verb runs none.

    `./inv` has no such options. `invoke` has, and its settings come from INVOKE_RUN_DRY and invoke.yaml as well.
    """
    settings = {
        "--dry": context.config.run.dry,
        "--warn-only": context.config.run.warn,
        "--command-timeout": context.config.timeouts.command,
    }
    given = [option for option, value in settings.items() if value]
    if given:
        raise UsageError(
            f"{given[0]} of Invoke is about shell commands, and a verb runs none",
            remedy="Nothing was run. What `migrate`, `deploy`, `baseline`, `push` and `reset` would do is told by their own "
            "--dry-run.",
        )


@contextmanager
def on_environment(
    root: Path, env: str, verb: str, *, writes: bool = False, uncommitted: bool = False, or_local: bool = False
) -> Iterator[Checkout]:
    """Give the checkout for an environment ("": the bare DATABASE_URL), and show how the work on it goes.

    `or_local`: for the local one where that is not set. Where the verb `writes`, the person at the terminal is asked about a
    local database without a mark.
    """
    from pipeline.console.progress import progress
    from pipeline.console.terminal import type_name
    from pipeline.deploy.checkout import open_checkout

    ask = type_name if writes else None
    with progress() as shown:
        yield open_checkout(
            root, env or None, verb, observer=shown, ask=ask, uncommitted=uncommitted, or_local=or_local
        )


@contextmanager
def failure_in(summary: str, verb: str, env: str) -> Iterator[None]:
    """While inside, a failure is written to the summary as well, where one was asked for: it has nothing else to say then."""
    try:
        yield
    except PipelineError as error:
        if summary:
            from pipeline.console.markdown import append, failure_text

            append(summary, failure_text(verb, env, error))
        raise


@contextmanager
def on_local(root: Path, verb: str, *, writes: bool = True) -> Iterator[Checkout]:
    """Give it for a verb that works on the local database alone. Raises what `local_checkout` raises."""
    from pipeline.console.progress import progress
    from pipeline.console.terminal import type_name
    from pipeline.deploy.checkout import local_checkout
    from pipeline.deploy.claim import nobody

    with progress() as shown:
        yield local_checkout(root, verb, observer=shown, ask=type_name if writes else nobody)


def collect(root: Path) -> Collection:
    """Every verb of this folder, as Invoke's collection of tasks, at work in the checkout at `root`."""
    for module in iter_modules(__path__):
        if not module.ispkg and module.name != "__main__":
            import_module(f"{__name__}.{module.name}")
    collection = Collection()
    for each in VERBS.values():
        collection.add_task(each.in_checkout(root))
    return collection
