"""A workflow run as GitHub runs it: which jobs and steps run, with which variables, and what goes from job to job.

Conditions are evaluated, steps are run with bash in a checkout of the job's own, outputs and artifacts are carried by files.
A secret is there in the jobs whose environment has it, and nowhere else. Of the actions that are used those are stood in for
that move files (checkout, artifacts), and of what only GitHub has the program `gh` answers from files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
_TOKEN = re.compile(r"'(?:[^']|'')*'|&&|\|\||[!=]=|[!(),]|[\w.*-]+")
_LEFT_OUT = ("PG", "GITHUB_", "GH_", "DATABASE", "NEON_", "PULUMI_", "DEPLOY_")

# Answers from `NAME.json` in its folder the first path that begins so, through jq as gh does; what it is asked is kept.
_GH = """#!{python}
import json, os, subprocess, sys
from pathlib import Path
folder, words = Path({folder!r}), sys.argv[1:]
asked = {{"words": words, "token": os.environ.get("GH_TOKEN"), "variables": sorted(os.environ)}}
with open(folder / "asked", "a") as file:
    file.write(json.dumps(asked) + "\\n")
answers = json.loads((folder / "answers.json").read_text())
path = words[1]
found = [answer for begin, answer in answers.items() if path.startswith(begin)]
if not found:
    sys.exit(f"gh: Not Found (HTTP 404): {{path}}")
jq = words[words.index("--jq") + 1]
sys.exit(subprocess.run(["jq", "-r", jq], input=json.dumps(found[0]), text=True).returncode)
"""


@dataclass
class Ran:
    """What came of a job."""

    result: str
    steps: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def text(self) -> str:
        """Everything that its steps said."""
        return "".join(f"{step.stdout}{step.stderr}" for step in self.steps.values()) + self.summary


@dataclass
class Run:
    """One run of a workflow. `context` are the values of expressions, `secrets` those of each environment ("": everywhere).

    `assumed` are jobs that are not run, with the results that they are taken to have: those of a called workflow.
    """

    workflow: str
    checkout: Path
    folder: Path
    context: dict[str, str]
    secrets: Mapping[str, Mapping[str, str]]
    assumed: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    earlier: Path | None = None  # the artifacts of the run before
    jobs: dict[str, Ran] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loaded: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github" / "workflows" / self.workflow)
        self.artifacts = self.folder / "artifacts"
        self.artifacts.mkdir(parents=True)
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "gh").write_text(_GH.format(python=sys.executable, folder=str(self.folder)))
        (programs / "gh").chmod(0o755)
        (self.folder / "answers.json").write_text(json.dumps(self.answers))

    def run(self) -> dict[str, Ran]:
        """Every job behind those that it needs."""
        for name, job in self.loaded["jobs"].items():
            self.jobs[name] = self._job(name, job)
        return self.jobs

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What the stand-in for gh was asked."""
        file = self.folder / "asked"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def _job(self, name: str, job: Mapping[str, Any]) -> Ran:
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        values = dict(self.context)
        for need in needs:
            ran = self.jobs[need]
            values[f"needs.{need}.result"] = ran.result
            values |= {f"needs.{need}.outputs.{key}": value for key, value in ran.outputs.items()}
        all_well = all(self.jobs[need].result == "success" for need in needs)
        if not holds(job.get("if"), values, all_well=all_well):
            return Ran("skipped")
        if name in self.assumed:
            return Ran(self.assumed[name])
        assert "uses" not in job, f"{name} calls a workflow, whose result is to be assumed"
        of_environment = {**self.secrets.get("", {}), **self.secrets.get(str(job.get("environment", "")), {})}
        values |= {f"secrets.{key}": value for key, value in of_environment.items()}
        return _Job(self, name, job, values).run()


