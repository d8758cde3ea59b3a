"""Ctrl-C and SIGTERM, in a terminal and outside of one: the command ends soon, in one line, and leaves no process."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread

import psycopg2
import pytest

from tests.amounts import each_once
from tests.cli.test_command import PROGRAM, configured
from tests.conftest import Warehouse, bare, fill
from toloka_source.emulator import Emulator, Fault

__all__ = ["configured"]  # fixtures

pytest_plugins = ["tests.postgres"]

BACKFILL = ("backfill", "--start-date", "2026-01-01", "--end-date", "2026-03-01")

SAID = "error: interrupted; the next run goes on from the last complete one"

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}

LOST_SECONDS = 5
"""A machine with other things to do takes longer than the two seconds that are promised; dlt alone waits for ever."""


class Run:
    """The command, in a process group and perhaps a terminal of its own."""

    def __init__(self, number: signal.Signals, *words: str) -> None:
        """Start it; what it says is read all the time, as a terminal does."""
        command, ours = [*PROGRAM, *words], {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
        self.number = number
        if is_terminal := number == signal.SIGINT:
            self._screen, theirs = pty.openpty()
        else:
            self._screen, theirs = os.pipe()
        inputs = theirs if is_terminal else subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, env=ours, stdin=inputs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError), os.fdopen(self._screen, errors="replace", newline="\n") as screen:  # a closed terminal
            while text := screen.read(1):
                self.shown += text

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        while not is_reached():
            assert self.process.poll() is None, self.shown
            time.sleep(0.01)

    def interrupt(self) -> tuple[int, float]:
        """Send the signal to all of its processes, as a terminal does; return the exit code and the seconds."""
        began = time.monotonic()
        os.killpg(self.process.pid, self.number)
        code = self.process.wait(60)
        seconds = time.monotonic() - began
        self._reader.join(60)  # whatever process of it is left would hold the other end
        assert not self._reader.is_alive()
        return code, seconds

    @property
    def lines(self) -> list[str]:
        """What is said, without what moves a terminal's cursor."""
        return re.sub(r"\x1b\[[0-9;?]*\w", "", self.shown).replace("\r", "\n").strip().splitlines()


def assert_ended(run: Run, said: str = SAID) -> None:
    code, seconds = run.interrupt()
    assert code == CODES[run.number], run.shown
    assert bare(run.lines[-1]) == said
    assert seconds < LOST_SECONDS
    assert len(re.findall("interrupted", run.shown)) == 1
    for noise in ("Traceback", "Exception", "already executing", "shut down", "pool", "WARNING"):
        assert noise not in run.shown
    if "\x1b[?25l" in run.shown:  # a bar hides the cursor
        assert run.shown.rindex("\x1b[?25h") > run.shown.rindex("\x1b[?25l")


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM], ids=["SIGINT in a terminal", "SIGTERM elsewhere"])
def number(request: pytest.FixtureRequest) -> signal.Signals:
    return signal.Signals(request.param)


@pytest.mark.parametrize(
    "fault", [Fault.hang(60), Fault.status(429, retry_after=30)], ids=["no answer", "told to wait"]
)
def test_a_load_that_waits_for_the_api(
    configured: Emulator, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, fault: Fault
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "3")
    configured.fail(fault, times=None)
    run = Run(number, "load")
    run.wait_until(lambda: len(configured.requests) > 1)
    assert_ended(run)


@pytest.mark.parametrize(
    ("step", "number"),
    each_once(["Extract", "Normalize", "Load"], [signal.SIGINT, signal.SIGTERM]),
    indirect=["number"],
)
@pytest.mark.slow
def test_a_load_that_works(configured: Emulator, number: signal.Signals, step: str) -> None:
    fill(configured.account, 2_500, 2_500)
    run = Run(number, "load")
    run.wait_until(lambda: f"{step} toloka" in run.shown and len(configured.requests) > 10)
    assert_ended(run)
    again = subprocess.run([*PROGRAM, "load"], capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    assert [Warehouse(configured).count(name) for name in ("projects", "trainings")] == [2_500, 2_500]


@contextmanager
def locked_tables(url: str) -> Iterator[None]:
    """Keep everybody from the tables."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE toloka_data.projects IN ACCESS EXCLUSIVE MODE")
        yield


def someone_waits(url: str) -> bool:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() != (0,)


@pytest.mark.slow
def test_a_load_that_waits_for_the_destination(
    configured: Emulator,
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres_database)
    configured.account.create_project()
    load = ("load", "--destination", "postgres")
    subprocess.run([*PROGRAM, *load], capture_output=True, check=True)
    configured.account.create_project()
    configured.account.clock.advance(hours=1)
    with locked_tables(postgres_database):
        run = Run(number, *load)
        run.wait_until(lambda: someone_waits(postgres_database))
        assert_ended(run)


def test_a_demo(number: signal.Signals) -> None:
    run = Run(number, "demo")
    run.wait_until(lambda: "toloka_demo" in run.shown)
    assert_ended(run, "error: interrupted; the next one begins anew")


@pytest.mark.slow
def test_a_back_fill(configured: Emulator, number: signal.Signals) -> None:
    configured.fail(Fault.hang(60), times=None)
    run = Run(number, *BACKFILL)
    run.wait_until(lambda: len(configured.requests) > 1)
    assert_ended(run, "error: interrupted; the windows above are loaded")
    assert [path.name for path in Path("dlt/pipelines").iterdir() if path.is_dir()] == []


def test_a_back_fill_whose_workers_only_start(configured: Emulator) -> None:
    run = Run(signal.SIGINT, *BACKFILL)
    children = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children")
    run.wait_until(lambda: len(children.read_text().split()) > 1)  # the first one only tracks what processes share
    assert_ended(run, "error: interrupted; the windows above are loaded")
    assert configured.requests == []


def test_a_back_fill_in_the_middle_of_starting_a_worker(configured: Emulator) -> None:
    command = """
import os, signal, sys, time
from multiprocessing import util
from toloka_source.cli import main

spawn = util.spawnv_passfds

def interrupted(path, words, files):
    child = spawn(path, words, files)
    if "spawn_main" in str(words):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
    return child

util.spawnv_passfds = interrupted
sys.exit(main(sys.argv[1:]))
"""
    run = subprocess.run([sys.executable, "-c", command, *BACKFILL], capture_output=True, text=True, check=False)
    *_, last = bare(run.stderr).splitlines()
    assert (run.returncode, last) == (130, "error: interrupted; the windows above are loaded")
    assert "Traceback" not in run.stderr
    assert configured.requests == []


@pytest.mark.slow
def test_a_command_that_shall_ignore_ctrl_c_does(configured: Emulator) -> None:
    ignored = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    configured.fail(Fault.hang(2), times=1)
    run = subprocess.Popen([sys.executable, "-c", ignored, *PROGRAM, "load"], stderr=subprocess.DEVNULL)
    while len(configured.requests) < 2:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 0
