"""Locks that are installed when a verb first needs them."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.inv.conftest import Wheel, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.inv.conftest import Checkout

ENSURE = """
import sys
from pipeline import packages
from pipeline.errors import ConfigurationError
try:
    packages.ensure("extra")
except ConfigurationError as error:
    sys.exit(f"{error.exit_code}: {error}")
import extra
print(extra.VERSION, "subprocess" in sys.modules)
"""


@pytest.fixture
def extra(wheels: Path, request: pytest.FixtureRequest) -> Wheel:
    """A package of a version that no other test has."""
    return make_wheel(wheels, "extra", f"1.{abs(hash(request.node.name)) % 10**6}")


def test_a_group_is_installed_once_and_then_costs_a_comparison(used: Checkout, extra: Wheel) -> None:
    used.lock(extra, file="locks/extra.lock")
    assert used.python(ENSURE).stdout == f"{extra.version} True\n"
    assert used.python(ENSURE).stdout == f"{extra.version} False\n"


def test_two_at_once_do_no_harm(used: Checkout, extra: Wheel) -> None:
    used.lock(extra, file="locks/extra.lock")
    program = used.root / ".venv" / "bin" / "python"
    both = [
        subprocess.Popen(
            [program, "-c", ENSURE], cwd=used.root, env=used.environment(), stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0].split()[0] for process in both] == [extra.version] * 2


def test_a_group_that_cannot_be_had_is_a_configuration_error_with_a_remedy(used: Checkout) -> None:
    used.lock(Wheel("extra", "9.9", "0" * 64), file="locks/extra.lock")
    done = used.python(ENSURE)
    assert done.returncode == 1
    assert done.stderr.startswith("2: could not install extra.lock: ")
    assert done.stderr.count("\n") == 2


def test_nothing_is_installed_outside_a_virtual_environment(used: Checkout, extra: Wheel) -> None:
    used.lock(extra, file="locks/extra.lock")
    outside = "import sys; sys.prefix = sys.base_prefix\n" + ENSURE
    done = used.python(outside)
    assert "not in a virtual environment" in done.stderr
    assert "./inv" in done.stderr


def test_a_package_that_would_have_to_be_built_is_refused_and_none_of_its_code_runs(used: Checkout) -> None:
    """Its hash is the locked one: what is in a source package runs on the machine that installs it."""
    ran = used.root / "ran"
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": f"open({str(ran)!r}, 'w').close()\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: extra\nVersion: 7.7\n",
    }
    source = used.wheels / "extra-7.7.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"extra-7.7/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    used.lock(Wheel("extra", "7.7", hashlib.sha256(source.read_bytes()).hexdigest()), file="locks/extra.lock")

    done = used.python(ENSURE)
    assert done.stderr.startswith("2: could not install extra.lock: the package index has no build of a package")
    assert not ran.exists()
