"""An Airflow of the tests' own: a folder and a database that are gone when they are done."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.postgres import postgres, postgres_database
from toloka_source.emulator import Emulator

__all__ = ["postgres", "postgres_database"]

DAG_FILE = Path(__file__).parents[2] / "pipelines" / "airflow_dag.py"
TOKEN = "token-of-the-tests"  # noqa: S105 - the emulator's

_folder = TemporaryDirectory(prefix="toloka-airflow-")
HOME = Path(_folder.name)
DAGS = HOME / "dags"

# Airflow reads these when it is imported, which the tests' modules do
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "0",
}

_WARNINGS = (
    "Using `httpx` with `starlette.testclient`",  # Airflow talks to itself like this when it tests a DAG
)


def pytest_configure(config: pytest.Config) -> None:
    """Let Airflow's own warnings pass."""
    for text in _WARNINGS:
        config.addinivalue_line("filterwarnings", f"ignore:{text}")


@pytest.fixture(scope="session", autouse=True)
def airflow_database() -> Iterator[None]:
    """Make Airflow's database, and a folder with our DAGs alone."""
    DAGS.mkdir()
    shutil.copy(DAG_FILE, DAGS)
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    yield
    _folder.cleanup()


@pytest.fixture
def connect(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes the connection to the local Toloka; what it is given goes into its extra."""

    def make(password: str | None = TOKEN, host: str = api.base_url, **extra: Any) -> None:
        connection = {"conn_type": "generic", "password": password, "host": host, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_TOLOKA", json.dumps(connection))

    return make


@pytest.fixture(scope="session")
def dags(airflow_database: None) -> Mapping[str, Any]:  # noqa: ARG001 - made before
    """Return the DAGs, as Airflow reads them from the file."""
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 - Airflow must not be imported before its settings

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    assert set(bag.dags) == {"toloka", "toloka_backfill"}
    return bag.dags
