"""One load of one rival: each phase in a process of its own, measured from outside and from inside."""

import json
import os
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
    "rescan": Phase(1, "rescan", ("--full",)),
    "rescan_edited": Phase(2, "rescan", ("--full",)),
}
"""By name, in their order: each goes on with what the one before has left."""

LIMIT_SECONDS = 1800


@dataclass(frozen=True)
class Result:
    """One phase of one run. Times in seconds; "alone" is the load's call without the process's start and imports."""

    rival: str
    phase: str
    objects: int
    latency: float
    run: int
    alone: float
    alone_cpu: float
    whole: float
    whole_cpu: float
    peak_mb: float
    requests: int
    rows: int
    server_cpu: float


class FailedError(Exception):
    """A load that didn't end well, or whose tables don't hold what they should; says what."""


@dataclass(frozen=True)
class Usage:
    """What a process took. Times in seconds."""

    seconds: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Contest:
    """A server, and how a load is measured on it."""

    control: Control
    objects: int
    latency: float

    def run(self, rival: str, python: Path, number: int) -> Iterator[Result]:
        """Go through all phases, and check the tables after each; yield a result for each.

        Raises:
            FailedError: A phase failed or lost rows.
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
                    rival=rival,
                    phase=name,
                    objects=self.objects,
                    latency=self.latency,
                    run=number,
                    alone=inside["seconds"],
                    alone_cpu=inside["cpu"],
                    whole=usage.seconds,
                    whole_cpu=usage.cpu,
                    peak_mb=usage.peak_mb,
                    requests=told["requests"],
                    rows=told["rows"],
                    server_cpu=told["cpu"],
                )

    def _measure(self, rival: str, command: list[str], folder: Path, state: int) -> Usage:
        self.control.begin(state, self.latency)
        return run_process(rival, command, folder, self.control.base_url)

    def _check(self, rival: str, python: Path, phase: str, folder: Path) -> None:
        base_url = self.control.base_url
        run_process(rival, [str(python), "-m", "tests.benchmarks.worker", rival, "check", base_url], folder, base_url)
        found = json.loads((folder / "check.json").read_text(encoding="utf-8"))
        expected = self.control.tell()["facts"]
        if found != expected:
            raise FailedError(f"{phase} left {found} instead of {expected}")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for as long as it is used."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def run_process(rival: str, command: list[str], folder: Path, base_url: str) -> Usage:
    """Run a command; its children count, if it waits for them.

    Raises:
        FailedError: It didn't end well.
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
        )
        limit = threading.Timer(LIMIT_SECONDS, process.kill)
        limit.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            limit.cancel()
        seconds = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        text = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
        raise FailedError(f"{rival} ended with {process.returncode}: {text[-1500:]}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
