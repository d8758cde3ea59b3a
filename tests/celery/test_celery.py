"""The DAGs in a real Airflow with two Celery workers that share nothing but Redis, PostgreSQL and Airflow's API."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.celery.redis_server import ever_written, redis_server
from tests.celery.worker import AT_ONCE, Worker, celery_worker
from tests.conftest import NOON
from tests.live.airflow_runs import SECONDS, TOKEN, Killer, assert_right, connection, ended
from tests.live.airflow_server import AirflowServer, airflow_server, running_processes
from tests.live.waiting import wait_for
from tests.postgres import new_database
from toloka_source.emulator import Account, Clock, Emulator

YEAR = {"start": "2025-03-01", "end": "2026-03-01"}

SETTINGS = {
    "TOLOKA_SCHEDULE": "@once",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
    # a lost worker is noticed in seconds, as the guide says
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
}


@dataclass(frozen=True)
class Cluster:
    """What runs.

    Attributes:
        server: Airflow's API server, scheduler and DAG processor.
        workers: Two of them.
        folder: Where all of them have their files.
        secrets: What nobody may show.
    """

    server: AirflowServer
    workers: tuple[Worker, Worker]
    folder: Path
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
def api() -> Iterator[Emulator]:
    """Serve an account with a history."""
    with Emulator(Account.lifelike(projects=1000, clock=Clock(NOON)), tokens=[TOKEN]) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def cluster(api: Emulator, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run Airflow on Redis and PostgreSQL, with two workers."""
    folder = tmp_path_factory.mktemp("celery")
    for name in ("redis", "airflow", "one", "two"):
        (folder / name).mkdir()
    database = new_database(postgres)
    with ExitStack() as running:
        redis = running.enter_context(redis_server(folder / "redis"))
        places = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql:", "postgresql+psycopg2:"),
            "AIRFLOW__CELERY__BROKER_URL": redis,
        }
        programs = Path(sys.executable).parent
        server = running.enter_context(airflow_server(folder / "airflow", programs, SETTINGS | places))
        one, two = (running.enter_context(celery_worker(server, folder / name)) for name in ("one", "two"))
        server.call("POST", "pools", name="toloka", slots=2 * AT_ONCE)
        server.call("POST", "connections", **connection(api, postgres))
        for dag in ("toloka_backfill", "toloka"):
            wait_for(lambda dag=dag: server.knows(dag), SECONDS)  # type: ignore[misc] # a lambda's default
        secrets = tuple(str(urlsplit(url).password) for url in (postgres, redis))
        yield Cluster(server, (one, two), folder, (TOKEN, *secrets))


def command_lines() -> str:
    """Return the command lines of what runs on this machine."""
    lines = []
    for pid in running_processes():
        with suppress(FileNotFoundError, ProcessLookupError):
            lines.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(lines)


def shown_secrets(cluster: Cluster, text: str) -> list[str]:
    """Return the secrets that a text holds."""
    return [secret for secret in cluster.secrets if secret in text]


def test_a_regular_run(cluster: Cluster, api: Emulator, postgres: str) -> None:
    cluster.server.call("PATCH", "dags/toloka", is_paused=False)
    tasks = cluster.server.tasks(ended(cluster.server, "toloka", 0))
    assert {task["try_number"] for task in tasks.values()} == {1}
    assert_right(postgres, api.account)


def running_windows(server: AirflowServer) -> set[str] | None:
    """Return the windows that are loaded now, when it's as many as both workers take."""
    tasks = server.tasks(server.runs("toloka_backfill")[0]).values()
    found = {mapped_name(task) for task in tasks if task["state"] == "running"}
    return found if len(found) == 2 * AT_ONCE else None


def mapped_name(task: Mapping[str, Any]) -> str:
    """Return a task's name, with its number if it is mapped, as a worker's logs have it."""
    return f"{task['task_id']} {task['map_index']}" if task["map_index"] >= 0 else str(task["task_id"])


def test_a_year_is_back_filled_though_a_worker_is_lost(cluster: Cluster, api: Emulator, postgres_database: str) -> None:
    server, (one, two) = cluster.server, cluster.workers
    server.call("PATCH", "connections/toloka", **connection(api, postgres_database))
    lost: set[str] = set()

    def lose_a_worker() -> None:
        running = wait_for(lambda: running_windows(server), SECONDS)
        assert shown_secrets(cluster, command_lines()) == []
        two.kill()
        lost.update(running & two.attempts("toloka_backfill").keys())

    killer = Killer(api, 8)  # the first window takes fewer
    server.call("PATCH", "dags/toloka_backfill", is_paused=False)
    server.call("POST", "dags/toloka_backfill/dagRuns", logical_date=None, conf=YEAR)
    killer.kill(lose_a_worker)
    tasks = server.tasks(ended(server, "toloka_backfill", 0)).values()
    assert {task["state"] for task in tasks} == {"success"}
    assert len([task for task in tasks if task["task_id"] == "other_windows"]) == 11
    assert_right(postgres_database, api.account, **YEAR)

    assert len(lost) == AT_ONCE
    assert {mapped_name(task) for task in tasks if task["try_number"] == 2} == lost
    assert {task["try_number"] for task in tasks} == {1, 2}
    assert {name: one.attempts("toloka_backfill")[name] for name in lost} == {name: [2] for name in lost}


def test_no_secret_is_kept_or_shown(cluster: Cluster) -> None:
    files = [file for file in cluster.folder.rglob("*") if file.is_file()]
    assert {"api-server.txt", "scheduler.txt", "dag-processor.txt", "celery.txt"} <= {file.name for file in files}
    assert len([file for file in files if file.match("attempt=*.log")]) > 15
    shown = {file: shown_secrets(cluster, file.read_text(errors="replace")) for file in files}
    assert {file: secrets for file, secrets in shown.items() if secrets} == {}

    told = ever_written(cluster.folder / "redis")
    assert re.search(r"task_id\W+other_windows", told)
    assert shown_secrets(cluster, told) == []
