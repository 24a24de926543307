"""The Pulumi program run in this process against a monitor that only takes notes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pulumi
from google.protobuf import empty_pb2, json_format  # type: ignore[import-untyped]
from pulumi.runtime import _callbacks, mocks, set_all_config
from pulumi.runtime.proto.resource_pb2_grpc import ResourceMonitorStub
from pulumi.runtime.stack import run_pulumi_func

import services
from infra import __main__ as program
from infra.recall import Recalled

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

PROJECT, BRANCH, ENDPOINT = "neon:index/project:Project", "neon:index/branch:Branch", "neon:index/endpoint:Endpoint"
COMPUTE = "pulumi-python:dynamic/neon:Compute"
OWNER = "pulumi-python:dynamic/neon:OwnerPassword"
REMOVAL = "pulumi-python:dynamic/neon:BranchRemoval"
GUARD = "pulumi-python:dynamic/neon:BranchGuard"
EXPIRY = "pulumi-python:dynamic/neon:BranchExpiry"
PASSWORD = "random:index/randomPassword:RandomPassword"
REFERENCE = "pulumi:pulumi:StackReference"

ROOT = Path(__file__).resolve().parents[2]

# What the cloud would say, by type. The passwords have what a URL must encode.
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    PROJECT: ("quiet-sea-1", {"defaultBranchId": "br-main-1", "defaultEndpointId": "ep-main-1"}),
    BRANCH: ("br-dev-1", {}),
    ENDPOINT: ("ep-dev-1", {"host": "ep-dev-1.eu.aws.neon.tech"}),
    COMPUTE: (
        "ep-1",
        {
            "host": "ep-1.eu.aws.neon.tech",
            "pooled_host": "ep-1-pooler.eu.aws.neon.tech",
            "region": "aws-eu-central-1",
            "pg_version": 16,
        },
    ),
    OWNER: (f"br/{services.OWNER}", {"password": "ow/n@er%"}),
    PASSWORD: ("none", {"result": "run time"}),
    REMOVAL: ("quiet-sea-1/dev", {}),
    GUARD: ("br-dev-1", {}),
    EXPIRY: ("br-dev-1", {}),
    REFERENCE: (f"organization/{services.PROJECT}/prod", {}),
}
PARENT = {"project_id": "quiet-sea-1", "branch_id": "br-main-1"}


@dataclass
class Registered:
    """One resource that the program registered: its inputs and its options."""

    name: str
    inputs: dict[str, Any]
    request: Any

    def hooks(self, when: str) -> int:
        """How many hooks are bound to a moment such as before_create."""
        return len(getattr(self.request.hooks, when))


@dataclass
class Run:
    """What one run of the program registered and exported."""

    resources: list[tuple[str, Registered]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    noting: list[asyncio.Future[None]] = field(default_factory=list)

    def one(self, type_: str) -> Registered:
        [found] = self.all(type_)
        return found

    def all(self, type_: str) -> list[Registered]:
        return [item for kind, item in self.resources if kind == type_]


class _Answers(mocks.Mocks):
    def __init__(self, run: Run, answers: Mapping[str, tuple[str, dict[str, Any]]]) -> None:
        self.run, self.answers = run, answers

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        id_, outputs = self.answers.get(args.typ, ("", {}))
        return id_, {**args.inputs, **outputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        self.run.calls.append(args.token)
        return {}, None


class _Monitor(mocks.MockMonitor, ResourceMonitorStub):  # the SDK binds hooks on a stub only
    def __init__(self, run: Run, answers: Mapping[str, tuple[str, dict[str, Any]]]) -> None:
        mocks.MockMonitor.__init__(self, _Answers(run, answers))
        self.run = run

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        inputs = json_format.MessageToDict(request.object)
        self.run.resources.append((request.type, Registered(request.name, inputs, request)))
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        self.run.resources.append((request.type, Registered(request.name, {}, request)))
        return super().ReadResource(request)  # type: ignore[no-untyped-call]

    def RegisterResourceHook(self, request: Any) -> Any:  # noqa: ARG002, N802 - the engine's name
        return empty_pb2.Empty()


def run(
    stack: str,
    settings: Mapping[str, str],
    *,
    parent: Mapping[str, str] = PARENT,
    answers: Mapping[str, tuple[str, dict[str, Any]]] = ANSWERS,
) -> Run:
    """Run the program for a stack with these settings. Raises what the program raises."""
    noted = Run()
    said = {**ANSWERS, **answers, REFERENCE: (ANSWERS[REFERENCE][0], {"outputs": dict(parent)})}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = ThreadPoolExecutor(max_workers=1)
    loop.set_default_executor(worker)
    try:
        monitor = _Monitor(noted, said)
        mocks.set_mocks(
            monitor.mocks, project=services.PROJECT, stack=stack, preview=False, monitor=monitor, organization="org"
        )
        set_all_config({f"{services.PROJECT}:{name}": value for name, value in settings.items()}, [])

        async def whole() -> None:
            await run_pulumi_func(lambda: _program(noted))
            for noting in noted.noting:  # what is exported may fail although nothing waits for it
                await noting

        loop.run_until_complete(whole())
    finally:
        worker.submit(_close_loop).result()  # the SDK opens one in each thread that answers, and forgets it
        worker.shutdown()
        loop.close()
        asyncio.set_event_loop(None)
    return noted


def failure(stack: str, settings: Mapping[str, str], **options: Any) -> str:
    """Run the program where it must fail; returns the error's text.

    In a process of its own: the SDK leaves the tasks of a failed run behind, and the next run would wait for them.
    """
    told = json.dumps([stack, dict(settings), options])
    code = f"from tests.infra import program; program.fail({told!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    return done.stdout


def fail(told: str) -> NoReturn:
    """Print the error of a run and exit with 1: the other process of `failure`."""
    stack, settings, options = json.loads(told)
    _stop_no_server_that_starts()
    try:
        run(stack, settings, **options)
    except pulumi.RunError as error:
        print(error, flush=True)
        os._exit(1)
    os._exit(0)


def _stop_no_server_that_starts() -> None:
    """Let the SDK stop its server of hooks only when that has started.

    A program that fails at once is stopped while it starts, and then gRPC takes the process down with it (SIGSEGV): in one of
    seven runs on a busy machine, with grpcio 1.85.1 and 1.85.3 under pulumi 3.259.0.
    """
    servicer = _callbacks._CallbackServicer
    serve: Callable[[Any], Coroutine[Any, Any, None]] = servicer.serve
    starting: list[asyncio.Task[None]] = []

    async def started(self: Any) -> None:
        starting.append(asyncio.ensure_future(serve(self)))
        await asyncio.shield(starting[-1])

    async def shutdown() -> None:
        await asyncio.gather(*starting, return_exceptions=True)
        for each in servicer._servicers:
            await each._server.stop(grace=0)

    servicer.serve, servicer.shutdown = started, shutdown  # type: ignore[method-assign]


def _close_loop() -> None:
    with suppress(RuntimeError):
        asyncio.get_event_loop_policy().get_event_loop().close()


def _program(noted: Run) -> None:
    exported: dict[str, pulumi.Output[Any]] = {}
    original = pulumi.export
    pulumi.export = exported.__setitem__  # type: ignore[assignment]
    try:
        program.main(remember=lambda _stack: Recalled())
    finally:
        pulumi.export = original

    async def note() -> None:
        for name, output in exported.items():
            noted.outputs[name] = await output.future()
            if await output.is_secret():
                noted.secrets.add(name)

    noted.noting.append(asyncio.ensure_future(note()))
