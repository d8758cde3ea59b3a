"""Measurements are kept as soon as they are made, a line of JSON for each, so that a run that is cut can go on."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Result

Key = tuple[str, int, float, int]
"""Rival, objects, latency, number of the run."""


@dataclass(frozen=True)
class Measurement:
    """One run of one rival.

    Attributes:
        rival: Who.
        objects: The account's size.
        latency: Of a request, in milliseconds.
        run: The number of the run.
        version: A hash of all that the figures depend on, see `versions.py`.
        conditions: When and on what it was measured.
        results: What was measured, phase by phase; those after a failure are missing.
        too_slow: The phase that took longer than the limit, and was ended.
        minutes: That limit.
        failed: Why it failed; empty if it didn't.
    """

    rival: str
    objects: int
    latency: float
    run: int
    version: str
    conditions: Mapping[str, Any]
    results: list[Result] = field(default_factory=list)
    too_slow: str = ""
    minutes: float = 0.0
    failed: str = ""

    @property
    def key(self) -> Key:
        """What no two measurements that count have in common."""
        return self.rival, self.objects, self.latency, self.run


class Kept:
    """The measurements in a file; the last one of a key counts, and the last version of a rival."""

    def __init__(self, file: Path) -> None:
        """Read the file, if it is there; a last line that was cut counts for nothing."""
        self._file = file
        self._all: dict[Key, Measurement] = {}
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        for number, line in enumerate(lines):
            try:
                self._take(_measurement(json.loads(line)))
            except ValueError:
                if number < len(lines) - 1:
                    raise

    def add(self, measurement: Measurement) -> None:
        """Keep one more."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        text = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        with self._file.open("r+" if text else "w", encoding="utf-8") as file:
            file.truncate(len(whole.encode()))
            file.seek(0, 2)
            file.write(json.dumps(asdict(measurement)) + "\n")
        self._take(measurement)

    def __iter__(self) -> Iterator[Measurement]:
        """Go through those that count."""
        return iter(self._all.values())

    def has(self, key: Key, version: str) -> bool:
        """Tell whether this was measured, with this version; what failed wasn't."""
        found = self._all.get(key)
        return found is not None and found.version == version and not found.failed and not found.too_slow

    def is_too_slow(self, rival: str, objects: int, latency: float, version: str, minutes: float) -> bool:
        """Tell whether a rival took longer than this limit with as many objects and as much latency, or less."""
        return any(
            one.too_slow and one.minutes >= minutes and (one.rival, one.version) == (rival, version)
            for one in self
            if one.objects <= objects and one.latency <= latency
        )

    def forget(self, keys: Iterable[Key]) -> None:
        """Keep these no longer."""
        for key in keys:
            self._all.pop(key, None)
        lines = [json.dumps(asdict(one)) + "\n" for one in self]
        if self._file.exists():
            self._file.write_text("".join(lines), encoding="utf-8")

    def _take(self, measurement: Measurement) -> None:
        other = [
            key
            for key, one in self._all.items()
            if one.rival == measurement.rival and one.version != measurement.version
        ]
        for key in [*other, measurement.key]:
            self._all.pop(key, None)
        self._all[measurement.key] = measurement


def _measurement(line: dict[str, Any]) -> Measurement:
    return Measurement(**{**line, "results": [Result(**one) for one in line["results"]]})
