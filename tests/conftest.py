"""What the tests share: a folder and a dlt of their own for each, and a local Toloka."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pytest
from dlt.common.schema.typing import C_DLT_LOAD_ID
from dlt.extract import DltSource
from hypothesis import HealthCheck, settings

from tests.amounts import amount
from toloka_source import ENDPOINTS, LoadReport, load, toloka
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.emulator import Account, Clock, Emulator

# a shell has Ctrl-C ignored for what it runs in the background, and a process has it from the one that starts it
signal.signal(signal.SIGINT, signal.default_int_handler)

# a machine that has other things to do is slow, and none of our mistakes
settings.register_profile(
    "patient",
    deadline=None,
    max_examples=amount(quick=30, full=100, long=1_000),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Leave what was imported out of the searches for garbage, which took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the test into an empty folder, with dlt's working folder in it and no configuration from outside."""
    for name in os.environ:
        if name.startswith(("SOURCES__", "DESTINATION__", "RUNTIME__", "DLT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still at noon."""
    return Clock(NOON)


@pytest.fixture
def api(clock: Clock) -> Iterator[Emulator]:
    """Serve an empty account."""
    with Emulator(Account(clock)) as emulator:
        yield emulator


class Warehouse:
    """A pipeline into DuckDB that loads from an emulator, and what is in its tables."""

    views = False
    """Whether a load makes the views for BI tools."""

    def __init__(self, api: Emulator, name: str = "toloka") -> None:
        """Attach to the pipeline, or make it."""
        self.api = api
        self.pipeline = dlt.pipeline(name, destination="duckdb", dataset_name="toloka_data")

    def source(self, **arguments: Any) -> DltSource:
        """Build the source on the emulator; without being asked for it, a day passes until it reads all again."""
        return toloka(**{"token": "secret", "base_url": self.api.base_url, "rescan_after_hours": 24, **arguments})

    def load(self, **arguments: Any) -> LoadReport:
        """Run once; the emulator's list of requests then holds this run's."""
        self.api.clear_requests()
        return load(self.pipeline, self.source(**arguments), views=self.views)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table without the columns that aren't the API's, in the order of ids as numbers, JSON parsed."""
        parsed = {field.name for field in ENDPOINTS[table].schema if schemas.is_json(field)}
        with (
            self.pipeline.sql_client() as client,
            client.execute_query(f"SELECT * FROM {table} ORDER BY length(id), id") as cursor,  # noqa: S608
        ):
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for row in rows:
            del row[C_DLT_LOAD_ID], row[schemas.HASH.name]
            row |= {name: json.loads(row[name]) for name in parsed if row[name] is not None}
        return rows

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        with self.pipeline.sql_client() as client:
            found = client.execute_sql(f"SELECT count(*) FROM {table}")  # noqa: S608
        return int(found[0][0]) if found else 0


@pytest.fixture
def warehouse(api: Emulator) -> Warehouse:
    """Return a pipeline on the local Toloka."""
    return Warehouse(api)


def expected_rows(objects: list[dict[str, Any]], schema: pa.Schema) -> list[dict[str, Any]]:
    """Return the rows that a table should have, worked out from the objects alone."""
    return [_expected_row(item, schema) for item in sorted(objects, key=lambda item: (len(item["id"]), item["id"]))]


def _expected_row(item: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    row = {}
    for field in schema:
        parent, _, child = field.name.partition("__")
        value = (item.get(parent) or {}).get(child) if child else item.get(field.name)
        if value is not None and pa.types.is_timestamp(field.type):
            value = datetime.fromisoformat(value).replace(tzinfo=UTC)
        if value is not None and field.type == schemas.MONEY:
            value = Decimal(str(value))
        row[field.name] = value
    return row


def assert_tables_equal_account(warehouse: Warehouse) -> None:
    """Compare both tables with the account, field by field."""
    account = warehouse.api.account
    for name, objects in (("projects", account.projects), ("trainings", account.trainings)):
        assert warehouse.rows(name) == expected_rows(objects, ENDPOINTS[name].schema)


def fill(account: Account, projects: int = 60, trainings: int = 80) -> None:
    """Give a served account some history."""
    lifelike = Account.lifelike(projects=projects, trainings=trainings, clock=account.clock)
    for name in DEFAULT_ENDPOINTS:
        for item in lifelike.objects(name):
            account.add(name, item)


def happen(account: Account) -> None:
    """Let two hours pass in which a project and a training are created, and an older training is started."""
    closed = next(training["id"] for training in account.trainings if training["status"] == "CLOSED")
    account.clock.advance(hours=1)
    account.create_training(account.create_project()["id"])
    account.start_training(closed)
    account.clock.advance(hours=1)


def bare(err: str) -> str:
    """Return lines of the log without their times."""
    return re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", err, flags=re.MULTILINE)


@contextmanager
def held(file: Path | str, *, read_only: bool = False) -> Iterator[int]:
    """Let another process hold a DuckDB file; yield its id."""
    hold = (
        "import duckdb, sys; "
        f"held = duckdb.connect(sys.argv[1], read_only={read_only}); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield holder.pid
        holder.communicate()
