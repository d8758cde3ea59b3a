"""Dagster in this process: its definitions as a user's settings make them, and runs on the local Toloka."""

import warnings
from collections.abc import Iterator, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from tests.conftest import Warehouse
from tests.destinations.stores import PostgresStore
from toloka_source import ENDPOINTS
from toloka_source.emulator import Emulator

SCRIPT = Path(__file__).parents[2] / "pipelines" / "dagster_definitions.py"
TOKEN = "token-that-nobody-may-see"  # noqa: S105 - a test's


def load_definitions() -> ModuleType:
    """Read the definitions anew, as the environment variables are now."""
    spec = spec_from_file_location("dagster_definitions", SCRIPT)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # back-fill policies are one of Dagster's betas
        spec.loader.exec_module(module)
    return module


class Postgres(PostgresStore):
    """PostgreSQL's tables, whatever pipeline loaded them."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows in the order of ids as numbers, without dlt's own columns, JSON parsed."""
        rows = sorted(self.read(table), key=lambda row: (len(row["id"]), row["id"]))
        return [{name: row[name] for name in ENDPOINTS[table].schema.names} for row in rows]


class Engine:
    """A Dagster that loads from the local Toloka, and what is in the tables."""

    def __init__(self, api: Emulator, instance: dg.DagsterInstance, postgres: str | None = None) -> None:
        """Load the definitions.

        Args:
            api: The local Toloka.
            instance: Keeps Dagster's events.
            postgres: The database's URL, if that is where it loads; else it loads into DuckDB.
        """
        self.api = api
        self.instance = instance
        self.module = load_definitions()
        self._postgres = postgres

    @property
    def warehouse(self) -> Warehouse:
        """The tables, by a pipeline of its own for each look."""
        return Postgres(self.api, self._postgres) if self._postgres else Warehouse(self.api)

    def run(self, *names: str, **arguments: Any) -> dg.ExecuteInProcessResult:
        """Run both tables, or those named, or the back-fill; the emulator's requests are then this run's."""
        self.api.clear_requests()
        keys = [self.module.table_key(name) for name in names or ("projects", "trainings")]
        selection = dg.AssetSelection.assets(*keys)
        return dg.materialize(
            [self.module.tables, self.module.backfill, self.module.checks],
            selection=selection | dg.AssetSelection.checks_for_assets(*keys),
            resources=self.module.defs.resources,
            instance=self.instance,
            raise_on_error=False,
            **arguments,
        )

    def sql(self, statement: str) -> None:
        """Tamper with the tables."""
        with self.warehouse.pipeline.sql_client() as client:
            client.execute_sql(statement)


@pytest.fixture
def instance(own_folder: Path) -> Iterator[dg.DagsterInstance]:
    """Return a Dagster of its own, which keeps its events in memory."""
    with dg.DagsterInstance.ephemeral(tempdir=str(own_folder)) as instance:
        yield instance


@pytest.fixture
def configured(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Return the local Toloka, with the token and its address set as a user sets them."""
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", TOKEN)
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    return api


@pytest.fixture(params=["duckdb", "postgres"])
def engine(
    configured: Emulator,
    instance: dg.DagsterInstance,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Engine:
    """Return a Dagster that loads into each destination."""
    if request.param == "duckdb":
        return Engine(configured, instance)
    url: str = request.getfixturevalue("postgres_database")
    monkeypatch.setenv("TOLOKA_DESTINATION", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    return Engine(configured, instance, postgres=url)


@pytest.fixture
def duckdb_engine(configured: Emulator, instance: dg.DagsterInstance) -> Engine:
    """Return a Dagster as it is unless told otherwise."""
    return Engine(configured, instance)


def materialized(result: dg.ExecuteInProcessResult, name: str) -> list[dict[str, Any]]:
    """Return the metadata of an asset's materializations in a run."""
    events = result.asset_materializations_for_node("toloka__backfill" if name == "backfill" else "load_tables")
    found = [event for event in events if event.asset_key == dg.AssetKey(["toloka", name])]
    return [{key: value.value for key, value in event.metadata.items()} for event in found]


def failure(result: dg.ExecuteInProcessResult) -> str | None:
    """Return the reason that Dagster shows for the failed step."""
    failed: Sequence[dg.DagsterEvent] = [event for event in result.all_events if event.is_step_failure]
    assert len(failed) == 1
    data = failed[0].step_failure_data.user_failure_data
    return data.description if data else None
