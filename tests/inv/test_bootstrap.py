"""`./inv` on a fresh clone, on the next day, and on a machine where something is missing."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.inv.conftest import Checkout, Wheel


def test_the_first_run_makes_the_environment_and_two_at_once_do_no_harm(fresh: Checkout) -> None:
    both = [fresh.start("migrate", "--name", "two words") for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (0, f"1.0|{fresh.root}|migrate|--name|two words\n", "")
    assert (fresh.root / ".venv" / "bin" / "invoke").exists()


def test_a_moved_checkout_gets_an_environment_that_works_there(moved: Checkout) -> None:
    done = moved.inv()
    assert (done.returncode, done.stdout) == (0, f"1.0|{moved.root}\n"), done.stderr
    assert str(moved.root) in (moved.root / ".venv" / "bin" / "invoke").read_text()


def test_later_runs_start_no_program_but_invoke(used: Checkout) -> None:
    done = used.inv("url", PATH="/nonexistent", PYTHON="")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"1.0|{used.root}|url\n", "")


def test_it_runs_in_the_checkout_wherever_it_was_called_from_and_through_a_link(used: Checkout, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(used.root / "inv")
    assert used.inv("up", cwd=tmp_path, program=link).stdout == f"1.0|{used.root}|up\n"
    assert used.inv("up", cwd=used.root / "infra").stdout == f"1.0|{used.root}|up\n"


def test_a_changed_lock_is_installed_by_the_next_run(used: Checkout, second: Wheel) -> None:
    used.lock(second)
    assert used.inv().stdout.startswith("2.0|")


def test_a_run_that_was_killed_while_it_installed_is_made_good_by_the_next(used: Checkout, second: Wheel) -> None:
    used.lock(second)
    process = used.start()
    until((used.root / ".venv" / "installed" / "unfinished").exists, seconds=60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = used.inv()
    assert (done.returncode, done.stdout) == (0, f"2.0|{used.root}\n"), done.stderr
    assert not (used.root / ".venv" / "installed" / "unfinished").exists()


def test_the_checkout_and_the_generated_provider_can_be_imported_from_anywhere(used: Checkout) -> None:
    provider = used.root / "sdks" / "neon"
    provider.mkdir(parents=True, exist_ok=True)
    done = used.python("import pipeline, sys; print(pipeline.__file__); print(*sys.path, sep='\\n')")
    lines = done.stdout.splitlines()
    assert lines[0] == str(used.root / "pipeline" / "__init__.py")
    assert str(provider) in lines


def test_an_upgraded_provider_is_known_by_its_new_version_from_the_next_run_on(used: Checkout) -> None:
    project = used.root / "sdks" / "neon" / "pyproject.toml"
    project.parent.mkdir(parents=True, exist_ok=True)
    for version in ("0.15.0", "0.16.0"):
        project.write_text(f'[project]\nname = "pulumi_neon"\nversion = "{version}"\n')
        used.inv()
        done = used.python("from importlib.metadata import version; print(version('pulumi_neon'))")
        assert done.stdout == f"{version}\n", done.stderr


def test_pulumis_dynamic_provider_finds_the_environment_beside_the_program(used: Checkout) -> None:
    link = used.root / "infra" / ".venv"
    assert link.is_symlink()
    assert (link / "bin" / "python").exists()
