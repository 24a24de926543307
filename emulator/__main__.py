"""The command line: serve, and switch faults on in an emulator that runs."""

from __future__ import annotations

import argparse
import asyncio
import atexit
import gc
import json
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator import background
from emulator.administration import Rejected, Unreachable, administer
from emulator.environment import as_shell, variables
from emulator.faults import MOMENTS
from emulator.log_lines import OneLine
from emulator.settings import PLANS, Settings
from servers import write_private

if TYPE_CHECKING:
    from emulator.service import Access

_DEFAULTS: dict[str, Any] = {
    "port": 0,
    "plan": "launch",
    "operation_seconds": 0.0,
    "refusal_status": 422,
    "require_org": False,
    "names": False,
    "restored_id": "documented",
}
_LONGEST_OPERATION = 3600
_DATA = Path(os.environ.get("NEON_EMULATOR_DATA") or ".local/emulator")


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(["serve", *arguments] if not arguments or arguments[0].startswith("--") else arguments)
    code: int = options.run(options)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulator", description="Neon's control plane on local PostgreSQL")
    verbs = parser.add_subparsers(required=True)
    serve = verbs.add_parser("serve", help="run it, in the foreground (the default)")
    serve.set_defaults(run=_serve)
    _add_data(serve)
    _add_settings(serve)
    up = verbs.add_parser("up", help="run it in the background; returns when it serves")
    up.set_defaults(run=_up)
    _add_data(up)
    _add_settings(up)
    up.add_argument(
        "--env-file", type=Path, help="where to write what a shell needs (default: beside the folder, DATA.env)"
    )
    down = verbs.add_parser("down", help="end the one that runs in the folder")
    down.set_defaults(run=_down)
    _add_data(down)
    fault = verbs.add_parser("fault", help="let the next calls or operations go wrong")
    fault.set_defaults(run=_fault)
    _add_data(fault)
    what = fault.add_mutually_exclusive_group(required=True)
    what.add_argument("--route", help="METHOD /path below /api/v2, * for any segment: 'DELETE /projects/*/branches/*'")
    what.add_argument("--operation", help="an action such as create_branch, or *")
    what.add_argument("--moment", choices=MOMENTS, help="of the next moments that are asked for")
    what.add_argument("--clear", action="store_true", help="switch everything off")
    what.add_argument("--list", action="store_true", help="show what is switched on")
    fault.add_argument("--times", type=int, default=1, help="how many (default: 1)")
    fault.add_argument("--status", type=int, help="the answer: 423, 429, 500, 503, 524, 422, 409, …")
    fault.add_argument("--retry-after", type=int, help="seconds, as a header")
    fault.add_argument("--code", help="the error's code, such as SNAPSHOTS_LIMIT_EXCEEDED")
    fault.add_argument("--message", help="the error's text; for operations: they fail with it")
    fault.add_argument("--after-effect", action="store_true", help="carry the call out first")
    fault.add_argument("--hang", action="store_true", help="never answer")
    fault.add_argument("--lost", action="store_true", help="carry the call out, then close the connection")
    fault.add_argument("--seconds", type=float, help="for operations: how much longer they take")
    fault.add_argument("--halfway", action="store_true", help="for create_branch: half of it is done when it fails")
    fault.add_argument("--forever", action="store_true", help="for operations: they never end")
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, help="of the API and the proxy, on loopback (default: a free one)")
    parser.add_argument("--plan", choices=sorted(PLANS), help="whose limits hold (default: launch)")
    parser.add_argument("--operation-seconds", type=_seconds, help="the least time of an operation")
    parser.add_argument("--refusal-status", type=int, choices=(409, 422), help="of a forbidden delete")
    parser.add_argument("--require-org", action="store_true", help="refuse project calls without org_id")
    parser.add_argument(
        "--names", action="store_true", help="hosts are names below neon.localhost, as Neon's are names"
    )
    parser.add_argument(
        "--restored-id",
        choices=("documented", "kept", "new"),
        help="of what is restored (default: kept by a branch's restore, new with a snapshot's)",
    )
    parser.set_defaults(**_DEFAULTS)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 16:
        raise argparse.ArgumentTypeError("a port is between 0 and 65535")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= _LONGEST_OPERATION:
        raise argparse.ArgumentTypeError(f"between 0 and {_LONGEST_OPERATION}")
    return number


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=_DATA, help="its folder (default: $NEON_EMULATOR_DATA or %(default)s)"
    )


