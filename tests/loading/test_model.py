"""A model of the account: whatever happens in it, and whenever a run fails, no row is lost, doubled or made up."""

import functools
import gc
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, ClassVar

import dlt
import duckdb
import pytest
from dlt.common.configuration.providers.environ import EnvironProvider
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.amounts import amount
from tests.conftest import Warehouse, expected_rows
from toloka_source import LoadReport, TolokaError, load, source
from toloka_source.catalog import DEFAULT_ENDPOINTS
from toloka_source.emulator import Account, Clock, Emulator, Fault
from toloka_source.tables import full_scans

HISTORIES = amount(quick=10, full=16, long=5_000)
PARTS = amount(quick=1, full=2, long=50)
"""How many tests share the histories, so that they run side by side."""

START = datetime(2025, 2, 27, 23, 59, 59, 999_000, UTC)
LAG = full_scans.LAG.total_seconds()

FAULTS = (Fault.status(401), Fault.status(503), Fault.reset(), Fault.broken_json())


@dataclass(frozen=True)
class Change:
    """Something that happens in the account.

    Attributes:
        seconds: How long after the last change.
        kind: What happens.
        number: Which object it happens to.
    """

    seconds: float
    kind: str
    number: int


change = st.builds(
    Change,
    seconds=st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.999, 30.0, LAG - 0.001, LAG, LAG + 0.001, 3_600.0, 90_000.0]),
    kind=st.sampled_from(["project", "training", "training", "start", "start", "close", "archive", "edit"]),
    number=st.integers(0, 9),
)
changes = st.lists(change, min_size=1, max_size=4)
during = st.lists(changes, min_size=1, max_size=6)
rescans = st.sampled_from([None, None, 24.0, 0.0])


