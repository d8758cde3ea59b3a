"""The API's official client, and pandas: what a script for one's own use looks like."""

import json
from collections.abc import Iterable
from typing import Any

import duckdb
import pandas as pd
from toloka.client import TolokaClient
from toloka.client.search_requests import ProjectSearchRequest, TrainingSearchRequest

from tests.benchmarks import checks

FILE = "toloka_kit.duckdb"
PAGE_SIZE = 300
TIMES = ("created", "last_started", "last_stopped")


def prepare(base_url: str) -> TolokaClient:
    """Return the client; it adds the API's version to the address itself."""
    return TolokaClient("benchmark", url=base_url.removesuffix("/api/v1"))


def first_load(client: TolokaClient) -> int:
    """Load everything."""
    written = 0
    with duckdb.connect(FILE) as connection:
        for name, rows in (
            ("projects", _frame(client.get_projects(batch_size=PAGE_SIZE))),
            ("trainings", _frame(client.get_trainings(batch_size=PAGE_SIZE))),
        ):
            connection.register("new", rows)
            connection.execute(f"CREATE TABLE {name} AS FROM new")
            written += len(rows)
    return written


def increment(client: TolokaClient) -> int:
    """Load what is new or restarted since the greatest times in the tables."""
    with duckdb.connect(FILE) as connection:
        created = _greatest(connection, "projects", "created")
        request = ProjectSearchRequest(created_gt=created)
        written = _merge(connection, "projects", _frame(client.get_projects(request, batch_size=PAGE_SIZE)))
        created = _greatest(connection, "trainings", "created")
        started = _greatest(connection, "trainings", "last_started")
        new = TrainingSearchRequest(created_gt=created)
        restarted = TrainingSearchRequest(last_started_gt=started, created_lte=created)
        for lane in (new, restarted):
            written += _merge(connection, "trainings", _frame(client.get_trainings(lane, batch_size=PAGE_SIZE)))
    return written


def rescan(client: TolokaClient) -> int:
    """Load everything again."""
    with duckdb.connect(FILE) as connection:
        for name in checks.TIMES:
            connection.execute(f"DROP TABLE {name}")
    return first_load(client)


def check() -> checks.Facts:
    """Return what is in the tables."""
    return checks.of_tables(FILE, {name: f"FROM {name}" for name in checks.TIMES})


def _frame(items: Iterable[Any]) -> pd.DataFrame:
    """Return the objects as rows, nested values as JSON text."""
    frame = pd.DataFrame([{name: _cell(value) for name, value in item.unstructure().items()} for item in items])
    for name in TIMES:
        if name in frame:
            frame[name] = pd.to_datetime(frame[name], format="ISO8601")
    return frame


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _merge(connection: duckdb.DuckDBPyConnection, name: str, rows: pd.DataFrame) -> int:
    if rows.empty:
        return 0
    connection.register("new", rows)
    connection.execute("BEGIN")
    connection.execute(f"DELETE FROM {name} USING new WHERE {name}.id = new.id")  # noqa: S608 - our own names
    connection.execute(f"INSERT INTO {name} BY NAME FROM new")
    connection.execute("COMMIT")
    return len(rows)


def _greatest(connection: duckdb.DuckDBPyConnection, name: str, cursor: str) -> Any:
    row = connection.execute(f"SELECT max({cursor}) FROM {name}").fetchone()  # noqa: S608
    return row[0] if row else None
