"""What of the documentation is made from the benchmark's results: `tests/benchmarks/results.json`."""

from collections.abc import Callable
from functools import partial

from tests.benchmarks import report, results
from tests.benchmarks.measure import PHASES


def _made(make: Callable[..., str], *arguments: str, **options: bool) -> str:
    return make(results.read(), *arguments, **options)


PARTS: dict[str, Callable[[], str]] = {
    "speed: conditions": partial(_made, report.conditions),
    **{f"speed: {phase}": partial(_made, report.phase_table, phase) for phase in PHASES},
    "speed: first load by latency": partial(_made, report.by_latency, "first_load"),
    "speed: increment by latency": partial(_made, report.by_latency, "increment"),
    "speed: first load by size": partial(_made, report.by_size, "first_load"),
    "speed: edits by size": partial(_made, report.by_size, "rescan_edited"),
    "speed: memory by size": partial(_made, report.memory_by_size),
    "speed: load and run": partial(_made, report.load_and_run),
    "speed: in short": partial(_made, report.in_short),
    "speed: in short, with restarts": partial(_made, report.in_short, with_restarts=True),
}
"""The parts by their names."""
