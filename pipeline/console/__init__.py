"""The end of every verb: a PipelineError becomes a few lines and its exit code, never a traceback."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from pipeline.console.terminal import on_github, prepare_streams, silence, write_error, write_out
from pipeline.errors import ConfigurationError, DatabaseFailed, Interrupted, PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Turn what a verb raises into output and an exit code, and with `as_json` into the one document of standard output."""
    prepare_streams()
    try:
        yield
        write_out("", flush=True)
    except PipelineError as error:
        _end(error, as_json=as_json)
    except BrokenPipeError:
        # the reader of our output has gone, as `head` does; what is left of it must not fail once more at the end
        silence(sys.stdout)
        raise SystemExit(0) from None
    except Exception as error:
        if type(error).__module__ == "services":  # which depends on nothing of ours, and fails while it is imported
            remedy = "The comments in product.toml say what it takes."
            _end(ConfigurationError(str(error), remedy=remedy), as_json=as_json)
        psycopg = sys.modules.get("psycopg")  # loaded or not: an error of its own can only come when it is
        if psycopg is None or not isinstance(error, psycopg.Error):
            raise
        _end(
            DatabaseFailed(str(error).strip(), remedy="`./inv status` tells what is applied. Then run it again."),
            as_json=as_json,
        )
    except KeyboardInterrupt:
        write_error("interrupted\n")
        raise SystemExit(130) from None


def exit_code(error: PipelineError) -> int:
    """The code of design: 0 to 6, or 128 + the signal's number."""
    return error.exit_status if isinstance(error, Interrupted) else error.exit_code


def _end(error: PipelineError, *, as_json: bool) -> NoReturn:
    write_error("error:", style="wrong")
    write_error(f" {error}\n")
    if on_github():
        from pipeline.console.github import annotated

        write_error(annotated(error), commands=True)
    if as_json:
        from pipeline.console.documents import print_error

        with suppress(BrokenPipeError, PipelineError):
            print_error(error, exit_code(error))
            write_out("", flush=True)
    raise SystemExit(exit_code(error))
