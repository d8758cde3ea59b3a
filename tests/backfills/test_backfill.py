"""Back-fills by processes of this machine, and what comes of those that fail or are killed."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.backfills.year import MARCH, YEAR, Place
from toloka_source import LoadReport, Window, backfill, load_window
from toloka_source.emulator import Account, Clock, Emulator, Fault
from toloka_source.errors import (
    AuthenticationError,
    BackfillError,
    ConfigurationError,
    RejectedItemsError,
)

pytest_plugins = ["tests.backfills.year_fixtures"]

MONTHS = YEAR[:5]


@pytest.fixture
def postgres_place(new_database: Callable[[], Place]) -> Place:
    """Return an empty database."""
    return new_database()


@pytest.mark.slow
def test_months_by_four_workers(postgres_place: Place, year: Emulator, arguments: dict[str, Any]) -> None:
    seen: list[tuple[Window, LoadReport]] = []
    results = backfill(
        MONTHS, postgres_place.destination, workers=4, on_loaded=lambda *loaded: seen.append(loaded), **arguments
    )
    assert seen == results
    assert results[0][0] == MONTHS[0]
    assert sorted((window.start for window, _ in results), key=str) == [window.start for window in MONTHS]
    for window, report in results:
        assert [(one.window_start, one.window_end) for one in report.resources] == [(window.start, window.end)] * 2
        assert [len(info.loads_ids) for info in report.load_info] == [1]
    postgres_place.assert_complete(year.account, MONTHS)
    postgres_place.assert_swept()


@pytest.mark.slow
def test_duckdb_is_loaded_one_window_after_the_other(
    year: Emulator, arguments: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place("duckdb", tmp_path / "reader")
    assert [window for window, _ in backfill(MONTHS[1:3], "duckdb", workers=4, **arguments)] == MONTHS[1:3]
    assert caplog.messages == ["DuckDB takes one process at a time: the windows are loaded one after the other"]
    assert Path("toloka.duckdb").exists()
    Path("toloka.duckdb").rename("reader.duckdb")
    place.assert_complete(year.account, MONTHS[1:3])


def test_a_wrong_token_fails_once(postgres_place: Place, clock: Clock) -> None:
    with Emulator(Account(clock), tokens={"right"}) as api:
        with pytest.raises(AuthenticationError) as raised:
            backfill(YEAR, postgres_place.destination, token="wrong", base_url=api.base_url)  # noqa: S106
        assert 1 <= len(api.requests) <= 2
    assert "load_window" in "".join(raised.value.__notes__)


@pytest.mark.slow
def test_what_fails_does_not_stop_the_others(
    postgres_place: Place, year: Emulator, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    windows = YEAR[2:6]
    with pytest.raises(BackfillError, match="2 windows were not loaded") as raised:
        backfill(windows, postgres_place.destination, workers=2, strict=True, **arguments)
    assert sorted((window for window, _ in raised.value.loaded), key=str) == [YEAR[3], YEAR[4]]
    assert [window for window, _ in raised.value.failed] == [MARCH, YEAR[5]]
    assert all(isinstance(error, RejectedItemsError) for _, error in raised.value.failed)
    assert [message.partition(": ")[0] for message in caplog.messages] == [
        "window 20250301_20250401",
        "window 20250601_20250701",
    ]
    for window in (MARCH, YEAR[5]):
        load_window(window, postgres_place.destination, **arguments)
    postgres_place.assert_complete(year.account, windows)


@pytest.mark.slow
def test_no_window_is_begun_when_all_would_fail(
    postgres_place: Place, year: Emulator, arguments: dict[str, Any]
) -> None:
    def lose_the_right(_window: Window, _report: LoadReport) -> None:
        year.clear_requests()
        year.fail(Fault.status(401), times=None)

    with pytest.raises(BackfillError, match="11 windows were not loaded") as raised:
        backfill(YEAR, postgres_place.destination, workers=2, on_loaded=lose_the_right, **arguments)
    assert len(year.requests) <= 4
    assert all(isinstance(error, AuthenticationError) for _, error in raised.value.failed)


def kill_workers(times: int, done: Event, year: Emulator) -> None:
    """Kill whichever process asks for projects."""
    killed: set[int | None] = set()
    while len(killed) < times and not done.wait(0.02):
        for process in active_children():
            if process.pid not in killed and any(request.resource == "projects" for request in year.requests):
                os.kill(process.pid or 0, signal.SIGKILL)
                killed.add(process.pid)
                year.clear_requests()


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.slow
def test_killed_workers(
    postgres_place: Place, year: Emulator, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture, times: int
) -> None:
    year.fail(Fault.hang(60), on="projects", times=times)
    done = Event()
    killer = Thread(target=kill_workers, args=(times, done, year))
    killer.start()
    try:
        if times == 1:
            assert [window for window, _ in backfill([MARCH], postgres_place.destination, **arguments)] == [MARCH]
        else:
            with pytest.raises(BackfillError) as raised:
                backfill([MARCH], postgres_place.destination, **arguments)
            assert "killed 3 times" in str(raised.value.failed[0][1])
            load_window(MARCH, postgres_place.destination, **arguments)
    finally:
        done.set()
        killer.join()
    again = [message for message in caplog.messages if "is started again" in message]
    assert len(again) == min(times, 2)
    postgres_place.assert_complete(year.account, [MARCH])
    postgres_place.assert_swept()


def interrupt_when_asked(year: Emulator) -> None:
    """Do what Ctrl-C does, as soon as both workers wait for the API."""
    year.clear_requests()
    while len(year.requests) < 2:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_an_interrupt_ends_the_workers(postgres_place: Place, year: Emulator, arguments: dict[str, Any]) -> None:
    def interrupt(_window: Window, _report: LoadReport) -> None:
        year.fail(Fault.hang(60), times=None)
        Thread(target=interrupt_when_asked, args=(year,)).start()

    with pytest.raises(KeyboardInterrupt):
        backfill(YEAR, postgres_place.destination, workers=2, on_loaded=interrupt, **arguments)
    assert active_children() == []
    postgres_place.assert_swept()


@pytest.mark.slow
def test_no_secret_is_on_a_command_line(postgres_place: Place, year: Emulator, arguments: dict[str, Any]) -> None:
    year.fail(Fault.hang(1), on="projects")
    seen: list[bytes] = []
    done = Event()

    def look() -> None:
        while not done.wait(0.02):
            for process in active_children():
                seen.append(Path(f"/proc/{process.pid}/cmdline").read_bytes())  # noqa: PERF401

    looking = Thread(target=look)
    looking.start()
    backfill([MARCH], postgres_place.destination, **arguments)
    done.set()
    looking.join()
    password = postgres_place.destination.config_params["credentials"].split(":")[2].split("@")[0]
    assert any(b"spawn_main" in line for line in seen)
    assert not any(b"secret" in line or password.encode() in line for line in seen)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"workers": 0}, "workers = 0: must be 1 or more"),
        ({"workers": True}, "workers = True: must be 1 or more"),
        ({"views": "toloka_data"}, "views = 'toloka_data': holds the tables"),
        ({"start_date": "2026-01-01"}, "start_date = '2026-01-01': is the window's own"),
        ({"resources": ["tasks"]}, "resources = 'tasks': unknown"),
        ({"environment": "prod"}, "environment = 'prod': unknown"),
    ],
)
def test_arguments_that_cannot_work(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        backfill(YEAR, "duckdb", **{"token": "any", **arguments})


def test_a_destination_without_credentials() -> None:
    with pytest.raises(ConfigurationError, match="destination = 'postgres': Missing 1 field"):
        backfill(YEAR, "postgres", token="any")  # noqa: S106
