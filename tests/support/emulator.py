"""The emulator as a process, for tests that talk to Neon's API: one for the session, or one of a test's own."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pipeline.errors import ConfigurationError
from pipeline.postgres.binaries import embedded_major, install_complete
from tests.support.run_folders import make_folder, remove_left
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROOT = Path(__file__).parents[2]
_PREFIX = "neon-emulator"
_UNFINISHED = {"scheduling", "running"}
Json = dict[str, Any]

# Both addresses are of http. A client would read the machine's certificates all the same, which takes as long as a test.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Emulator:
    """An emulator in a data folder, and ways to talk to it."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.data = data
        self.working_folder = _ROOT
        self.environment: dict[str, str] = {}
        self.api = httpx.Client(verify=_NO_TLS)
        self.admin = httpx.Client(verify=_NO_TLS)
        self._flags = flags
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Run it, and read what it prints for a shell. Its other output goes to `errors` in the data folder."""
        # It is started so often that what its modules are compiled to is kept, whatever the shell says.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with (self.data / "errors").open("ab") as errors:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.working_folder,
                env=environment | {"PYTHONPATH": str(_ROOT)},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            self.environment = self._told(self._process)
        except BaseException:
            self.kill()  # nobody else knows of it: it would outlive the run
            raise
        key = {"Authorization": f"Bearer {self.environment['NEON_API_KEY']}"}
        self.api = httpx.Client(
            base_url=self.environment["NEON_API_URL"], headers=key, trust_env=False, timeout=60, verify=_NO_TLS
        )
        token = {"Authorization": f"Bearer {(self.data / 'admin-token').read_text()}"}
        url = self.environment["HTTPS_PROXY"] + "/emulator"
        self.admin = httpx.Client(base_url=url, headers=token, trust_env=False, timeout=60, verify=_NO_TLS)

    def _told(self, process: subprocess.Popen[str]) -> dict[str, str]:
        """The variables that it prints when it serves. AssertionError when it ends instead."""
        assert process.stdout is not None
        told: dict[str, str] = {}
        while "NEON_EMULATOR_DATA" not in told:  # the last of them
            line = process.stdout.readline()
            if not line:
                process.wait(60)
                raise AssertionError((self.data / "errors").read_text())
            first, *rest = shlex.split(line)
            if first == "export":
                name, _, value = rest[0].partition("=")
                told[name] = value
        return told

    def command(self) -> list[str]:
        """What is run, in `working_folder`."""
        return [sys.executable, "-m", "emulator", "serve", "--data", str(self.data), *self._flags]

    def stop(self) -> None:
        """End it in good order, servers included."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as it stands; its servers live on."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.api.close()
        self.admin.close()
        process, self._process = self._process, None
        assert process.stdout is not None
        try:
            process.send_signal(number)
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()  # else the collector finds it open, in the middle of some other test

    def remove(self) -> None:
        """Stop it and delete its data; one that a killed run left is found again, whether it lives or only its servers do."""
        if self._process is None:
            command = [sys.executable, "-m", "emulator", "down", "--data", str(self.data)]
            subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
        self.stop()
        shutil.rmtree(self.data)

    def discard(self) -> None:
        """Stop it if it runs, and delete its data. After a kill, `remove` it: its servers may live."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def ok(self, method: str, path: str, **options: Any) -> Json:
        """Call a route that must succeed; the operations of its answer are waited for."""
        answer = self.answer(method, path, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        content: Json = answer.json()
        for operation in content.get("operations", []) if method != "GET" else []:
            self.wait(operation)
        return content

    def answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer of a route, asked again while the project is at work by itself, as when time has passed: that is 423."""
        found: list[httpx.Response] = []

        def answered() -> bool:
            found.append(self.api.request(method, path, **options))
            return found[-1].status_code != 423

        until(answered, seconds=60)
        return found[-1]

    def wait(self, operation: Json) -> Json:
        """Wait for an operation to end, however it ends."""
        path = f"/projects/{operation['project_id']}/operations/{operation['id']}"
        found: Json = {}

        def ended() -> bool:
            found.update(self.api.get(path).json()["operation"])
            return found["status"] not in _UNFINISHED

        until(ended, seconds=60)
        return found

    def create_project(self, **settings: Any) -> Json:
        """Make a project whose default branch has a role app_owner and a database app, and wait for it."""
        branch = {"name": "main", "role_name": "app_owner", "database_name": "app"}
        return self.ok("POST", "/projects", json={"project": {"name": "app", "branch": branch} | settings})

    def create_branch(self, project: Json, **branch: Any) -> Json:
        """Make a branch of the default branch with a compute, and wait for it."""
        body = {"branch": branch, "endpoints": [{"type": "read_write"}]}
        return self.ok("POST", f"/projects/{project['project']['id']}/branches", json=body)

    def delete_project(self, project_id: str) -> None:
        """Delete a project if it is there, whatever protects it."""
        self.admin.delete("/faults")
        branches = self.api.get(f"/projects/{project_id}/branches").json().get("branches", [])
        for branch in branches:
            if branch["protected"]:
                path = f"/projects/{project_id}/branches/{branch['id']}"
                self.ok("PATCH", path, json={"branch": {"protected": False}})
        self.api.delete(f"/projects/{project_id}")

    def delete_branch(self, project_id: str, branch_id: str) -> None:
        """Delete a branch with its children, whatever protects them."""
        branches = self.api.get(f"/projects/{project_id}/branches").json()["branches"]
        for branch in branches:
            if branch.get("parent_id") == branch_id:
                self.delete_branch(project_id, branch["id"])
        path = f"/projects/{project_id}/branches/{branch_id}"
        if any(branch["protected"] for branch in branches if branch["id"] == branch_id):
            self.ok("PATCH", path, json={"branch": {"protected": False}})
        self.ok("DELETE", path)

    def fault(self, **fault: Any) -> None:
        """Switch a fault on (see emulator/faults.py)."""
        assert self.admin.post("/faults", json=fault).is_success

    def advance(self, seconds: float) -> None:
        """Let time pass for the emulator."""
        assert self.admin.post("/clock", json={"advance_seconds": seconds}).is_success


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The session's emulator; a test makes projects of its own in it."""
    remove_left(_PREFIX, lambda folder: Emulator(folder).remove())
    with suppress(ConfigurationError):  # without the network: tests that need an extension are skipped, and say so
        install_complete(embedded_major())
    running = Emulator(make_folder(_PREFIX))
    running.start()
    yield running
    running.remove()


@pytest.fixture
def project(emulator: Emulator) -> Iterator[Json]:
    """A project of the test's own: the answer to its creation."""
    made = emulator.create_project()
    yield made
    emulator.delete_project(made["project"]["id"])


@pytest.fixture(scope="session")
def new_emulator(emulator: Emulator) -> Callable[..., Emulator]:
    """Start an emulator with flags, which begins with the session's template. Whoever asks for one removes it."""

    def start(*flags: str) -> Emulator:
        if not (emulator.data / "template").exists():
            emulator.create_project()
        data = make_folder(_PREFIX)
        shared = [emulator.data / name for name in ("template", "superuser-password", "ca.pem", "ca.key")]
        subprocess.run(["cp", "-a", *shared, data], check=True)
        running = Emulator(data, *flags)
        running.start()
        return running

    return start


@pytest.fixture
def another_emulator(new_emulator: Callable[..., Emulator]) -> Iterator[Callable[..., Emulator]]:
    """Start an emulator of the test's own, with flags; it begins with the session's template."""
    made: list[Emulator] = []

    def start(*flags: str) -> Emulator:
        made.append(new_emulator(*flags))
        return made[-1]

    yield start
    for running in made:
        running.remove()
