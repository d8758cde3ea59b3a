"""The DAGs in a real Airflow: on schedule, killed, back-filled, and looked at in a browser.

`TOLOKA_PICTURES=docs/pictures` keeps the pictures that the documentation shows.
"""

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import NOON
from tests.live.airflow_runs import SECONDS, TOKEN, Killer, assert_right, connection, ended
from tests.live.airflow_server import AirflowServer, airflow_server
from tests.live.browser import browser_page
from tests.live.waiting import wait_for
from toloka_source.emulator import Account, Clock, Emulator

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "airflow.md").read_text()


@pytest.fixture(scope="module")
def api() -> Iterator[Emulator]:
    """Serve an account with a history."""
    account = Account.lifelike(projects=1000, clock=Clock(NOON))
    with Emulator(account, tokens=[TOKEN]) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def server(api: Emulator, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """Run Airflow, set up by its guide: a pool and a connection."""
    folder = tmp_path_factory.mktemp("airflow")
    programs = Path(os.environ["TOLOKA_ENVIRONMENTS"]).absolute() / "live-airflow" / "bin"
    settings = {
        "TOLOKA_SCHEDULE": "* * * * * */10",
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        "RUNTIME__LOG_LEVEL": "INFO",
    }
    example = re.search(r"```py\n(.*?)```", GUIDE, re.DOTALL)
    assert example
    with airflow_server(folder, programs, settings, after_projects=example[1]) as running:
        running.call("POST", "pools", name="toloka", slots=4)
        running.call("POST", "connections", **connection(api, postgres))
        for dag in ("after_projects", "toloka_backfill", "toloka"):
            wait_for(lambda dag=dag: running.knows(dag), SECONDS)  # type: ignore[misc] # a lambda's default
            running.call("PATCH", f"dags/{dag}", is_paused=dag == "toloka")
        yield running


def pid_of_running_task(server: AirflowServer, dag: str) -> int | None:
    """Return the process of the task that a DAG's newest run is at."""
    tasks = server.tasks(server.runs(dag)[-1]).values()
    return next((task["pid"] for task in tasks if task["state"] == "running"), None)


def kill_running_task(server: AirflowServer, dag: str) -> None:
    """Kill the process of the task that a DAG's newest run is at."""
    os.kill(wait_for(lambda: pid_of_running_task(server, dag), SECONDS), signal.SIGKILL)


def not_at_work(server: AirflowServer, dag: str) -> bool:
    """Tell whether no task of a paused DAG works or is about to; a run that waits for its task stays as it is."""
    tasks = [task for run in server.runs(dag) for task in server.tasks(run).values()]
    return not {task["state"] for task in tasks} & {"queued", "running", "up_for_retry"}


def rows(server: AirflowServer, run: Mapping[str, Any]) -> dict[str, int]:
    """Return how many rows of each table a run of `toloka` loaded."""
    return {resource["name"]: resource["rows"] for resource in server.returned(run, "load")["resources"]}


def test_on_schedule_and_killed_in_the_middle(server: AirflowServer, api: Emulator, postgres: str) -> None:
    killer = Killer(api, 3)
    server.call("PATCH", "dags/toloka", is_paused=False)
    killer.kill(lambda: kill_running_task(server, "toloka"))
    first = ended(server, "toloka", 0)
    assert first["run_type"] == "scheduled"
    assert server.tasks(first)["load"]["try_number"] == 2
    assert rows(server, first) == {"projects": 1000, "trainings": 750}

    number = len(server.runs("toloka"))
    api.account.clock.advance(hours=1)
    api.account.create_project()
    ended(server, "toloka", number)
    server.call("PATCH", "dags/toloka", is_paused=True)
    wait_for(lambda: not_at_work(server, "toloka"), SECONDS)
    runs = [run for run in server.runs("toloka") if run["state"] == "success"]
    assert {run["run_type"] for run in runs} == {"scheduled"}
    assert sum(rows(server, run)["projects"] for run in runs) == 1001
    assert_right(postgres, api.account)

    followers = [ended(server, "after_projects", 0), ended(server, "after_projects", 1)]
    assert len(server.runs("after_projects")) == 2
    assert [run["run_type"] for run in followers] == ["asset_triggered"] * 2
    assert [server.returned(run, "count") for run in followers] == [[1000], [1]]


def test_half_a_year_is_back_filled(server: AirflowServer, api: Emulator, postgres_database: str) -> None:
    server.call("PATCH", "connections/toloka", **connection(api, postgres_database))
    killer = Killer(api, 2)
    conf = {"start": "2025-09-01", "end": "2026-03-01"}
    server.call("POST", "dags/toloka_backfill/dagRuns", logical_date=None, conf=conf)
    killer.kill(lambda: kill_running_task(server, "toloka_backfill"))
    run = ended(server, "toloka_backfill", 0)
    tasks = server.tasks(run)
    windows = ["20251001_20251101", "20251101_20251201", "20251201_20260101", "20260101_20260201", "20260201_20260301"]
    others = {f"other_windows {window}" for window in windows}
    assert set(tasks) == {"split", "first_window", "new_projects", "new_trainings", *others}
    assert {task["state"] for task in tasks.values()} == {"success"}
    assert tasks["first_window"]["try_number"] == 2
    assert tasks["first_window"]["end_date"] <= min(tasks[name]["start_date"] for name in others)
    assert_right(postgres_database, api.account, start="2025-09-01", end="2026-03-01")


def test_lines_of_dlt_are_in_the_log_at_their_level(server: AirflowServer) -> None:
    lines = [
        json.loads(line)
        for file in (server.home / "logs").rglob("task_id=*/**/*.log")
        for line in file.read_text().splitlines()
    ]
    assert {line["level"] for line in lines if line["logger"] == "dlt"} == {"info"}
    assert not [line for line in lines if line["logger"] in ("task.stderr", "task.stdout")]
    assert [line["event"] for line in lines if line["level"] in ("warning", "error")] == []


def test_no_secret_is_kept_or_shown(server: AirflowServer, postgres: str) -> None:
    shown = [json.dumps(server.call("GET", "connections/toloka"))]
    kept = [file.read_text() for pattern in ("*.txt", "logs/**/*.log") for file in server.home.glob(pattern)]
    assert len(kept) > 20
    for secret in (TOKEN, str(urlsplit(postgres).password)):
        assert not [text for text in shown + kept if secret in text]


def test_it_can_be_seen(server: AirflowServer, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TOLOKA_PICTURES", tmp_path)).absolute()
    run = server.runs("toloka_backfill")[0]["dag_run_id"]
    asset = next(asset["id"] for asset in server.call("GET", "assets")["assets"] if asset["name"] == "toloka_projects")
    with browser_page() as page:
        for name, path, text in (
            ("airflow-backfill", f"dags/toloka_backfill/runs/{run}", "20260201_20260301"),
            ("airflow-assets", f"assets/{asset}", "after_projects"),
        ):
            page.goto(f"{server.url}/{path}")
            page.get_by_text(text).first.wait_for()
            page.wait_for_load_state("networkidle")
            page.screenshot(path=pictures / f"{name}.png")
