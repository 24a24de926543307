"""Makes .venv and installs requirements.lock into it: what ./inv runs on a fresh clone, and when the lock has changed.

It uses the standard library alone, since nothing else is there yet.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from pipeline import packages
from pipeline.errors import ConfigurationError


def main() -> int:
    """Run it, and say in one line what to do when it fails. Gives the exit code."""
    try:
        with packages.one_at_a_time():
            prepare(packages.ROOT)
    except ConfigurationError as error:
        print(f"inv: {error.message}. {error.remedy}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"inv: the environment could not be made: {error}", file=sys.stderr)
        return ConfigurationError.exit_code
    return 0


def prepare(root: Path) -> None:
    """Bring the checkout's environment up to date, or make it anew where it cannot be used.

    Raises:
        ConfigurationError: it could not be made, or its packages could not be installed.
    """
    environment = root / ".venv"
    lock = root / packages.REQUIREMENTS.name
    if not _is_usable(environment):
        _announce("Making .venv (once, some seconds)")
        _make(environment)
    _make_importable(root, environment)
    _link_for_pulumi(root)
    if not packages.is_installed(environment, lock):  # else another run has just done it
        _announce(f"Installing {lock.name}")
        packages.install(environment, lock)
    (environment / "installed" / "ready").touch()  # what ./inv compares the times of files with


def _is_usable(environment: Path) -> bool:
    if packages.is_unfinished(environment) or _was_moved(environment):
        return False
    try:
        # One that somebody made by hand will do, if it is new enough and has pip.
        python = str(environment / "bin" / "python")
        probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
        return subprocess.run([python, "-I", "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _was_moved(environment: Path) -> bool:
    """Tell whether a stamp names another place: then the scripts in it start a Python that is not there."""
    stamps = (environment / "installed").glob("*.lock")
    return any(stamp.read_text().partition("\n")[0] != str(environment.resolve().parent) for stamp in stamps)


def _make(environment: Path) -> None:
    # The base Python by its versioned name: after an upgrade of the machine's python3 the link is broken, which shows,
    # instead of starting a version that does not find the packages.
    base = Path(sys._base_executable)  # type: ignore[attr-defined]  # noqa: SLF001  what venv itself uses
    versioned = base.with_name(f"python{sys.version_info[0]}.{sys.version_info[1]}")
    python = versioned if versioned.exists() else base
    done = subprocess.run(
        [python, "-I", "-m", "venv", "--clear", environment], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    shutil.rmtree(environment, ignore_errors=True)
    said = (done.stdout + done.stderr).strip()
    if "ensurepip" in said or "No module named venv" in said:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise ConfigurationError(
            f"{python} cannot make virtual environments",
            remedy=f"Install what it lacks (Debian and Ubuntu: apt install {package}), or name another PYTHON=…",
        )
    last = said.splitlines()[-1] if said else "no reason given"
    raise ConfigurationError(f"the environment could not be made: {last}", remedy="Is the folder writable?")


def _make_importable(root: Path, environment: Path) -> None:
    """Put the checkout and the generated provider on the environment's path: pip takes no folders under hashes."""
    for folder in environment.glob("lib/python3.*/site-packages"):
        (folder / "checkout.pth").write_text(f"{root}\n{root / 'sdks' / 'neon'}\n")
        _describe_provider(root / "sdks" / "neon" / "pyproject.toml", folder)


def _describe_provider(project: Path, folder: Path) -> None:
    """Write the metadata that pip would: the generated provider asks for its own version when it is imported."""
    if not project.is_file():
        return
    about = tomllib.loads(project.read_text())["project"]
    described = folder / f"{about['name']}-{about['version']}.dist-info"
    for stale in folder.glob(f"{about['name']}-*.dist-info"):
        if stale != described:
            shutil.rmtree(stale)
    described.mkdir(exist_ok=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")


def _link_for_pulumi(root: Path) -> None:
    """Make infra/.venv a link to .venv: Pulumi's dynamic provider looks for it beside the program."""
    link = root / "infra" / ".venv"
    if link.parent.is_dir() and not link.is_symlink() and not link.exists():
        link.symlink_to("../.venv")


def _announce(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
