"""A copy of the Pulumi project with a state of its own, where the real CLI runs it against the emulator."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from dbclient.url import DatabaseURL
from pipeline.neon import NeonClient, RetryPolicy
from services import NAME, PROJECT
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = "terraform-provider-neon_v0.15.0"
PROGRAMS = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-resource-pulumi-python",
    "pulumi-resource-random",
    "pulumi-resource-terraform-provider",
    PROVIDER,
)
URLS = ("database_url", "server_database_url", "ai_service_database_url")

# Of each `pulumi up`, two thirds are the start and the end of five Pythons, and a third of that is the collector, which at
# the end looks through all that was imported for nothing. Two of the five are pip, with what it has said since the run began.
# What they do is the same without it.
_SITECUSTOMIZE = """\
import atexit, gc, json, os, sys
gc.set_threshold(200_000, 50, 1_000)
atexit.register(gc.freeze)
if sys.orig_argv[1:3] == ["-m", "pip"]:
    with open(os.path.join(os.path.dirname(__file__), "pip.json")) as file:
        said = json.load(file)
    answer = said.get(" ".join(sys.orig_argv[3:]))
    if answer and os.path.realpath(sys.prefix) == said["prefix"]:
        print(answer, end="", flush=True)
        os._exit(0)
"""
_OUTPUTS: dict[str, dict[str, Any]] = {}  # of each state
_ASKED_OF_PIP = ("--version", "list --format json")  # by the language host, at each run of a program


@cache
def _said_by_pip() -> str:
    """What pip answers in this environment to what it is asked, as JSON for _SITECUSTOMIZE."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    answers = {
        asked: subprocess.run([*command, *asked.split()], capture_output=True, text=True, check=True).stdout
        for asked in _ASKED_OF_PIP
    }
    return json.dumps(answers | {"prefix": str(Path(sys.prefix).resolve())})


