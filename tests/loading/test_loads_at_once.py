"""Loads that come at once, from folders or machines of their own: nothing is lost, nothing doubled."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import dlt
import pytest

from tests.amounts import amount, each_once
from tests.conftest import Warehouse, assert_tables_equal_account, fill, happen
from tests.destinations.stores import PostgresStore, Store
from toloka_source import errors, load
from toloka_source.destinations.postgres_lock import staging_locked
from toloka_source.emulator import Emulator

pytest_plugins = ["tests.postgres"]

COMMAND = [sys.executable, "-m", "toloka_source"]
BACKFILL = ["backfill", "--start-date", "2025-12-01", "--end-date", "2026-03-01"]


@pytest.fixture
def configured(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command load from the local Toloka."""
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "secret")
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("other", "publish"), each_once([["load"], BACKFILL, ["load", "--dataset", "another"]], [True, False])
)
def test_a_first_load_appends_only_where_no_other_has_made_the_tables(
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    other: list[str],
    publish: bool,  # noqa: FBT001
) -> None:
    fill(warehouse.api.account)
    pipeline, normalize = warehouse.pipeline, warehouse.pipeline.normalize

    def after_another(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(pipeline, "normalize", normalize)
        subprocess.run([*COMMAND, *other, "--no-publish"], env={**os.environ, "DLT_DATA_DIR": "another"}, check=True)
        return normalize(*arguments, **more)

    monkeypatch.setattr(pipeline, "normalize", after_another)
    load(pipeline, warehouse.source(), publish=publish)
    assert ("this one begins again" in caplog.text) == ("another" not in other)
    assert_tables_equal_account(warehouse)
    happen(warehouse.api.account)
    report = load(pipeline, warehouse.source(), publish=publish)
    assert [resource.rows for resource in report.resources] == [1, 2]
    assert_tables_equal_account(warehouse)


@pytest.fixture
def in_postgres(api: Emulator, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a pipeline into PostgreSQL from an account with some history."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres_database)
    fill(api.account)
    return PostgresStore(api, postgres_database)


def test_a_load_into_the_same_dataset_of_postgres_is_waited_for(in_postgres: Store) -> None:
    pipeline = in_postgres.pipeline
    other = dlt.pipeline("other", destination=pipeline.destination, dataset_name="toloka_data")
    with ThreadPoolExecutor() as pool:
        with staging_locked(other, 0):
            with pytest.raises(errors.BusyError, match="another process still loads into toloka_data"):
                load(pipeline, in_postgres.source(), lock_timeout=0.2)
            loading = pool.submit(load, pipeline, in_postgres.source())
            wait([loading], timeout=2)
            assert not loading.done()
        loading.result()
    assert_tables_equal_account(in_postgres)


def test_a_lock_whose_connection_has_broken_is_no_failure(in_postgres: Store) -> None:
    pipeline: Any = in_postgres.pipeline
    with staging_locked(pipeline, 0):
        end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        with pipeline.destination_client() as client:
            assert client.sql_client.execute_sql(end) == [(True,)]
        in_postgres.load()
    assert_tables_equal_account(in_postgres)


@pytest.fixture(params=["duckdb", "postgres"])
def store(api: Emulator, request: pytest.FixtureRequest) -> Store:
    """Return a pipeline into either from an account with some history."""
    if request.param == "postgres":
        in_postgres: Store = request.getfixturevalue("in_postgres")
        return in_postgres
    fill(api.account)
    return Store(api, dlt.destinations.duckdb("toloka.duckdb"))


@pytest.mark.usefixtures("configured")
@pytest.mark.slow
def test_two_loads_and_two_back_fills(store: Store) -> None:
    to = ["--destination", store.pipeline.destination.destination_name]
    for _ in range(amount(quick=1, full=1, long=10)):
        processes = [
            subprocess.Popen(
                [*COMMAND, *words, *to],
                env={**os.environ, "DLT_DATA_DIR": f"folder-{number}"},
                stderr=subprocess.PIPE,
                text=True,
            )
            for number, words in enumerate([["load", "--history"], ["load"], BACKFILL, BACKFILL])
        ]
        for process in processes:
            _, err = process.communicate()
            assert process.returncode == 0, err
        store.pipeline.sync_destination()
        assert_tables_equal_account(store)
        happen(store.api.account)
