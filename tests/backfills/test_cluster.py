"""Back-fills by the workers of a Dask cluster, which have what is secret in environments of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import dlt
import pytest

from tests.backfills.year import YEAR, Place
from toloka_source import Window, backfill
from toloka_source.backfills import engines
from toloka_source.emulator import Emulator, Fault
from toloka_source.errors import ConfigurationError

pytest_plugins = ["tests.backfills.year_fixtures"]

DASK = (sys.executable, "-m", "dask")
ON_LOOPBACK = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
SECRETS = ("SOURCES__TOLOKA__TOKEN", "DESTINATION__POSTGRES__CREDENTIALS")
TOKEN = "Bearer-of-a-secret"  # noqa: S105


@contextmanager
def running(log: Path, *command: str, more: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of Dask's, with a log of its own."""
    with (
        log.open("wb") as out,
        subprocess.Popen([*DASK, *command], stdout=out, stderr=out, env={**os.environ, **(more or {})}) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """Run a scheduler; return its address."""
    file = tmp_path / "scheduler.json"
    command = ("scheduler", "--port", "0", *ON_LOOPBACK, "--scheduler-file", str(file))
    # it tries a killed worker's task three times itself unless it is told otherwise
    with running(tmp_path / "scheduler.log", *command, more={"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}):
        text = wait_for(lambda: file.exists() and file.read_text())
        yield text.partition('"address": "')[2].partition('"')[0]


@pytest.fixture
def place(new_database: Callable[[], Place]) -> Place:
    """Return an empty database."""
    return new_database()


@contextmanager
def workers(scheduler: str, place: Place, tmp_path: Path, number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run workers as machines of their own: each with its folder, and with what is secret."""
    with ExitStack() as stack:
        processes = []
        for name in map(str, range(number)):
            command = ("worker", scheduler, "--no-nanny", "--nthreads", "1", "--name", name, *ON_LOOPBACK)
            values = (TOKEN, place.destination.config_params["credentials"])
            more = {**dict(zip(SECRETS, values, strict=True)), "DLT_DATA_DIR": str(tmp_path / f"worker-{name}")}
            processes.append(stack.enter_context(running(tmp_path / f"worker-{name}.log", *command, more=more)))
        yield processes


def kill_when_both_wait(year: Emulator, worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker in the middle of a window."""
    wait_for(lambda: [(one.resource, one.status) for one in year.requests].count(("projects", None)) == 2)
    worker.kill()


@pytest.mark.slow
def test_a_year_by_two_workers_of_which_one_is_killed(
    scheduler: str, place: Place, year: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded: list[Window] = []
    with workers(scheduler, place, tmp_path, 2) as processes:
        killing = Thread(target=kill_when_both_wait, args=(year, processes[0]))

        def see(window: Window, _report: object) -> None:
            loaded.append(window)
            if len(loaded) == 3:
                year.fail(Fault.hang(3), on="projects", times=4)
                killing.start()

        backfill(YEAR, "postgres", workers=2, scheduler=scheduler, base_url=year.base_url, on_loaded=see)
        killing.join()
    assert {request.headers["authorization"] for request in year.requests} == {f"OAuth {TOKEN}"}
    assert sorted(loaded, key=str) == sorted(YEAR, key=str)
    place.assert_complete(year.account)
    assert len([message for message in caplog.messages if "is started again" in message]) == 1
    assert sorted(path.name for path in tmp_path.glob("worker-?")) == ["worker-0", "worker-1"]
    logs = b"".join(path.read_bytes() for path in tmp_path.glob("*.log"))
    assert b"Register" in logs
    password = place.destination.config_params["credentials"].split(":")[2].split("@")[0]
    assert TOKEN.encode() not in logs
    assert password.encode() not in logs


@pytest.mark.parametrize(
    ("destination", "arguments", "said"),
    [
        ("duckdb", {}, "scheduler = .*: DuckDB is a file on one machine"),
        ("postgres", {"token": TOKEN}, r"token = '\*\*\*': isn't sent to a cluster"),
        (dlt.destinations.postgres("postgresql://me:word@localhost/db"), {}, r"destination = '\*\*\*': name it"),
        ("postgres", {}, "scheduler = 'tcp://127.0.0.1:9': can't be reached"),
    ],
)
def test_what_no_cluster_can_do(
    destination: Any, arguments: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_WORKERS_SECONDS", 1)
    with pytest.raises(ConfigurationError, match=said) as raised:
        backfill(YEAR, destination, scheduler="tcp://127.0.0.1:9", **arguments)
    assert TOKEN not in str(raised.value)


@pytest.mark.slow
def test_a_cluster_without_workers(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_WORKERS_SECONDS", 1)
    with pytest.raises(ConfigurationError, match=f"scheduler = '{scheduler}': has no workers"):
        backfill(YEAR, "postgres", scheduler=scheduler)