class _Job:
    """One job on a machine of its own."""

    def __init__(self, run: Run, name: str, job: Mapping[str, Any], values: dict[str, str]) -> None:
        self._run, self._definition, self._values = run, job, values
        self._work = run.folder / name / "work"
        self._temp = run.folder / name / "temp"
        self._work.mkdir(parents=True)
        self._temp.mkdir()
        self._values |= {"runner.temp": str(self._temp), "github.token": "the-jobs-token"}
        self._ran = Ran("success")

    def run(self) -> Ran:
        for step in self._definition["steps"]:
            if not holds(step.get("if"), self._values, all_well=self._ran.result == "success"):
                continue
            done = self._action(step) if "uses" in step else self._script(step)
            if not done:
                self._ran.result = "failure"
        self._ran.outputs = {
            key: filled(value, self._values) for key, value in self._definition.get("outputs", {}).items()
        }
        summary = self._temp / "summary"
        self._ran.summary = summary.read_text() if summary.exists() else ""
        return self._ran

    def _script(self, step: Mapping[str, Any]) -> bool:
        """Run it as the runner does: `bash -e`, or with pipefail where the step says bash; keep its outputs."""
        output = self._temp / "output"
        output.write_text("")
        options = ["--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") == "bash" else ["-e"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
        context = self._values
        answer = subprocess.run(
            ["bash", *options, "-c", step["run"]],
            cwd=self._work,
            env={
                **kept,
                **self._run.variables,
                "PATH": f"{self._run.folder / 'bin'}:/usr/bin:/bin",
                "PYTHONPATH": str(ROOT),
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_EVENT_NAME": context["github.event_name"],
                "GITHUB_REF_NAME": context["github.ref_name"],
                "GITHUB_REPOSITORY": context["github.repository"],
                "GITHUB_RUN_ID": "7",
                "GITHUB_SHA": context["github.sha"],
                "GITHUB_STEP_SUMMARY": str(self._temp / "summary"),
                "GITHUB_OUTPUT": str(output),
                "RUNNER_TEMP": str(self._temp),
                **{name: filled(value, context) for name, value in step.get("env", {}).items()},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        self._ran.steps[step["name"]] = answer
        if "id" in step:
            for name, value in read_outputs(output.read_text()).items():
                self._values[f"steps.{step['id']}.outputs.{name}"] = value
        return answer.returncode == 0

    def _action(self, step: Mapping[str, Any]) -> bool:
        given = {
            key: filled(json.dumps(value) if isinstance(value, bool) else str(value), self._values)
            for key, value in step.get("with", {}).items()
        }
        action = step["uses"].partition("@")[0]
        if action == "actions/checkout":
            self._check_out(given)
            return True
        if action == "actions/upload-artifact":
            self._upload(step, given)
            return True
        assert action == "actions/download-artifact", action
        source = self._run.earlier if given.get("run-id") else self._run.artifacts
        assert source is not None
        shutil.copytree(source / given["name"], self._work / given.get("path", "."), dirs_exist_ok=True)
        return True

    def _check_out(self, given: Mapping[str, str]) -> None:
        place = self._work / given.get("path", ".")
        commit = given.get("ref", self._values["github.sha"])
        _git("clone", "-q", "--no-checkout", str(self._run.checkout), str(place))
        _git("-C", str(place), "fetch", "-q", "origin", commit)
        _git("-C", str(place), "checkout", "-q", "FETCH_HEAD")
        if wanted := given.get("sparse-checkout", "").split():
            _git("-C", str(place), "sparse-checkout", "set", *wanted)

    def _upload(self, step: Mapping[str, Any], given: Mapping[str, str]) -> None:
        """A folder's files, or one file; hidden ones where that is asked for. Without any there is no artifact, and no output."""
        path = self._work / given["path"]
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        if given.get("include-hidden-files") != "true":
            files = [each for each in files if not any(part.startswith(".") for part in Path(given["path"]).parts)]
        if not files:
            assert given["if-no-files-found"] == "ignore"
            return
        for file in files:
            target = self._run.artifacts / given["name"] / (file.name if path.is_file() else file.relative_to(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        if "id" in step:
            url = f"https://github.com/team/database/actions/runs/7/artifacts/{given['name']}"
            self._values |= {
                f"steps.{step['id']}.outputs.artifact-{key}": value for key, value in (("id", "5"), ("url", url))
            }


def holds(condition: object, values: Mapping[str, str], *, all_well: bool) -> bool:
    """Whether a job or a step runs. Without a word on how it went before (`cancelled()`), it does only where all went well."""
    if condition is None:
        return all_well
    text = str(condition).strip().removeprefix("${{").removesuffix("}}")
    said = bool(evaluated(text, values))
    return said if "cancelled()" in text else said and all_well


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its expressions evaluated, as GitHub writes them."""

    def shown(found: re.Match[str]) -> str:
        value = evaluated(found[1], values)
        return str(value).lower() if isinstance(value, bool) else str(value)

    return _EXPRESSION.sub(shown, text)


def evaluated(expression: str, values: Mapping[str, str]) -> Any:
    """An expression of a workflow, of those parts that ours have. A name without a value is empty, as on GitHub."""
    words = {"&&": " and ", "||": " or ", "!": " not ", "cancelled": "(lambda: False)", "startsWith": "str.startswith"}
    python = ""
    for token in _TOKEN.findall(expression):
        if token in words:
            python += words[token]
        elif token in {"==", "!=", "(", ")", ","} or token.startswith("'"):
            python += token
        else:
            python += repr(values.get(token, ""))
    return eval(python, {"__builtins__": {}, "str": str})  # noqa: S307 - of our own files


def read_outputs(text: str) -> dict[str, str]:
    """The step's outputs, in both of the forms that GitHub takes."""
    found = {}
    lines = iter(text.splitlines())
    for line in lines:
        if re.match(r"\w+<<", line):
            name, _, end = line.partition("<<")
            found[name] = "\n".join(iter(lines.__next__, end))
        else:
            name, _, found[name] = line.partition("=")
    return found


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)
