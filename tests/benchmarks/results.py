"""The medians of all that was measured, in one file of the repository: the documentation's figures come from it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.kept import Measurement
from tests.benchmarks.measure import PHASES, Result

FILE = Path(__file__).with_name("results.json")
BASE = "ours"

Place = tuple[str, str, int, float]
"""Rival, phase, objects, latency."""


@dataclass(frozen=True)
class Summary:
    """The medians of a rival's runs of one phase.

    A ratio is how many times this project's time it took, None without one. It is taken within each run, where both
    met the machine in about the same state; then comes the median.
    """

    rival: str
    phase: str
    objects: int
    latency: float
    runs: int
    alone: float
    whole: float
    cpu: float
    peak_mb: float
    requests: float
    written: float | None
    alone_ratio: float | None
    whole_ratio: float | None

    @property
    def place(self) -> Place:
        """What no two summaries have in common."""
        return self.rival, self.phase, self.objects, self.latency


@dataclass(frozen=True)
class Results:
    """What a report says.

    Attributes:
        conditions: When and on what it was measured.
        summaries: What was measured.
        too_slow: What took longer than `minutes`, and was ended.
        failed: What failed.
    """

    conditions: Mapping[str, Any]
    summaries: Sequence[Summary]
    too_slow: Sequence[Place] = ()
    failed: Sequence[Place] = ()

    def find(self, rival: str, phase: str, objects: int, latency: float) -> Summary | str:
        """Return what was measured, or why there is nothing: "not run", "failed", "more than 10 min"."""
        place = rival, phase, objects, latency
        for one in self.summaries:
            if one.place == place:
                return one
        if place in self.failed:
            return "failed"
        if any(one[:2] == place[:2] and one[2] <= objects and one[3] <= latency for one in self.too_slow):
            return f"more than {self.conditions['most_minutes']:g} min"
        return "not run"


def read(file: Path = FILE) -> Results:
    """Read the file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    return Results(
        content["conditions"],
        [Summary(**one) for one in content["summaries"]],
        [tuple(place) for place in content["too_slow"]],
        [tuple(place) for place in content["failed"]],
    )


def digest(file: Path = FILE) -> str:
    """Return the file's hash, which the pictures of it have in them."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write(results: Results, file: Path = FILE) -> None:
    """Write the file, a line for each summary."""
    lists: dict[str, list[Any]] = {
        "summaries": [asdict(one) for one in results.summaries],
        "too_slow": list(results.too_slow),
        "failed": list(results.failed),
    }
    parts = [f'"conditions": {json.dumps(dict(results.conditions), indent=1)}']
    for name, items in lists.items():
        lines = ",\n".join(json.dumps(item) for item in items)
        parts.append(f'"{name}": [\n{lines}\n]')
    file.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def summarize(measurements: Iterable[Measurement]) -> Results:
    """Return the medians of measurements, in their order."""
    measurements = list(measurements)
    groups: dict[Place, list[tuple[int, Result]]] = {}
    for one in measurements:
        for result in one.results:
            place = one.rival, result.phase, one.objects, one.latency
            groups.setdefault(place, []).append((one.run, result))
    summaries = []
    for place, group in groups.items():
        base = dict(groups.get((BASE, *place[1:]), []))
        summaries.append(_medians(place, group, base))
    return Results(
        _conditions(measurements),
        summaries,
        [(one.rival, one.too_slow, one.objects, one.latency) for one in measurements if one.too_slow],
        [
            (one.rival, list(PHASES)[len(one.results)], one.objects, one.latency)
            for one in measurements
            if one.failed and len(one.results) < len(PHASES)
        ],
    )


def _medians(place: Place, group: Sequence[tuple[int, Result]], base: Mapping[int, Result]) -> Summary:
    rival, phase, objects, latency = place
    results = [result for _, result in group]
    pairs = [(result, base[run]) for run, result in group if run in base]
    return Summary(
        rival=rival,
        phase=phase,
        objects=objects,
        latency=latency,
        runs=len(group),
        alone=_rounded(result.alone for result in results),
        whole=_rounded(result.whole for result in results),
        cpu=_rounded(result.cpu for result in results),
        peak_mb=_rounded(result.peak_mb for result in results),
        requests=_rounded(result.requests for result in results),
        written=_rounded(result.written for result in results),
        alone_ratio=_rounded(one.alone / other.alone for one, other in pairs) if pairs else None,
        whole_ratio=_rounded(one.whole / other.whole for one, other in pairs) if pairs else None,
    )


def _rounded(values: Iterable[float]) -> float:
    return round(median(values), 3)


def _conditions(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Return the conditions of all: the first and last moment, the versions."""
    all_of_them = [one.conditions for one in measurements]
    times = sorted(one["time"] for one in all_of_them)
    packages = {name: number for one in all_of_them for name, number in one["packages"].items()}
    ours = next((one.conditions for one in measurements if one.rival == BASE), all_of_them[0] if all_of_them else {})
    return {
        "from": times[0] if times else "",
        "until": times[-1] if times else "",
        **{name: ours.get(name, "") for name in ("commit", "system", "cores", "python")},
        "packages": {**packages, **ours.get("packages", {})},
        "greatest_load": max((one["load"] for one in all_of_them), default=0.0),
        "most_minutes": max((one.minutes for one in measurements if one.too_slow), default=10.0),
    }