def missing_programs() -> list[str]:
    """The programs of PROGRAMS that are not on PATH."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Failed(AssertionError):
    """Pulumi ended with an error; the message is all that it said."""


class Workspace:
    """One Pulumi project with its stacks; a Neon project of a name of its own."""

    def __init__(
        self, folder: Path, emulator: Emulator, backend: Path, *, project_name: str = "", stacks: bool = True
    ) -> None:
        self.folder = folder
        self.emulator = emulator
        self.backend = backend
        self.project_name = project_name or f"{NAME}-{uuid.uuid4().hex[:8]}"
        self.neon = NeonClient(
            emulator.environment["NEON_API_KEY"],
            base_url=emulator.environment["NEON_API_URL"],
            policy=RetryPolicy(operation_poll=0.02),
        )
        # `stacks`: the stacks' files are this checkout's; else they are in the folder already
        for name in ("Pulumi.yaml", *(("Pulumi.prod.yaml", "Pulumi.dev.yaml") if stacks else ())):
            shutil.copy(PRODUCT / name, folder)
        shutil.copytree(ROOT / "infra", folder / "infra", ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        for link in (folder / ".venv", folder / "infra" / ".venv"):
            link.symlink_to(sys.prefix)
        (folder / "python").mkdir()
        (folder / "python" / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        (folder / "python" / "pip.json").write_text(_said_by_pip())
        self._plugins = self._cache_of_providers()
        self._secrets: set[str] = {emulator.environment["NEON_API_KEY"]}

    def environment(self) -> dict[str, str]:
        """What a hermetic run of Pulumi needs, and the emulator in place of Neon."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            **self.emulator.environment,
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": self.backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "of a throw-away state",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DYNAMIC_TF_PLUGIN_CACHE_DIR": str(self._plugins),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # the language host lists packages with pip, which would ask PyPI
            "PRODUCT_FILE": os.environ["PRODUCT_FILE"],
            "PYTHONPATH": str(self.folder / "python"),
            "GOGC": "800",  # the programs live for seconds
        }

    def pulumi(self, *arguments: str, **variables: str) -> str:
        """Run the CLI; returns all that it said. Raises Failed. No secret that is known by then may be in it.

        `variables` are set on top of `environment`.
        """
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        said = done.stdout + done.stderr
        if "--show-secrets" not in arguments:
            assert not [secret for secret in self._secrets if secret in said], "a secret was printed"
        if done.returncode:
            raise Failed(said)
        return done.stdout if "--json" in arguments else said

    def init(self, *stacks: str) -> None:
        """Make stacks with an empty state."""
        for stack in stacks:
            self.pulumi("stack", "init", stack)
            if stack == "prod":
                self.set(stack, projectName=self.project_name)

    def up(self, stack: str, *flags: str) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", stack, *flags)

    def destroy(self, stack: str) -> str:
        return self.pulumi("destroy", "--yes", "--skip-preview", "--stack", stack)

    def failed_up(self, stack: str, *flags: str) -> str:
        """An `up` that must fail; returns what it said, on one line."""
        try:
            self.up(stack, *flags)
        except Failed as failure:
            return " ".join(str(failure).split())
        raise AssertionError("pulumi up was expected to fail")

    def set(self, stack: str, **settings: str) -> None:
        """Write settings, as `pulumi config set` does (which takes half a second each)."""
        file = self.folder / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text()) if file.exists() else {}
        content.setdefault("config", {}).update({f"{PROJECT}:{name}": value for name, value in settings.items()})
        file.write_text(yaml.safe_dump(content))

    def unset(self, stack: str, *names: str) -> None:
        file = self.folder / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text())
        for name in names:
            content["config"].pop(f"{PROJECT}:{name}", None)
        file.write_text(yaml.safe_dump(content))

    def outputs(self, stack: str) -> dict[str, Any]:
        """What the stack publishes, secrets too. Pulumi is asked once for each state, which copies share."""
        state = "".join(path.read_text() for path in sorted(self.backend.rglob(f"stacks/*/{stack}.json")))
        outputs = _OUTPUTS.get(state) if state else None
        if outputs is None:
            outputs = json.loads(self.pulumi("stack", "output", "--json", "--show-secrets", "--stack", stack))
            _OUTPUTS[state] = outputs
        self._secrets.update(DatabaseURL.parse(outputs[name]).password or "-" for name in URLS if name in outputs)
        return dict(outputs)

    def forget(self, stack: str) -> None:
        """Delete the branch that is named for a stack, with its children, as somebody would in Neon's console."""
        for project in self.projects():
            for branch in [each for each in self.neon.branches(project) if each.name == stack]:
                self.emulator.delete_branch(project, branch.id)

    def url(self, stack: str, name: str = "database_url") -> DatabaseURL:
        return DatabaseURL.parse(self.outputs(stack)[name])

    def resources(self, stack: str) -> dict[str, dict[str, Any]]:
        """The stack's state by the type of resource, as the file has it."""
        [file] = self.backend.rglob(f"stacks/*/{stack}.json")
        return {
            item["type"]: item for item in json.loads(file.read_text())["checkpoint"]["latest"].get("resources") or []
        }

    def secrets_in_clear(self, stack: str) -> list[str]:
        """The outputs whose password, or the API key, can be read in any file of the state backend."""
        texts = [path.read_text(errors="replace") for path in self.backend.rglob("*") if path.is_file()]
        assert texts
        passwords = {name: self.url(stack, name).password for name in URLS}
        known = passwords | {"NEON_API_KEY": self.emulator.environment["NEON_API_KEY"]}
        return [name for name, secret in known.items() if any(str(secret) in text for text in texts)]

    def summary(self, stack: str, *flags: str) -> dict[str, int]:
        """How many resources a preview would do what to."""
        told = json.loads(self.pulumi("preview", "--json", "--stack", stack, *flags))
        summary: dict[str, int] = told["changeSummary"]
        return summary

    def branches(self, project_id: str) -> list[str]:
        return sorted(branch.name for branch in self.neon.branches(project_id))

    def projects(self) -> list[str]:
        """The ids of the Neon projects of this workspace's name."""
        return [project.id for project in self.neon.projects(search=self.project_name)]

    def inv(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb of the repository on this project's stacks, as CI does: no DATABASE_URL unless it is given."""
        for name in ("migrations", "schema.sql"):
            if not (self.folder / name).exists():
                (self.folder / name).symlink_to(PRODUCT / name)
        # The key and the address are enough for our client; the proxy is for the Terraform provider.
        left_out = {"HTTPS_PROXY", "SSL_CERT_FILE"}
        environment = {name: value for name, value in self.environment().items() if name not in left_out}
        done = subprocess.run(
            # this checkout's migrations may be at work, and are linked to
            [sys.executable, "-m", "verbs", *arguments, *(["--uncommitted"] if arguments[0] == "deploy" else [])],
            cwd=self.folder,
            env={**environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{environment['PYTHONPATH']}", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert not [secret for secret in self._secrets if secret in done.stdout + done.stderr], "a secret was printed"
        return done

    def close(self, projects: Iterable[str] = ()) -> None:
        """Delete what the workspace made on the emulator."""
        for project in {*self.projects(), *projects}:
            self.emulator.delete_project(project)
        self.neon.close()

    def _cache_of_providers(self) -> Path:
        program = shutil.which(PROVIDER)
        assert program is not None
        machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
        system = f"{platform.system().lower()}_{machine}"
        place = self.folder / "plugins" / "registry.opentofu.org" / "kislerdm" / "neon" / "0.15.0" / system
        place.mkdir(parents=True)
        (place / PROVIDER).symlink_to(program)
        return self.folder / "plugins"
