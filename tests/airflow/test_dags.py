"""Both DAGs, run by Airflow in this process."""

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from airflow.models.asset import AssetEvent
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.utils.session import create_session
from sqlalchemy import select

from tests.airflow.running import Connect, report, run, states
from tests.conftest import NOON, expected_rows
from toloka_source import ENDPOINTS
from toloka_source.catalog import schemas
from toloka_source.emulator import Account, Clock, Emulator

START, END = datetime(2025, 9, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_events() -> None:
    """Forget the events of the last test."""
    with create_session() as session:
        session.query(AssetEvent).delete()


def events() -> list[tuple[str, dict[str, Any]]]:
    """Return the assets' events, the oldest first."""
    with create_session() as session:
        found = session.scalars(select(AssetEvent).order_by(AssetEvent.id)).all()
        return [(event.asset.name, event.extra) for event in found]


def rows(cursor: Any, table: str) -> list[dict[str, Any]]:
    """Return a table, in the order of ids as numbers, JSON parsed."""
    schema = ENDPOINTS[table].schema
    cursor.execute(f"SELECT {', '.join(schema.names)} FROM toloka_data.{table} ORDER BY length(id), id")  # noqa: S608
    found = [dict(zip(schema.names, row, strict=True)) for row in cursor.fetchall()]
    parsed = [field.name for field in schema if schemas.is_json(field)]
    return [row | {name: json.loads(row[name]) for name in parsed if isinstance(row[name], str)} for row in found]


def assert_right(cursor: Any, account: Account) -> None:
    """Compare both tables with the account, field by field."""
    for name, objects in (("projects", account.projects), ("trainings", account.trainings)):
        assert rows(cursor, name) == expected_rows(objects, ENDPOINTS[name].schema)


def test_an_hourly_run_brings_what_is_new(
    dags: Mapping[str, DAG], api: Emulator, connect: Connect, postgres_database: str
) -> None:
    connect(destination="postgres", credentials=postgres_database)
    account = api.account
    for _ in range(3):
        account.create_training(account.create_project()["id"])
    first = run(dags["toloka"])
    assert states(first) == {"load": "success", "new_projects": "success", "new_trainings": "success"}
    assert {name: resource["rows"] for name, resource in report(first).items()} == {"projects": 3, "trainings": 3}
    assert report(first)["projects"]["window_start"] is None
    assert report(first)["projects"]["window_end"] == NOON.isoformat().replace("+00:00", "Z")

    account.clock.advance(hours=1)
    account.create_project()
    second = run(dags["toloka"])
    assert states(second) == {"load": "success", "new_projects": "success", "new_trainings": "skipped"}
    assert {name: resource["rows"] for name, resource in report(second).items()} == {"projects": 1, "trainings": 0}

    third = run(dags["toloka"])
    assert states(third) == {"load": "success", "new_projects": "skipped", "new_trainings": "skipped"}
    assert third.state == "success"

    told = sorted((name, extra["rows"]) for name, extra in events())
    assert told == [("toloka_projects", 1), ("toloka_projects", 3), ("toloka_trainings", 3)]
    with closing(psycopg2.connect(postgres_database)) as connection, connection.cursor() as cursor:
        cursor.execute("SET timezone TO 'UTC'")
        assert_right(cursor, account)


def test_duckdb_and_a_dataset_of_ones_own(
    dags: Mapping[str, DAG], api: Emulator, connect: Connect, own_folder: Path
) -> None:
    file = own_folder / "warehouse.duckdb"
    connect(credentials=str(file), dataset="elsewhere", filters={"projects": {"status": "ACTIVE"}})
    archived = api.account.create_project()["id"]
    api.account.create_project()
    api.account.archive_project(archived)
    assert run(dags["toloka"]).state == "success"
    with duckdb.connect(str(file)) as connection:
        assert connection.sql("SELECT count(*) FROM elsewhere.projects").fetchall() == [(1,)]


def of_half_a_year(account: Account, table: str) -> list[dict[str, Any]]:
    """Return the rows of what was created, or started, in the half year."""
    found = expected_rows(account.projects if table == "projects" else account.trainings, ENDPOINTS[table].schema)
    return [
        row for row in found if any(row[one.name] and START < row[one.name] <= END for one in ENDPOINTS[table].cursors)
    ]


@pytest.mark.parametrize("destination", ["postgres", "duckdb"])
def test_a_back_fill_is_complete(
    dags: Mapping[str, DAG], connect: Connect, clock: Clock, own_folder: Path, postgres_database: str, destination: str
) -> None:
    account = Account.lifelike(projects=300, clock=clock)
    with Emulator(account) as api:
        if destination == "duckdb":
            connect(host=api.base_url, credentials=str(own_folder / "warehouse.duckdb"))
        else:
            connect(host=api.base_url, destination="postgres", credentials=postgres_database)
        ended = run(dags["toloka_backfill"], start="2025-09-01", end="2026-03-01", by="month")
    assert states(ended) == {
        "first_window": "success",
        "new_projects": "success",
        "new_trainings": "success",
        **{f"other_windows[{number}]": "success" for number in range(5)},
        "split": "success",
    }
    expected = {table: of_half_a_year(account, table) for table in ("projects", "trainings")}
    connection: Any = (
        duckdb.connect(str(own_folder / "warehouse.duckdb"))
        if destination == "duckdb"
        else psycopg2.connect(postgres_database)
    )
    with closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute("SET timezone TO 'UTC'")
        assert {table: rows(cursor, table) for table in expected} == expected
    announced = dict(events())
    assert {name: extra["window_start"] for name, extra in announced.items()} == {
        "toloka_projects": "2025-09-01T00:00:00Z",
        "toloka_trainings": "2025-09-01T00:00:00Z",
    }
    assert announced["toloka_projects"]["rows"] == len(expected["projects"]) > 30
    assert announced["toloka_projects"]["window_end"] == "2026-03-01T00:00:00Z"


def test_mapped_tasks_bear_their_windows_names(
    dags: Mapping[str, DAG], connect: Connect, postgres_database: str
) -> None:
    connect(destination="postgres", credentials=postgres_database)
    ended = run(dags["toloka_backfill"], start="2026-01-15", end="2026-03-01", by="month")
    task = ended.get_task_instance("other_windows", map_index=0)
    assert task
    assert task.rendered_map_index == "20260201_20260301"


def test_a_back_fill_of_one_window_without_rows(
    dags: Mapping[str, DAG], connect: Connect, postgres_database: str
) -> None:
    connect(destination="postgres", credentials=postgres_database)
    ended = run(dags["toloka_backfill"], start="2026-02-01", end="2026-03-01", by="month")
    assert ended.state == "success"
    assert states(ended) == {
        "first_window": "success",
        "new_projects": "skipped",
        "new_trainings": "skipped",
        "other_windows": "skipped",
        "split": "success",
    }
    assert report(ended, "first_window")["projects"]["rows"] == 0


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"start": "2026-02-01", "end": "2026-01-01", "by": "month"}, "must be after start_date"),
        ({"start": "2026-02-01", "end": "2026-02-01", "by": "month"}, "must be after start_date"),
    ],
)
def test_a_back_fill_backwards_is_refused(
    dags: Mapping[str, DAG], connect: Connect, capfd: pytest.CaptureFixture[str], params: dict[str, str], reason: str
) -> None:
    connect()
    ended = run(dags["toloka_backfill"], **params)
    assert states(ended)["split"] == "failed"
    assert reason in capfd.readouterr().out


@pytest.mark.parametrize("params", [{"by": "year"}, {"start": "yesterday"}, {"end": "2026-13-01"}, {"start": None}])
def test_the_form_refuses_what_is_no_date_and_no_window(dags: Mapping[str, DAG], params: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        run(dags["toloka_backfill"], **{"start": "2026-01-01", "end": "2026-02-01", "by": "month", **params})