class History(RuleBasedStateMachine):
    """An account, a pipeline, and what the tables may hold."""

    connection: ClassVar[duckdb.DuckDBPyConnection]

    def __init__(self) -> None:
        """Begin with an empty account and an empty file."""
        super().__init__()
        self.clock = Clock(START)
        self.account = Account(self.clock)
        self.api = Emulator(self.account).start()
        self.connection.execute("DROP SCHEMA IF EXISTS toloka_data CASCADE")
        self.connection.execute("DROP SCHEMA IF EXISTS toloka_data_staging CASCADE")
        self.warehouse = Warehouse(self.api)
        self.warehouse.pipeline = dlt.pipeline(
            "toloka", destination=dlt.destinations.duckdb(self.connection), dataset_name="toloka_data"
        )
        self.versions: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        """What each object has been since the last event that a cursor tells of."""
        self.workers = 1
        self.is_sound = True
        self.is_at_rest = False

    def teardown(self) -> None:
        """Come to rest, if all went well so far."""
        try:
            if self.is_sound and not self.is_at_rest:
                self.come_to_rest()
        finally:
            self.api.stop()

    @initialize(history=st.lists(change, min_size=4, max_size=12), workers=st.sampled_from([1, 1, 3]))
    def begin(self, history: list[Change], workers: int) -> None:
        """Give the account some history."""
        self.workers = workers
        self.happen(history)

    @rule(before=changes, during=during, rescan=rescans)
    def run(self, before: list[Change], during: list[list[Change]], rescan: float | None) -> None:
        """Run while something happens between any two requests."""
        self.happen(before)
        self.load(during, rescan)

    @rule(before=changes, during=during, rescan=rescans, fault=st.sampled_from(FAULTS), at=st.integers(1, 6))
    def fail(
        self, before: list[Change], during: list[list[Change]], rescan: float | None, fault: Fault, at: int
    ) -> None:
        """Run with a fault at some request: if it comes so far, nothing changes at the destination."""
        self.happen(before)
        dump = self.dump()
        self.api.fail(fault, at=at)
        try:
            self.load(during, rescan)
        except TolokaError:
            self.check(self.dump() == dump)
        finally:
            self.api.clear_faults()

    @precondition(lambda self: not self.is_at_rest)
    @rule()
    def come_to_rest(self) -> None:
        """Let the lag pass and run while nothing happens: the tables hold all that a cursor tells of."""
        self.clock.advance(seconds=LAG + 1)
        self.load([], None)
        self.is_at_rest = True
        for name, endpoint in DEFAULT_ENDPOINTS.items():
            for row, item in zip(self.warehouse.rows(name), getattr(self.account, name), strict=True):
                (expected,) = expected_rows([item], endpoint.schema)
                self.check(
                    all(
                        row[column] == expected[column]
                        for column in ("id", *(cursor.name for cursor in endpoint.cursors))
                    )
                )
                self.check(
                    row in [expected_rows([version], endpoint.schema)[0] for version in self.versions[name, item["id"]]]
                )

    @precondition(lambda self: self.is_at_rest)
    @rule()
    def run_idly(self) -> None:
        """Run once more: there is nothing to load."""
        dump = self.dump()
        report = self.load([], None)
        self.check([resource.rows for resource in report.resources] == [0, 0])
        self.check(self.dump() == dump)

    @rule()
    def read_everything_again(self) -> None:
        """Read everything while nothing happens: the tables equal the account."""
        self.load([], 0.0)
        for name, endpoint in DEFAULT_ENDPOINTS.items():
            objects = getattr(self.account, name)
            self.check(self.warehouse.rows(name) == expected_rows(objects, endpoint.schema))
            for item in objects:
                self.versions[name, item["id"]] = [item]

    def check(self, holds: bool) -> None:  # noqa: FBT001 - as `assert`
        """Assert, and remember a failure."""
        self.is_sound = self.is_sound and holds
        assert holds

    def load(self, during: Sequence[list[Change]], rescan: float | None) -> LoadReport:
        """Run while changes happen before the requests."""
        left = iter(during)
        self.api.before_request = lambda _number, _resource: self.happen(next(left, []))
        try:
            arguments = {"rescan_after_hours": rescan, "max_concurrency": self.workers}
            return load(self.warehouse.pipeline, self.warehouse.source(**arguments))
        except TolokaError:
            raise
        except BaseException:
            self.is_sound = False
            raise
        finally:
            self.api.before_request = None

    def happen(self, history: Sequence[Change]) -> None:
        """Change the account."""
        for event in history:
            self.is_at_rest = False
            self.clock.advance(seconds=event.seconds)
            self._happen(event.kind, event.number)

    def _happen(self, kind: str, number: int) -> None:
        account = self.account
        projects, trainings = account.ids("projects"), account.ids("trainings")
        if kind == "project" or not projects:
            self._note("projects", account.create_project(), is_event=True)
        elif kind == "training" or not trainings:
            self._note("trainings", account.create_training(projects[number % len(projects)]), is_event=True)
        elif kind == "start":
            self._note("trainings", account.start_training(trainings[number % len(trainings)]), is_event=True)
        elif kind == "close":
            self._note("trainings", account.close_training(trainings[number % len(trainings)]))
        elif kind == "archive":
            self._note("projects", account.archive_project(projects[number % len(projects)]))
        else:
            self._note("projects", account.edit_project(projects[number % len(projects)], public_name=f"{number}"))

    def _note(self, resource: str, item: dict[str, Any], *, is_event: bool = False) -> None:
        seen = self.versions[resource, item["id"]]
        if is_event:
            seen.clear()
        seen.append(item)

    def dump(self) -> Mapping[str, list[Any]]:
        """Return everything that the dataset holds, dlt's own tables included; the table of loads has idle ones too."""
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'toloka_data'"
        tables = [name for (name,) in self.connection.execute(query).fetchall() if name != "_toloka_loads"]
        return {name: self.connection.execute(f"FROM toloka_data.{name} ORDER BY ALL").fetchall() for name in tables}


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages of three objects, so that few objects fill several, and no second tries."""
    small = {name: replace(endpoint, page_size=3) for name, endpoint in DEFAULT_ENDPOINTS.items()}
    monkeypatch.setattr(source, "ENDPOINTS", MappingProxyType(small))
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")


@pytest.fixture
def fast_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return an open DuckDB file, in memory where the system has a folder there; dlt's folder is beside it."""
    memory = Path("/dev/shm")  # noqa: S108 - only a place
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        monkeypatch.setenv("DLT_DATA_DIR", f"{folder}/dlt")
        with duckdb.connect(f"{folder}/toloka.duckdb") as connection:
            connection.execute("SET threads = 1")
            yield connection


@pytest.fixture
def no_waste(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look for garbage rarely, and for a setting in the environment once: half of a run's time goes there."""
    monkeypatch.setattr(EnvironProvider, "get_value", functools.cache(EnvironProvider.get_value))
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    yield
    gc.set_threshold(*usual)
    gc.unfreeze()


@pytest.mark.usefixtures("small_pages", "no_waste")
@pytest.mark.parametrize("_part", range(PARTS))
@pytest.mark.slow
def test_no_history_loses_or_doubles_anything(
    fast_file: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, _part: int
) -> None:
    monkeypatch.setattr(History, "connection", fast_file, raising=False)
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=HISTORIES // PARTS,
            stateful_step_count=3 if HISTORIES <= 200 else 8,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
