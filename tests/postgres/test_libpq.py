"""A session takes libpq's wrapper out of psycopg without the rest; whoever wants the rest gets it as ever."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from pipeline.postgres.libpq import VERSION

ROOT = Path(__file__).parents[2]


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


def test_the_rest_of_psycopg_is_not_run() -> None:
    run(
        "import sys\n"
        "from pipeline.postgres.libpq import pq\n"
        "assert pq.version() > 0\n"
        "assert 'psycopg.connection' not in sys.modules and 'psycopg.cursor' not in sys.modules\n"
    )


def test_psycopg_is_whole_for_whoever_imports_it_afterwards() -> None:
    run(
        "from pipeline.postgres import libpq\n"
        "import psycopg, psycopg.types.json\n"
        "from psycopg import Connection, sql\n"
        "from psycopg.rows import dict_row\n"
        "assert psycopg.connect == Connection.connect\n"
        "assert psycopg.OperationalError is psycopg.errors.OperationalError is libpq.OperationalError\n"
        "assert psycopg.pq is libpq.pq\n"
        "assert psycopg.adapters.types['jsonb'].oid == 3802\n"
        "assert psycopg.__version__ and not hasattr(psycopg, 'no_such_name')\n"
    )


def test_a_psycopg_that_is_there_already_stays_as_it_is() -> None:
    run(
        "import psycopg\n"
        "from pipeline.postgres import libpq\n"
        "assert libpq.pq is psycopg.pq and libpq.OperationalError is psycopg.OperationalError\n"
        "assert not hasattr(psycopg, '__getattr__')\n"
    )


def test_psycopg_is_the_one_that_the_half_made_package_was_read_against() -> None:
    assert version("psycopg") == version("psycopg-binary") == VERSION, "see the docstring of pipeline/postgres/libpq.py"
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    asked = [each for group in groups.values() for each in group if isinstance(each, str) and "psycopg" in each]
    assert asked == [f"psycopg[binary]=={VERSION}"] * 2
