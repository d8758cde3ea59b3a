"""One run of one rival: each phase in a process of its own, measured from outside and from inside."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.benchmarks import environments
from tests.benchmarks.server import Control


@dataclass(frozen=True)
class Phase:
    """What is measured.

    Attributes:
        state: The account's state by then.
        does: The rival's function.
        options: What the rival's command takes for it, if it has one.
    """

    state: int
    does: str
    options: tuple[str, ...] = ()


PHASES = {
    "first_load": Phase(0, "first_load"),
    "increment": Phase(1, "increment"),
    "idle": Phase(2, "increment"),
    "rescan": Phase(2, "rescan", ("--full",)),
    "rescan_edited": Phase(3, "rescan", ("--full",)),
}
"""By name, in their order: each goes on with what the one before has left."""


@dataclass(frozen=True)
class Result:
    """One phase of one run; times in seconds.

    Attributes:
        phase: Which.
        alone: Time of the load's call, without the process's start and imports.
        whole: Time of the whole process.
        cpu: CPU time of the whole process.
        peak_mb: Peak memory of the largest process.
        requests: What the server was asked.
        written: Rows written into the two tables.
        server_cpu: The server's own CPU time, to see that it isn't what the load waits for.
    """

    phase: str
    alone: float
    whole: float
    cpu: float
    peak_mb: float
    requests: int
    written: int
    server_cpu: float


LIMIT_SECONDS = 600.0
"""What a process may take unless another limit is given."""


class FailedError(Exception):
    """A load that didn't end well, or whose tables don't hold what they should; says what."""


class TooSlowError(Exception):
    """A process took longer than the limit, and was ended."""


@dataclass(frozen=True)
class Usage:
    """What a process took. Times in seconds."""

    seconds: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Contest:
    """A server, how a load is measured on it, and how many seconds a process may take."""

    control: Control
    latency: float
    limit: float

    def run(self, rival: str, python: Path) -> Iterator[Result]:
        """Go through all phases, and check the tables after each; yield a result for each.

        Raises:
            FailedError: A phase failed or lost rows.
            TooSlowError: A phase took longer than the limit.
        """
        command = environments.RIVALS[rival].command
        with temporary_folder() as alone, temporary_folder() as whole:
            for name, phase in PHASES.items():
                worker = [str(python), "-m", "tests.benchmarks.worker", rival, phase.does, self.control.base_url]
                usage = self._measure(rival, worker, alone, phase.state)
                inside = json.loads((alone / f"{phase.does}.json").read_text(encoding="utf-8"))
                if command:
                    script = [str(python), str(environments.ROOT / command[0]), *command[1:], *phase.options]
                    usage = self._measure(rival, script, whole, phase.state)
                told = self.control.tell()
                for folder in {alone, whole} if command else {alone}:
                    self._check(rival, python, name, folder)
                yield Result(
                    phase=name,
                    alone=inside["seconds"],
                    whole=usage.seconds,
                    cpu=usage.cpu,
                    peak_mb=usage.peak_mb,
                    requests=told["requests"],
                    written=inside["written"],
                    server_cpu=told["cpu"],
                )

    def _measure(self, rival: str, command: list[str], folder: Path, state: int) -> Usage:
        self.control.begin(state, self.latency)
        return run_process(rival, command, folder, self.control.base_url, self.limit)

    def _check(self, rival: str, python: Path, phase: str, folder: Path) -> None:
        base_url = self.control.base_url
        worker = [str(python), "-m", "tests.benchmarks.worker", rival, "check", base_url]
        run_process(rival, worker, folder, base_url, self.limit)
        found = json.loads((folder / "check.json").read_text(encoding="utf-8"))
        expected = self.control.tell()["facts"]
        if found != expected:
            raise FailedError(f"{phase} left {found} instead of {expected}")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for as long as it is used."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def run_process(rival: str, command: list[str], folder: Path, base_url: str, limit: float = LIMIT_SECONDS) -> Usage:
    """Run a command; its children count, if it waits for them.

    Raises:
        FailedError: It didn't end well.
        TooSlowError: It took longer than the limit; it is ended, and its children too.
    """
    # A child's peak memory begins with that of the process that started it: nothing large is imported here.
    log = folder / "log.txt"
    with log.open("wb") as output:
        started = perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environments.variables(folder, base_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # so that its children can be ended with it
        )
        timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            timer.cancel()
            if process.returncode is None:  # the benchmark itself is being ended
                os.killpg(process.pid, signal.SIGKILL)
        seconds = perf_counter() - started
    if seconds >= limit and process.returncode == -signal.SIGKILL:
        raise TooSlowError
    if process.returncode != 0:
        text = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
        raise FailedError(f"{rival} ended with {process.returncode}: {text[-1500:]}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
