"""`./inv test` runs its checks in order and stops at the first that fails, and hands what stands behind -- to pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import testing
from pipeline.console.flags import after_dashes

ROOT = Path(__file__).parents[2]

PROJECT = """
[tool.mypy]
strict = true
files = ["."]

[tool.importlinter]
root_packages = ["shop"]

[[tool.importlinter.contracts]]
name = "one layer"
type = "layers"
layers = ["shop"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one package in which every check passes but the tests, since it has none."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text('PRICE: int = 1\n"""What it costs."""\n')
    return tmp_path


def run_all(project: Path) -> tuple[int, list[str]]:
    """The exit code, and the names of the checks that ran."""
    told: list[str] = []
    code = testing.run_all(project, tell=told.append)
    return code, list(dict.fromkeys(line.partition(":")[0] for line in told))


def test_the_checks_run_from_the_cheapest_to_the_dearest() -> None:
    assert [check.what for check in testing.CHECKS] == ["lint", "format", "imports", "types", "tests"]


def test_a_lint_error_ends_it_before_anything_else_runs(project: Path) -> None:
    (project / "shop" / "unused.py").write_text("import os\n")
    assert run_all(project) == (1, ["lint"])


def test_a_type_error_ends_it_before_the_tests(project: Path) -> None:
    (project / "shop" / "price.py").write_text('PRICE: int = "much"\n')
    assert run_all(project) == (1, ["lint", "format", "imports", "types"])


def test_with_paths_pytest_alone_runs_and_its_exit_code_is_the_answer(project: Path) -> None:
    (project / "shop" / "unused.py").write_text("import os\n")
    (project / "test_price.py").write_text("def test_price() -> None:\n    assert False\n")
    told: list[str] = []
    assert testing.run_tests(project, ["-q", "test_price.py"], tell=told.append) == pytest.ExitCode.TESTS_FAILED
    assert told[0] == "tests: pytest -q test_price.py"


def test_what_they_compile_is_kept_on_a_machine_that_keeps_no_bytecode(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (project / "test_price.py").write_text("def test_price() -> None:\n    import shop\n")
    assert testing.run_tests(project, ["-q", "."], tell=lambda _: None) == 0
    assert list((project / "shop" / "__pycache__").glob("__init__.*.pyc"))


def test_what_stands_behind_the_dashes_keeps_its_words() -> None:
    assert after_dashes(["inv", "test", "--", "-k", "one or two", "--", "x"]) == ["-k", "one or two", "--", "x"]
    assert after_dashes(["inv", "test"]) == []


def test_a_terminated_run_terminates_pytest_too(project: Path) -> None:
    (project / "conftest.py").write_text(
        "import os, pathlib, signal, sys\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "signal.pause()\n"
    )
    program = (
        "import sys; from pathlib import Path; from pipeline import testing; "
        "sys.exit(testing.run_tests(Path(sys.argv[1]), ['.'], tell=print))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, project],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stdout + done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((project / "pid").read_text()), 0)
