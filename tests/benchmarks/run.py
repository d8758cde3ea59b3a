"""Goes through the steps of the plan: measures what isn't kept yet, and keeps it at once."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.benchmarks import versions
from tests.benchmarks.kept import Kept, Key, Measurement
from tests.benchmarks.measure import PHASES, Contest, FailedError, Result, TooSlowError
from tests.benchmarks.plan import Step
from tests.benchmarks.server import Control, serve


class Benchmark:
    """The rivals whose environments could be built, and what is kept of them."""

    def __init__(self, pythons: Mapping[str, Path], kept: Kept, minutes: float) -> None:
        """Find out the versions of all rivals.

        Args:
            pythons: For each rival its environment's Python.
            kept: What was measured before, and takes what is measured now.
            minutes: What a process may take.
        """
        self._pythons = pythons
        self._kept = kept
        self._minutes = minutes
        self._packages = {rival: versions.packages_of(python) for rival, python in pythons.items()}
        self._versions = {rival: versions.version_of(rival, found) for rival, found in self._packages.items()}
        self.failed: list[Key] = []

    def run(self, steps: Iterable[Step]) -> None:
        """Measure what the steps ask for and isn't kept."""
        for step in steps:
            keys = [
                (rival, step.objects, step.latency, number)
                for number in range(step.runs)
                for rival in step.rivals  # in turns, so that a busy minute of the machine hits all alike
            ]
            if any(self._is_due(key) for key in keys):
                with serve(step.objects) as control:
                    for key in keys:
                        if self._is_due(key):
                            self._measure(control, key)

    def _is_due(self, key: Key) -> bool:
        rival, objects, latency, _ = key
        if rival not in self._pythons:
            return False
        version = self._versions[rival]
        hopeless = self._kept.is_too_slow(rival, objects, latency, version, self._minutes) or any(
            one[0] == rival and one[1] <= objects and one[2] <= latency for one in self.failed
        )
        return not hopeless and not self._kept.has(key, version)

    def _measure(self, control: Control, key: Key) -> None:
        rival, objects, latency, number = key
        at = f"{objects:,} objects, {latency:g} ms, run {number + 1}: {rival}"
        conditions = versions.conditions(self._packages[rival])
        results: list[Result] = []
        failed, slow = "", ""
        try:
            for result in Contest(control, latency / 1000, self._minutes * 60).run(rival, self._pythons[rival]):
                results.append(result)
                say(f"{at}, {result.phase}: alone {result.alone:.2f} s, whole {result.whole:.2f} s")
        except FailedError as error:
            failed = str(error)
            self.failed.append(key)
            say(f"{at} FAILED: {failed}")
        except TooSlowError:
            slow = list(PHASES)[len(results)]
            say(f"{at}, {slow}: more than {self._minutes:g} min")
        self._kept.add(
            Measurement(*key, self._versions[rival], conditions, results, slow, self._minutes, failed),
        )


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
