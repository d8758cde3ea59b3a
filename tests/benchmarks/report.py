"""The results as text: Markdown for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count, getloadavg
from pathlib import Path
from platform import machine, python_version, system
from statistics import median

from tests.benchmarks.environments import RIVALS
from tests.benchmarks.measure import PHASES, Result

BASE = "ours"

_HEADER = ("", "run alone", "", "whole process", "", "CPU", "peak memory", "requests", "rows/s")
_LEGEND = """\
Run alone: the load's call; whole process: with the interpreter's start and imports. x: how many times this project's
time, taken within each run, then the median. Peak memory is that of the largest process. The tables were checked after
every load: rows, ids, times and names are those of the account. Edits have no cursor: the others find them by a full
refresh."""
TITLES = {
    "first_load": "First load",
    "increment": "Increment of 1 %",
    "rescan": "Everything read again, nothing changed",
    "rescan_edited": "Everything read again, 1 % edited",
}


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
    alone: float
    whole: float
    cpu: float
    peak_mb: float
    requests: float
    rows_per_second: float
    alone_ratio: float | None
    whole_ratio: float | None


def summarize(results: Iterable[Result]) -> list[Summary]:
    """Return a summary for each rival, phase, size and latency, in the order of the results."""
    groups: dict[tuple[str, str, int, float], list[Result]] = {}
    bases: dict[tuple[str, int, float, int], Result] = {}
    for result in results:
        groups.setdefault((result.phase, result.rival, result.objects, result.latency), []).append(result)
        if result.rival == BASE:
            bases[_race(result)] = result
    return [_medians(group, bases) for group in groups.values()]


def _race(result: Result) -> tuple[str, int, float, int]:
    """Return what runs that can be compared have in common."""
    return result.phase, result.objects, result.latency, result.run


def _medians(group: Sequence[Result], bases: Mapping[tuple[str, int, float, int], Result]) -> Summary:
    one = group[0]
    alone = median(result.alone for result in group)
    pairs = [(result, bases[_race(result)]) for result in group if _race(result) in bases]
    return Summary(
        rival=one.rival,
        phase=one.phase,
        objects=one.objects,
        latency=one.latency,
        alone=alone,
        whole=median(result.whole for result in group),
        cpu=median(result.whole_cpu for result in group),
        peak_mb=median(result.peak_mb for result in group),
        requests=median(result.requests for result in group),
        rows_per_second=one.rows / alone,
        alone_ratio=median(result.alone / base.alone for result, base in pairs) if pairs else None,
        whole_ratio=median(result.whole / base.whole for result, base in pairs) if pairs else None,
    )


def conditions(runs: int) -> str:
    """Return when and where this was measured, in a line."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("dlt", "duckdb", "pyarrow"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {system()} {machine()}, {cpu_count()} cores (load {getloadavg()[0]:.1f}), "
        f"Python {python_version()}, {packages}; median of {runs} runs"
    )


def markdown(summaries: Sequence[Summary], failures: Mapping[str, str], about: str) -> str:
    """Return the report."""
    lines = ["# Benchmark", "", about, "", _LEGEND, ""]
    for objects, latency in dict.fromkeys((one.objects, one.latency) for one in summaries):
        here = [one for one in summaries if (one.objects, one.latency) == (objects, latency)]
        for phase in PHASES:
            if rows := [_row(one) for one in here if one.phase == phase]:
                at = f"{objects:,} objects, {latency * 1000:g} ms latency"
                lines += [f"## {TITLES[phase]}: {at}", "", *_table(rows), ""]
    if failures:
        lines += ["## Not measured", "", *(f"- {RIVALS[name].title}: {why}" for name, why in failures.items()), ""]
    return "\n".join(lines)


def _row(one: Summary) -> tuple[str, ...]:
    return (
        RIVALS[one.rival].title,
        f"{one.alone:.2f} s",
        _times(one.alone_ratio),
        f"{one.whole:.2f} s",
        _times(one.whole_ratio),
        f"{one.cpu:.2f} s",
        f"{one.peak_mb:.0f} MB",
        f"{one.requests:.0f}",
        f"{one.rows_per_second:,.0f}",
    )


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} x"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(_HEADER, *rows, strict=True)]
    rule = ["-" * max(width, 2) for width in widths]
    rule = [rule[0], *(f"{dashes[:-1]}:" for dashes in rule[1:])]
    return [
        "| " + " | ".join(cell.ljust(max(width, 2)) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (_HEADER, rule, *rows)
    ]


def write_json(file: Path, results: Sequence[Result], failures: Mapping[str, str], about: str) -> None:
    """Write the raw results."""
    content = {"about": about, "failures": dict(failures), "results": [asdict(result) for result in results]}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
