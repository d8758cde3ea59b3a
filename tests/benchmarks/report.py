"""The results as tables in Markdown: for the report of a run, and for the documentation."""

from collections.abc import Callable, Iterable, Sequence

from tests.benchmarks.environments import RIVALS
from tests.benchmarks.measure import PHASES
from tests.benchmarks.plan import ALL, LATENCIES, RUNS, SIZES, USUAL
from tests.benchmarks.results import BASE, Results, Summary

TITLES = {
    "first_load": "First load",
    "increment": "Increment of 1 %",
    "idle": "Nothing has happened",
    "rescan": "Everything read again, nothing changed",
    "rescan_edited": "Everything read again, 1 % edited",
}

IN_SHORT = ("first_load", "increment", "idle", "rescan_edited")
"""The phases of the short tables."""

_FIGURES = ("run alone", "", "whole process", "", "CPU", "peak memory", "requests", "rows written")


def markdown(results: Results) -> str:
    """Return the report of all that was measured."""
    parts = ["# Benchmark", conditions(results)]
    for objects, latency in sorted({(one.objects, one.latency) for one in results.summaries}, key=_usual_first):
        for phase in PHASES:
            parts += [f"## {TITLES[phase]}: {at(objects, latency)}", phase_table(results, phase, objects, latency)]
    parts += ["## First load by size", by_size(results, "first_load"), memory_by_size(results)]
    parts += ["## First load by latency", by_latency(results, "first_load")]
    return "\n\n".join(parts) + "\n"


def _usual_first(place: tuple[int, float]) -> tuple[bool, int, float]:
    return place != (USUAL, 0), *place


def at(objects: int, latency: float) -> str:
    """Return how a size and a latency are called."""
    return f"{objects:,} objects, {latency:g} ms a request"


def conditions(results: Results) -> str:
    """Return when and where this was measured, in a sentence."""
    one = results.conditions
    packages = ", ".join(f"{name} {number}" for name, number in one["packages"].items())
    days = list(dict.fromkeys(time[:10] for time in (one["from"], one["until"])))
    commit = f" (commit {one['commit']})" if one["commit"] else ""
    return (
        f"{' to '.join(days)}{commit}, {one['system']}, {one['cores']} cores (load {one['greatest_load']:g} at most), "
        f"Python {one['python']}, {packages}; "
        f"medians of {RUNS} runs, or of as many as a cell says."
    )


def phase_table(results: Results, phase: str, objects: int = USUAL, latency: float = 0) -> str:
    """Return all figures of everybody in one phase."""
    return table(("", *_FIGURES), [_figures(results, rival, phase, objects, latency) for rival in ALL])


def _figures(results: Results, rival: str, phase: str, objects: int, latency: float) -> tuple[str, ...]:
    one = results.find(rival, phase, objects, latency)
    if isinstance(one, str):
        return (RIVALS[rival].title, one, *[""] * (len(_FIGURES) - 1))
    return (
        f"{RIVALS[rival].title}{_runs(one)}",
        seconds(one.alone),
        times(one.alone_ratio),
        seconds(one.whole),
        times(one.whole_ratio),
        seconds(one.cpu),
        memory(one),
        f"{one.requests:,.0f}",
        "not run" if one.written is None else f"{one.written:,.0f}",
    )


def by_size(results: Results, phase: str) -> str:
    """Return the times of whole processes by the number of objects."""
    return _by_size(results, phase, lambda one: seconds(one.whole))


def memory_by_size(results: Results) -> str:
    """Return the peak memory of a first load by the number of objects."""
    return _by_size(results, "first_load", memory)


def _by_size(results: Results, phase: str, show: Callable[[Summary], str]) -> str:
    titles = ("objects", *(f"{size:,}" for size in SIZES))
    return table(titles, (_row(rival, (results.find(rival, phase, size, 0) for size in SIZES), show) for rival in ALL))


def by_latency(results: Results, phase: str) -> str:
    """Return the times of whole processes by the latency of a request."""
    titles = ("", *(f"{latency} ms" for latency in LATENCIES))
    found = {rival: [results.find(rival, phase, USUAL, latency) for latency in LATENCIES] for rival in ALL}
    return table(titles, (_row(rival, found[rival], _time_and_ratio) for rival in ALL))


def in_short(results: Results, *, with_restarts: bool = False) -> str:
    """Return how many times this project's time everybody takes, as a whole process; and how restarts are found."""
    last = ("trainings that were started again",) if with_restarts else ()
    rows = []
    for rival in ALL:
        found = [results.find(rival, phase, USUAL, 0) for phase in IN_SHORT]
        more = (RIVALS[rival].restarted,) if with_restarts else ()
        rows.append((*_row(rival, found, _ratio_or_time), *more))
    titles = ("", *(TITLES[phase].lower() for phase in IN_SHORT), *last)
    return table(titles, rows, texts=len(last))


def load_and_run(results: Results) -> str:
    """Return a sentence on a first load by `load` and by dlt's own `run`."""
    size = 200_000
    ours, plain = (results.find(rival, "first_load", size, 0) for rival in (BASE, "plain_run"))
    said = [one if isinstance(one, str) else f"{seconds(one.whole)} and {memory(one)}" for one in (ours, plain)]
    return f"A first load of {size:,} objects into DuckDB by `load`: {said[0]}; by dlt's `run`: {said[1]}."


def _row(rival: str, found: Iterable[Summary | str], show: Callable[[Summary], str]) -> tuple[str, ...]:
    cells = (one if isinstance(one, str) else f"{show(one)}{_runs(one)}" for one in found)
    return (RIVALS[rival].title, *cells)


def _time_and_ratio(one: Summary) -> str:
    ratio = "" if one.whole_ratio is None else f", {one.whole_ratio:.1f} x"
    return f"{seconds(one.whole)}{ratio}"


def _ratio_or_time(one: Summary) -> str:
    if one.rival == BASE:
        return f"1.0 x ({one.whole:.1f} s)"
    return seconds(one.whole) if one.whole_ratio is None else f"{one.whole_ratio:.1f} x"


def _runs(one: Summary) -> str:
    return "" if one.runs >= RUNS else f" ({one.runs} run{'s' if one.runs > 1 else ''})"


def seconds(value: float) -> str:
    """Return a time for people: no more digits than mean something."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def times(ratio: float | None) -> str:
    """Return a ratio."""
    return "" if ratio is None else f"{ratio:.2f} x"


def memory(one: Summary) -> str:
    """Return the peak memory."""
    return f"{one.peak_mb:,.0f} MB"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 0) -> str:
    """Return a table in Markdown: the first column and so many last ones are texts, the others numbers."""
    rule = ["---", *["--:"] * (len(titles) - 1 - texts), *["---"] * texts]
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, *rows)]
    return "\n".join([lines[0].replace("|  |", "| |"), f"|{'|'.join(rule)}|", *lines[1:]])
