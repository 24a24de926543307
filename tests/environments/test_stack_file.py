"""What a stack's file asks of a deploy, which reads it without Pulumi."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.environments.stack_file import OFF, REQUIRED, StackFile, read_stack_file
from pipeline.errors import ConfigurationError
from services import PROJECT

ROOT = Path(__file__).resolve().parents[2]


def _file(folder: Path, text: str) -> Path:
    (folder / "Pulumi.prod.yaml").write_text(text.replace("P:", f"{PROJECT}:"))
    return folder


def test_a_file_that_is_not_there_asks_for_nothing(tmp_path: Path) -> None:
    assert read_stack_file("staging", tmp_path) == StackFile("staging", OFF, "", "staging", 7)


def test_what_it_says_is_read_whatever_else_stands_there(tmp_path: Path) -> None:
    _file(
        tmp_path,
        "encryptionsalt: v1:x=\nconfig:\n  P:owns: project\n  P:projectId: quiet-sea-1\n  P:rehearsal: required # asked\n"
        '  P:keepPointsDays: "14"\n  P:quota: \'{"activeTimeSeconds": 1}\'\n  aws:token: {secure: v1:x}\n  other:rehearsal: x\n',
    )
    assert read_stack_file("prod", tmp_path) == StackFile("prod", REQUIRED, "quiet-sea-1", "main", 14)


@pytest.mark.parametrize("key", ["P:rehearsal", "rehearsal", "P:config:rehearsal", '"P:rehearsal"'])
@pytest.mark.parametrize(
    "value", ["required", '"required"', "'required'", "!!str required", "&x required", ">-\n    required"]
)
def test_required_is_understood_in_every_way_in_which_pulumi_understands_it(
    key: str, value: str, tmp_path: Path
) -> None:
    assert read_stack_file("prod", _file(tmp_path, f"config:\n  {key}: {value}\n")).requires_rehearsal


@pytest.mark.parametrize(
    "text", ["", "config:\n", "config: {}\n", "config:\n  P:rehearsal: off\n", "secretsprovider: x\n"]
)
def test_off_is_off_and_no_boolean(text: str, tmp_path: Path) -> None:
    assert read_stack_file("prod", _file(tmp_path, text)).rehearsal == OFF


def test_a_stack_with_its_organization_has_the_same_file(tmp_path: Path) -> None:
    _file(tmp_path, "config:\n  P:rehearsal: required\n  P:branchName: trunk\n")
    found = read_stack_file("acme/shop/prod", tmp_path)
    assert (found.requires_rehearsal, found.branch_name) == (True, "trunk")


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("config: [\n", "Pulumi.prod.yaml:2", "it is not YAML"),
        ("config:\n\t- x\n", "Pulumi.prod.yaml:2", "it is not YAML"),
        ("a: 1\n---\nb: 2\n", "Pulumi.prod.yaml:2", "it is not YAML"),
        ("- config\n", "Pulumi.prod.yaml:1", "no keys with values"),
        ("config: required\n", "Pulumi.prod.yaml:1", "no keys with values"),
        ("config:\n  P:rehearsal: {secure: v1:x}\n", "Pulumi.prod.yaml:2", "rehearsal is not a plain text"),
        ("config:\n  P:rehearsal: required\n  rehearsal: off\n", "Pulumi.prod.yaml:3", "rehearsal is said twice"),
        ("config: {}\nconfig: {}\n", "Pulumi.prod.yaml:2", "config is said twice"),
        ("config:\n  <<: {P:rehearsal: required}\n", "Pulumi.prod.yaml:2", "not a plain text"),
        ("config:\n  P:rehearsal: Required\n", "Pulumi.prod.yaml", "'Required'. Allowed: required, or off"),
        ("config:\n  P:rehearsal: no\n", "Pulumi.prod.yaml", "'no'. Allowed"),
        ("config:\n  P:rehearsal:\n", "Pulumi.prod.yaml", "''. Allowed"),
        ("config:\n  P:keepPointsDays: 31\n", "Pulumi.prod.yaml", "'31'. Allowed: whole days from 1 to 30"),
        ("config:\n  P:keepPointsDays: ٣\n", "Pulumi.prod.yaml", "Allowed: whole days"),
    ],
)
def test_what_cannot_be_understood_is_an_error_with_its_line(text: str, where: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_stack_file("prod", _file(tmp_path, text))
    assert error.value.where == where
    assert said in error.value.message
    assert error.value.remedy.startswith("Nothing was changed.")


def test_a_file_that_is_no_text_or_no_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.prod.yaml").write_bytes(b"config:\n  a: \xff\n")
    (tmp_path / "Pulumi.dev.yaml").mkdir()
    for name in ("prod", "dev"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read_stack_file(name, tmp_path)


def test_the_committed_files_ask_for_a_rehearsal_on_prod_alone() -> None:
    code = (
        "from pathlib import Path; from pipeline.environments.stack_file import read_stack_file as read; "
        "print([(read(name, Path()).rehearsal, read(name, Path()).branch_name) for name in ('prod', 'dev')])"
    )
    # a process of its own: its product is the checkout's, and not the tests'
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env={}, timeout=60
    )
    assert done.stdout == "[('required', 'main'), ('off', 'dev')]\n"
