"""Dagster's runs in two Celery workers that share nothing but Redis and PostgreSQL; one of them is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.celery.redis_server import ever_written, redis_server
from tests.conftest import assert_tables_equal_account
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
from tests.live.dagster_server import DagsterServer, dagster_process, dagster_server
from tests.live.waiting import wait_for
from tests.postgres import new_database

CELERY_YAML = "dagster_celery.yaml"
PROGRAMS = Path(sys.executable).parent
IN_A_WORKER = AT_ONCE // 2


@dataclass(frozen=True)
class Cluster:
    """What runs.

    Attributes:
        server: Dagster's web page, daemon and code server.
        one: A worker; it leads its group of processes.
        two: The other one.
        warehouse: Where the tables are.
        storage: Where Dagster has its runs.
        redis: Redis' URL.
        folder: Where all of them have their files.
    """

    server: DagsterServer
    one: subprocess.Popen[bytes]
    two: subprocess.Popen[bytes]
    warehouse: str
    storage: str
    redis: str
    folder: Path


@contextmanager
def celery_worker(folder: Path, variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker as the guide says, with all its files in this folder."""
    options = f"-Q dagster -n {folder.name}@%h --concurrency {IN_A_WORKER} --max-tasks-per-child 1 --disable-prefetch"
    command = [str(PROGRAMS / "celery"), "-A", "dagster_celery.app", "worker", *options.split()]
    with dagster_process(command, folder, variables, CELERY_YAML) as process:
        yield process


@pytest.fixture(scope="module")
def api() -> Iterator[HoldingEmulator]:
    """Serve the account."""
    with HoldingEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def cluster(api: HoldingEmulator, postgres: str) -> Iterator[Cluster]:
    """Run Dagster on Redis and PostgreSQL, with two workers."""
    warehouse, storage = new_database(postgres), new_database(postgres)
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="toloka-dagster-")))
        for name in ("redis", "main", "one", "two"):
            (folder / name).mkdir()
        redis = running.enter_context(redis_server(folder / "redis"))
        places = {
            "DAGSTER_POSTGRES_URL": storage.replace("postgresql:", "postgresql+psycopg2:"),
            "CELERY_BROKER_URL": redis,
            "CELERY_RESULT_BACKEND": redis,
        }
        variables = {**settings(api, warehouse), **places}
        server = running.enter_context(dagster_server(folder / "main", PROGRAMS, variables, CELERY_YAML))
        one, two = (running.enter_context(celery_worker(folder / name, variables)) for name in ("one", "two"))
        yield Cluster(server, one, two, warehouse, storage, redis, folder)


def wait_for_next_check(cluster: Cluster, run_id: str) -> None:
    """Wait until run monitoring has asked for a run once more."""
    log = cluster.folder / "main" / "log"
    asked = log.read_text().count(f"Checking run {run_id}")
    wait_for(lambda: log.read_text().count(f"Checking run {run_id}") > asked, 90)


def test_what_is_killed_with_a_worker_is_done_by_the_other(cluster: Cluster, api: HoldingEmulator) -> None:
    server = cluster.server
    backfill = server.launch_backfill(KEYS)
    wait_for(lambda: len(api.half_read()) == AT_ONCE, 120)
    begun = [run["runId"] for run in server.runs(dagster__backfill=backfill) if run["status"] == "STARTED"]
    lost = {run_id for run_id in begun if os.getpgid(server.pid(run_id)) == cluster.one.pid}
    assert len(lost) == IN_A_WORKER
    alone, spared = set(begun) - lost
    wait_for_next_check(cluster, spared)
    os.killpg(cluster.one.pid, signal.SIGKILL)
    os.kill(server.pid(alone), signal.SIGKILL)  # its worker goes on
    api.go_on()

    wait_for(lambda: server.backfill_status(backfill) != "REQUESTED", 300)
    runs = server.runs(dagster__backfill=backfill)
    assert {run["runId"] for run in runs if run["status"] == "FAILURE"} == {alone, *lost}
    assert [run["status"] for run in runs if run["runId"] not in {alone, *lost}] == ["SUCCESS"] * MONTHS
    retries = [run for run in runs if "dagster/retry_number" in run["tags"]]
    assert {run["parentRunId"] for run in retries} == {alone, *lost}
    assert most_at_once(runs) == AT_ONCE


def test_the_tables_equal_the_account(cluster: Cluster, api: HoldingEmulator) -> None:
    cluster.server.launch("toloka")  # the current month
    wait_for(lambda: cluster.server.runs()[0]["status"] == "SUCCESS", 90)
    assert_tables_equal_account(Tables(api, cluster.warehouse))


def rows_as_text(url: str) -> str:
    """Return all that is in a database's tables."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        text = []
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT t::text FROM {table} t")  # noqa: S608 - a name of Dagster's
            text += [str(row) for row in cursor.fetchall()]
    return "\n".join(text)


def test_no_secret_is_kept_or_shown(cluster: Cluster) -> None:
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert len([path for path in files if path.name == "log"]) == 4
    text = "\n".join(path.read_text(errors="replace") for path in files)
    told, stored = ever_written(cluster.folder / "redis"), rows_as_text(cluster.storage)
    assert "execute_job_args_packed" in told
    assert "Executing steps in process" in stored
    for secret in (TOKEN, str(urlsplit(cluster.warehouse).password), str(urlsplit(cluster.redis).password)):
        assert [secret in found for found in (text, told, stored)] == [False] * 3
