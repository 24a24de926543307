"""The shell lines of docs/infrastructure.md, and Pulumi's of docs/emulator.md, run in their order in a fresh clone."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from services import read_product
from tests.engine.workspace import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.workspace import Workspace

PAGE = (ROOT / "docs" / "infrastructure.md").read_text()
# Lines of blocks that are no commands: the settings of another stack, which the reader of the page has, and a comment.
REAL = read_product(ROOT / "product.toml")
NO_COMMANDS = ("# ", "config:", f"{REAL.project}:")

# What the test's own set-up stands for: the packages are there, and the state is in a folder of its own.
LEFT_OUT = (
    ".venv/bin/pip install --only-binary :all: --require-hashes -r locks/infra.lock",
    "export PULUMI_BACKEND_URL=file://$HOME/pulumi-state    # the folder must exist",
    "export PULUMI_CONFIG_PASSPHRASE=…",
    "python3 -m venv infra/policies/.venv",
    "infra/policies/.venv/bin/pip install --only-binary :all: --require-hashes -r locks/policies.lock",
)
# Stands in for GitHub's program, which reads a secret's value from standard input.
GH = "#!/bin/sh\ncat > /dev/null\n"
NEONCTL = """\
#!/bin/sh
exec curl -sSf --noproxy '*' -X DELETE -H "Authorization: Bearer $NEON_API_KEY" "$NEON_API_URL/projects/$3"
"""


def lines(page: str) -> list[str]:
    """The commands of the page's blocks, in their order."""
    indented: list[str] = re.findall(r"^ {4,8}(\S.*)$", page, re.MULTILINE)
    return [line for line in indented if not line.startswith(NO_COMMANDS)]


class Reader:
    """Somebody who follows the page, and puts in what it leaves to be put in."""

    def __init__(self, workspace: Workspace, clone: Path, programs: Path) -> None:
        self.workspace = workspace
        self._clone = clone
        environment = workspace.environment()
        del environment["PRODUCT_FILE"]  # the clone's own
        self._environment = environment | {
            "PATH": f"{programs}{os.pathsep}{environment['PATH']}",
            "PULUMI_SKIP_CONFIRMATIONS": "true",  # where a person says yes
        }

    def run(self, line: str) -> str:
        """Run one line; what it said. Raises AssertionError where it failed."""
        text = self._filled(line).replace("./inv ", f"{shlex.quote(sys.executable)} -m invoke ")
        # our own client takes the emulator's address; the proxy is for the Terraform provider
        left_out = {"HTTPS_PROXY", "SSL_CERT_FILE"} if "invoke" in text and "pulumi" not in text else set()
        done = subprocess.run(
            ["sh", "-ec", text],
            cwd=self._clone,
            env={name: value for name, value in self._environment.items() if name not in left_out},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _filled(self, line: str) -> str:
        if "branchId br-…" in line:
            made = self.workspace.neon.create_branch(self._project(), "dev").branch
            return line.replace("br-…", made.id)
        if "parentBranchId br-…" in line:
            return line.replace("br-…", self.run("pulumi stack output branch_id --stack prod").strip())
        if "URN-of-the-project" in line:
            [urn] = re.findall(
                rf"URN: (\S+Project::{REAL.name})$", self.run("pulumi stack --show-urns --stack prod"), re.MULTILINE
            )
            return line.replace("URN-of-the-project", shlex.quote(urn))
        line = re.sub(r"(projectId\s+|delete )(?:quiet-sea-123456|…)", lambda found: found[1] + self._project(), line)
        return line.replace('"the name that it has"', self.workspace.project_name)

    def _project(self) -> str:
        [project] = self.workspace.projects()
        return project


@pytest.fixture
def reader(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, policies_environment: Path) -> Reader:
    """In a clone whose projects have a name of their own, with the checkout's environment and page."""
    folder = tmp_path_factory.mktemp("documented")
    clone, programs = folder / "clone", folder / "programs"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    for link in (clone / ".venv", clone / "infra" / ".venv"):
        link.symlink_to(sys.prefix)
    (clone / "infra" / "policies" / ".venv").symlink_to(policies_environment)
    settings = clone / "Pulumi.prod.yaml"
    settings.write_text(settings.read_text().replace(f": {REAL.project}\n", f": {workspace.project_name}\n"))
    staging = re.search(r"^    # Pulumi.staging.yaml\n((?:    .+\n)+)", PAGE, re.MULTILINE)
    assert staging is not None
    (clone / "Pulumi.staging.yaml").write_text(re.sub(r"^    ", "", staging[1], flags=re.MULTILINE))
    programs.mkdir()
    for name, text in (("gh", GH), ("neonctl", NEONCTL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return Reader(workspace, clone, programs)


@pytest.mark.timeout(900)  # some thirty runs of the engine, one after the other
def test_every_line_works_for_a_newcomer(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    script = lines(PAGE)
    assert [line for line in script if line in LEFT_OUT] == list(LEFT_OUT)
    for line in script:
        if line not in LEFT_OUT:
            print(line, flush=True)  # shown when one fails
            reader.run(line)
    assert "pulumi up --stack prod" in capsys.readouterr().out


def test_pulumis_lines_of_the_emulators_page_work_too(reader: Reader) -> None:
    page = (ROOT / "docs" / "emulator.md").read_text()
    script = re.findall(r"^    ((?:pulumi|\./inv deploy) .+)$", page, re.MULTILINE)
    assert len(script) == 5
    for line in script:
        reader.run(line)
