"""A real Dagster: its daemon runs the schedule and a back-fill, and a run whose process is killed is run again.

With `TOLOKA_PICTURES` set to a folder, the pictures of its web page are put there.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from playwright.sync_api import expect

from tests.conftest import assert_tables_equal_account
from tests.destinations.stores import PostgresStore
from tests.live.browser import browser_page
from tests.live.dagster_server import DagsterServer, dagster_server
from tests.live.waiting import wait_for
from toloka_source import ENDPOINTS
from toloka_source.emulator import Account, Clock, Emulator

pytest_plugins = ["tests.postgres"]

LOCATION = "dagster_definitions.py"
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
TOKEN = "token-that-nobody-may-see"  # noqa: S105 - a test's
MONTHS = 6
PROJECTS_A_MONTH = 310  # two pages
NOW = datetime.now(UTC)


def month_start(back: int) -> datetime:
    """Return the beginning of the current month, or of one so many months back."""
    months = NOW.year * 12 + NOW.month - 1 - back
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


KEYS = [f"{month_start(back):%Y-%m-%d}" for back in range(MONTHS, 0, -1)]


class Tables(PostgresStore):
    """The tables, whatever pipeline loaded them."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows in the order of ids as numbers, without dlt's own columns, JSON parsed."""
        rows = sorted(self.read(table), key=lambda row: (len(row["id"]), row["id"]))
        return [{name: row[name] for name in ENDPOINTS[table].schema.names} for row in rows]


def account_with_history() -> Account:
    """Return an account with six whole months, and some days or hours of the current one."""
    clock = Clock(month_start(MONTHS))
    account = Account(clock)
    for back in range(MONTHS, 0, -1):
        step = (month_start(back - 1) - month_start(back)) / PROJECTS_A_MONTH
        for number in range(PROJECTS_A_MONTH):
            clock.advance(step)  # the last one is made in the month's last moment, which is the next one's first
            project = account.create_project()
            if number % 3 == 0:
                account.create_training(project["id"])
    clock.set(NOW)
    for training in account.ids("trainings")[::100]:
        account.start_training(training)
    account.create_training(account.create_project()["id"])
    return account


@pytest.fixture(scope="module")
def api() -> Iterator[Emulator]:
    """Serve the account, slowly, so that a window can be seen half read."""
    with Emulator(account_with_history(), latency=4.0, tokens=[TOKEN]) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    """Return the URL of a new, empty database."""
    with closing(psycopg2.connect(postgres)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE dagster")
    return urlsplit(postgres)._replace(path="/dagster").geturl()


@pytest.fixture(scope="module")
def server(api: Emulator, database: str) -> Iterator[DagsterServer]:
    """Run Dagster, with the pool's limit set and the schedule on; regular runs load nothing of the back-fill's."""
    settings = {
        "SOURCES__TOLOKA__TOKEN": TOKEN,
        "SOURCES__TOLOKA__BASE_URL": api.base_url,
        "SOURCES__TOLOKA__START_DATE": month_start(0).isoformat(),
        "DESTINATION__POSTGRES__CREDENTIALS": database,
        "TOLOKA_DESTINATION": "postgres",
        "TOLOKA_SCHEDULE": "* * * * *",
        "TOLOKA_BACKFILL_START": KEYS[0],
        "FRESHNESS_DAEMON_INTERVAL_SECONDS": "5",
    }
    with TemporaryDirectory(prefix="toloka-dagster-") as folder, dagster_server(Path(folder), settings) as running:
        running.query(
            """mutation($schedule: ScheduleSelector!) {
            setConcurrencyLimit(concurrencyKey: "toloka", limit: 1)
            startSchedule(scheduleSelector: $schedule) { __typename } }""",
            schedule={**REPOSITORY, "scheduleName": "toloka_schedule"},
        )
        yield running


@pytest.fixture(scope="module")
def backfill(server: DagsterServer) -> str:
    """Launch two regular runs beside the schedule's, and the back-fill of all six months; return its id."""
    regular = {"selector": {**REPOSITORY, "jobName": "toloka"}, "mode": "default", "runConfigData": {}}
    months = {"assetSelection": [{"path": ["toloka", "backfill"]}], "partitionNames": KEYS}
    launched = server.query(
        """mutation($regular: ExecutionParams!, $months: LaunchBackfillParams!) {
        one: launchRun(executionParams: $regular) { __typename }
        two: launchRun(executionParams: $regular) { __typename }
        launchPartitionBackfill(backfillParams: $months) { ... on LaunchBackfillSuccess { backfillId } } }""",
        regular=regular,
        months=months,
    )
    backfill_id: str = launched["launchPartitionBackfill"]["backfillId"]
    return backfill_id


def statuses(api: Emulator) -> dict[str, set[int | None]]:
    """Return how the requests for each month's projects were answered; None: not yet."""
    asked = [request for request in api.requests if request.resource == "projects"]
    return {
        key: {request.status for request in asked if request.params.get("created_gt") == f"{key}T00:00:00.000"}
        for key in KEYS
    }


def kill_one(server: DagsterServer, api: Emulator, backfill_id: str) -> str:
    """Kill the process of a run that is in the middle of its window; return the run's id, or nothing if none is."""
    half_read = [key for key, found in statuses(api).items() if {200, None} <= found]
    runs: dict[str, str] = {
        run["tags"]["dagster/partition"]: run["runId"] for run in server.runs(dagster__backfill=backfill_id)
    }
    for run_id in (runs[key] for key in half_read):
        for message in server.messages(run_id):
            if pid := re.fullmatch(r"Executing steps in process \(pid: (\d+)\)", message):
                os.kill(int(pid[1]), signal.SIGKILL)
                return run_id
    return ""


def test_a_back_fill_goes_side_by_side_and_a_killed_run_is_run_again(
    server: DagsterServer, api: Emulator, backfill: str
) -> None:
    wait_for(lambda: sum(None in found for found in statuses(api).values()) > 1, 90)  # two wait for an answer
    killed = wait_for(lambda: kill_one(server, api, backfill), 30)
    api.latency = 0.0
    document = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
        ... on PartitionBackfill { status } } }"""
    wait_for(lambda: server.query(document, id=backfill)["partitionBackfillOrError"]["status"] != "REQUESTED", 120)
    runs = server.runs(dagster__backfill=backfill)
    ended = {run["runId"]: run["status"] for run in runs}
    assert ended.pop(killed) == "FAILURE"
    assert [*ended.values()] == ["SUCCESS"] * MONTHS
    assert [run["parentRunId"] for run in runs if "dagster/retry_number" in run["tags"]] == [killed]
    assert any("SIGKILL" in message for message in server.messages(killed))


def test_the_schedule_loads_and_checks_both_tables(
    server: DagsterServer, api: Emulator, backfill: str, database: str
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


def test_the_token_is_in_no_file_and_in_no_run(server: DagsterServer) -> None:
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    assert any(path.name == "log" for path in files)
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN not in str(server.runs())


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
