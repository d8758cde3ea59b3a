"""A real Dagster: its daemon runs the schedule and a back-fill, and a run whose process is killed is run again.

With `TOLOKA_PICTURES` set to a folder, the pictures of its web page are put there.
"""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.conftest import assert_tables_equal_account
from tests.live.browser import browser_page
from tests.live.dagster_months import (
    AT_ONCE,
    KEYS,
    MONTHS,
    TOKEN,
    HoldingEmulator,
    Tables,
    most_at_once,
    settings,
)
from tests.live.dagster_server import LOCATION, SELECTOR, DagsterServer, dagster_server
from tests.live.waiting import wait_for
from tests.postgres import new_database


@pytest.fixture(scope="module")
def api() -> Iterator[HoldingEmulator]:
    """Serve the account."""
    with HoldingEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    """Return the URL of the warehouse."""
    return new_database(postgres)


@pytest.fixture(scope="module")
def server(api: HoldingEmulator, database: str) -> Iterator[DagsterServer]:
    """Run Dagster, with the pool's limit set and the schedule on; regular runs load nothing of the back-fill's."""
    minutely = {"TOLOKA_SCHEDULE": "* * * * *", "FRESHNESS_DAEMON_INTERVAL_SECONDS": "5"}
    variables = {**settings(api, database), **minutely}
    programs = Path(os.environ["TOLOKA_ENVIRONMENTS"]).absolute() / "live-dagster" / "bin"
    with (
        TemporaryDirectory(prefix="toloka-dagster-") as folder,
        dagster_server(Path(folder), programs, variables) as running,
    ):
        running.query(
            """mutation($schedule: ScheduleSelector!) {
            setConcurrencyLimit(concurrencyKey: "toloka", limit: 1)
            startSchedule(scheduleSelector: $schedule) { __typename } }""",
            schedule={**SELECTOR, "scheduleName": "toloka_schedule"},
        )
        yield running


@pytest.fixture(scope="module")
def backfill(server: DagsterServer) -> str:
    """Launch two regular runs beside the schedule's, and the back-fill of all twelve months; return its id."""
    server.launch("toloka")
    server.launch("toloka")
    return server.launch_backfill(KEYS)


def test_a_back_fill_goes_side_by_side_and_a_killed_run_is_run_again(
    server: DagsterServer, api: HoldingEmulator, backfill: str
) -> None:
    wait_for(lambda: len(api.half_read()) == AT_ONCE, 90)
    months = {run["tags"]["dagster/partition"]: run["runId"] for run in server.runs(dagster__backfill=backfill)}
    killed = months[api.half_read()[0]]
    os.kill(server.pid(killed), signal.SIGKILL)
    api.go_on()
    wait_for(lambda: server.backfill_status(backfill) != "REQUESTED", 300)
    runs = server.runs(dagster__backfill=backfill)
    ended = {run["runId"]: run["status"] for run in runs}
    assert ended.pop(killed) == "FAILURE"
    assert [*ended.values()] == ["SUCCESS"] * MONTHS
    assert [run["parentRunId"] for run in runs if "dagster/retry_number" in run["tags"]] == [killed]
    assert any("SIGKILL" in message for message in server.messages(killed))
    assert most_at_once(runs) == AT_ONCE


def test_the_schedule_loads_and_checks_both_tables(
    server: DagsterServer, api: HoldingEmulator, backfill: str, database: str
) -> None:
    assert backfill
    oldest_last = {"dagster__schedule_name": "toloka_schedule"}
    wait_for(lambda: [run["status"] for run in server.runs(**oldest_last)][-1:] == ["SUCCESS"], 90)
    passed = {"ids": "SUCCEEDED", "rejected_items": "SUCCEEDED"}
    wait_for(lambda: [table["checks"] for table in server.assets()] == [passed, passed], 30)
    tables = Tables(api, database)
    assert_tables_equal_account(tables)
    with tables.pipeline.sql_client() as client:
        query = "SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE %s"
        assert client.execute_sql(query, "toloka_data_staging_%") == [(0,)]  # what the windows made for themselves


def test_the_pool_lets_one_regular_run_load_at_a_time(server: DagsterServer, backfill: str) -> None:
    assert backfill
    runs = [run for run in server.runs() if run["jobName"] == "toloka" and run["endTime"]]
    assert len(runs) >= 3
    assert {run["status"] for run in runs} == {"SUCCESS"}
    loads = sorted((run["startTime"], run["endTime"]) for run in runs)
    assert [(before, after) for before, after in pairwise(loads) if after[0] < before[1]] == []


def test_the_daemon_finds_the_tables_fresh(server: DagsterServer, backfill: str) -> None:
    assert backfill
    wait_for(lambda: {table["freshness"] for table in server.assets()} == {"HEALTHY"}, 30)


def test_no_secret_is_in_a_file_or_a_run(server: DagsterServer, database: str) -> None:
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    assert any(path.name == "log" for path in files)
    for secret in (TOKEN, str(urlsplit(database).password)):
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
        assert secret not in str(server.runs())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return the folder for pictures; a relative one is the project's."""
    folder = Path(__file__).parents[2] / os.environ.get("TOLOKA_PICTURES", tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_web_page_shows_it(server: DagsterServer, backfill: str, pictures: Path) -> None:
    with browser_page(height=1000) as page:
        page.goto(f"{server.url}/locations/{LOCATION}/asset-groups/toloka/lineage")
        expect(page.get_by_text("2 / 2 Passed")).to_have_count(2, timeout=30_000)
        expect(page.get_by_text("Loading")).to_have_count(0)
        page.screenshot(path=pictures / "dagster-assets.png")

        page.goto(f"{server.url}/assets/toloka/projects?view=overview")
        expect(page.get_by_text("Passing").first).to_be_visible(timeout=30_000)
        expect(page.get_by_text("the project's id, a decimal number")).to_be_visible()
        page.screenshot(path=pictures / "dagster-table.png")

        page.goto(f"{server.url}/runs/b/{backfill}?tab=runs")
        expect(page.get_by_text("Re-execution")).to_be_visible(timeout=30_000)
        expect(page.get_by_text("Failure")).to_be_visible()
        page.screenshot(path=pictures / "dagster-backfill.png")
