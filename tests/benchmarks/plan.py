"""What is measured, in the order of its worth: a benchmark that is cut has its first steps whole."""

from collections.abc import Iterable
from dataclasses import dataclass

OURS = ("ours", "floor")
ALL = ("ours", "floor", "rest_api", "toloka_kit", "singer", "airbyte")

RUNS = 3
"""Of which the median counts."""

USUAL = 40_000
"""The number of objects at which everybody is compared."""

SIZES = (2_000, USUAL, 200_000, 1_000_000)
LATENCIES = (0, 50, 200)
"""In milliseconds."""


@dataclass(frozen=True)
class Step:
    """An account's size and a latency (ms), who loads there, and how often."""

    objects: int
    latency: float
    rivals: tuple[str, ...]
    runs: int = RUNS


STEPS = (
    Step(USUAL, 0, ALL),
    Step(200_000, 0, OURS),
    Step(200_000, 0, ALL, runs=1),
    Step(200_000, 0, ("plain_run",), runs=1),
    Step(2_000, 0, OURS),
    Step(1_000_000, 0, OURS, runs=1),
    Step(USUAL, 50, ALL),
    Step(USUAL, 200, ALL),
    # the rest: what is measured by then isn't measured again
    Step(2_000, 0, ALL),
    Step(1_000_000, 0, OURS),
    Step(200_000, 0, ("plain_run",)),
    Step(1_000_000, 0, ALL, runs=1),
    Step(200_000, 0, ALL),
    *(Step(objects, latency, ALL, runs=1) for objects in (2_000, 200_000, 1_000_000) for latency in (50, 200)),
)


def chosen(
    objects: Iterable[int] | None, latencies: Iterable[float] | None, rivals: Iterable[str] | None, runs: int | None
) -> list[Step]:
    """Return the steps, or those that somebody asks for; None: as planned."""
    steps: Iterable[Step] = STEPS
    if objects is not None or latencies is not None:
        steps = [Step(size, latency, ALL) for size in objects or [USUAL] for latency in latencies or [0]]
        if rivals is not None:
            steps = [Step(one.objects, one.latency, tuple(rivals)) for one in steps]
    wanted = None if rivals is None else set(rivals)
    found = [
        Step(
            one.objects,
            one.latency,
            tuple(rival for rival in one.rivals if wanted is None or rival in wanted),
            one.runs if runs is None else runs,
        )
        for one in steps
    ]
    return [one for one in found if one.rivals]
