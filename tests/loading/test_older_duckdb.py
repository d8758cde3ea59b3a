"""A file that the newest DuckDB makes and writes is read by an older one, as BI tools have it."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Warehouse, fill, happen
from toloka_source import load

OLDEST = "1.4.*"
"""The lowest that pyproject.toml allows."""

READ = """
import duckdb, json
with duckdb.connect("toloka.duckdb", read_only=True) as connection:
    views = ["projects", "trainings", "project_fields", "quality_rules", "setup_health", "loads"]
    counts = [connection.execute(f"SELECT count(COLUMNS(*)) FROM toloka_bi.{name}").fetchone() for name in views]
    print(json.dumps([max(one) for one in counts]))
"""


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python that has an older DuckDB and nothing else."""
    folder = tmp_path_factory.mktemp("older")
    run("uv", "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    run("uv", "pip", "install", "--quiet", "--python", python, f"duckdb=={OLDEST}")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("publish", [True, False])
def test_an_older_duckdb_reads_what_the_newest_wrote(warehouse: Warehouse, older: Path, *, publish: bool) -> None:
    fill(warehouse.api.account)
    for _ in range(2):
        load(warehouse.pipeline, warehouse.source(), views=True, publish=publish)
        happen(warehouse.api.account)
    projects, trainings, *others, loads = json.loads(run(older, "-c", READ))
    assert (projects, trainings, loads) == (61, 81, 4)
    assert all(others)


def test_a_file_that_is_there_keeps_its_version(warehouse: Warehouse) -> None:
    def version() -> str:
        with duckdb.connect("toloka.duckdb", read_only=True) as connection:
            tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'toloka'").fetchone()
        return str(tags)

    duckdb.connect("toloka.duckdb", config={"storage_compatibility_version": "v1.2.0"}).close()
    before = version()
    assert "v1.2.0" in before
    for publish in (True, False):
        load(warehouse.pipeline, warehouse.source(), publish=publish)
    assert version() == before