def _serve(options: argparse.Namespace) -> int:
    # Here, not above: switching a fault on must not wait for a web server's modules. The collector would look through them
    # again and again, which is a third of the start, and find nothing.
    gc.disable()
    try:
        from emulator.computes import NoPrograms
        from emulator.service import FolderInUse, run
        from servers.account import NoAccount
    except ModuleNotFoundError as missing:
        sys.stderr.write(
            f"emulator: {missing.name} is not installed for {sys.executable}. Run ./inv emulator --up, which installs"
            " what the emulator needs and starts it; or install locks/emulator.lock into this Python (docs/emulator.md)\n"
        )
        return 2
    gc.freeze()
    gc.enable()
    try:
        settings = Settings(
            data=options.data,
            port=options.port,
            plan=PLANS[options.plan],
            operation_seconds=options.operation_seconds,
            refusal_status=options.refusal_status,
            require_org=options.require_org,
            names=options.names,
            restored_id=options.restored_id,
        )
        _log_to(settings.data)
        asyncio.run(run(settings, lambda access: _announce(settings, access)))
    except (FolderInUse, NoAccount, NoPrograms, OSError) as fault:
        sys.stderr.write(f"emulator: {fault}\n")
        return 2
    return 0


def _log_to(data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(data / "emulator.log", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _announce(settings: Settings, access: Access) -> None:
    """Print what a shell needs, ready for eval, and leave it in the folder for `up`."""
    text = as_shell(variables(settings.data, access))
    (settings.data / "pulumi").mkdir(exist_ok=True)
    write_private(settings.data / "environment", text)
    sys.stdout.write(text)
    sys.stdout.flush()


def _up(options: argparse.Namespace) -> int:
    env_file = options.env_file or options.data.with_name(options.data.name + ".env")
    try:
        started = background.up(options.data, _flags(options), env_file)
    except (background.NotStarted, OSError) as fault:
        return _failed(fault)
    except background.TooLong as fault:
        return _failed(fault, 6)
    sys.stderr.write(
        f"the emulator {'serves' if started else 'serves already'}; for a shell: . {shlex.quote(_dotted(env_file))}\n"
    )
    return 0


def _down(options: argparse.Namespace) -> int:
    try:
        ended = background.down(options.data)
    except (background.NotStarted, Unreachable, Rejected, OSError) as fault:
        return _failed(fault)
    except background.TooLong as fault:
        return _failed(fault, 6)
    sys.stderr.write("stopped: the emulator\n" if ended else f"nothing runs in {options.data}\n")
    return 0


def _dotted(path: Path) -> str:
    """As `.` wants it: a name without a slash would be looked for on PATH."""
    return str(path) if "/" in str(path) else f"./{path}"


def _flags(options: argparse.Namespace) -> list[str]:
    """The options of `serve` that differ from what they are by themselves."""
    return [
        text
        for name, default in _DEFAULTS.items()
        if (value := getattr(options, name)) != default
        for text in (f"--{name.replace('_', '-')}", *([] if value is True else [str(value)]))
    ]


def _failed(fault: Exception, code: int = 2) -> int:
    sys.stderr.write(f"emulator: {fault}\n")
    return code


def _fault(options: argparse.Namespace) -> int:
    if options.list or options.clear:
        return _administer(options.data, "DELETE" if options.clear else "GET", None)
    names = ("route", "operation", "moment", "times", "status", "code", "retry_after", "message", "seconds")
    fault = {name: value for name in names if (value := getattr(options, name)) is not None}
    fault |= {name: True for name in ("after_effect", "halfway", "forever") if getattr(options, name)}
    if options.hang or options.lost:
        fault["kind"] = "hang" if options.hang else "lost"
    return _administer(options.data, "POST", fault)


def _administer(data: Path, method: str, fault: dict[str, Any] | None) -> int:
    try:
        answer = administer(data, method, "/faults", fault)
    except (Unreachable, Rejected) as failure:
        return _failed(failure)
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    atexit.register(gc.freeze)
    sys.exit(main(sys.argv[1:]))
