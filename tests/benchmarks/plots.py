"""The results as pictures that the documentation can show. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.environments import RIVALS
from tests.benchmarks.measure import PHASES
from tests.benchmarks.report import BASE, TITLES, Summary

mpl.use("Agg")

_OURS, _OTHERS = "#1f6feb", "#9aa4b2"


def bars(file: Path, summaries: Sequence[Summary], about: str) -> None:
    """Draw one size and latency: a panel for each phase, a pair of bars for each rival."""
    figure, panels = plt.subplots(2, len(PHASES) // 2, figsize=(11, 8), layout="constrained")
    for axes, phase in zip(panels.flat, PHASES, strict=True):
        _panel(axes, [one for one in summaries if one.phase == phase])
        axes.set_title(TITLES[phase])
    one = summaries[0]
    figure.suptitle(f"{one.objects:,} objects into DuckDB, {one.latency * 1000:g} ms latency a request")
    _save(figure, file, about)


def _panel(axes: Axes, summaries: Sequence[Summary]) -> None:
    summaries = sorted(summaries, key=lambda one: one.whole, reverse=True)
    for place, one in enumerate(summaries):
        color = _OURS if one.rival == BASE else _OTHERS
        for offset, seconds, ratio, alpha in (
            (0.2, one.alone, one.alone_ratio, 1.0),
            (-0.2, one.whole, one.whole_ratio, 0.55),
        ):
            axes.barh(place + offset, seconds, height=0.38, color=color, alpha=alpha)
            label = f"{seconds:.1f} s" + ("" if ratio is None else f"   {ratio:.1f} x")
            axes.annotate(label, (seconds, place + offset), (3, 0), textcoords="offset points", va="center", size=8)
    axes.set_yticks(range(len(summaries)), [RIVALS[one.rival].title for one in summaries], size=9)
    axes.set_xlim(0, max(one.whole for one in summaries) * 1.22)
    axes.set_xlabel("seconds: run alone (upper bar), whole process (lower bar)", size=8)
    axes.spines[["top", "right"]].set_visible(False)


def growth(file: Path, summaries: Sequence[Summary], about: str) -> None:
    """Draw the first load's time and peak memory over the number of objects."""
    figure, (times, memory) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for rival in dict.fromkeys(one.rival for one in summaries):
        here = sorted((one for one in summaries if one.rival == rival), key=lambda one: one.objects)
        sizes = [one.objects for one in here]
        style = {"marker": "o", "label": RIVALS[rival].title, "color": _OURS if rival == BASE else None}
        times.plot(sizes, [one.alone for one in here], **style)
        memory.plot(sizes, [one.peak_mb for one in here], **style)
    times.set(yscale="log", ylabel="seconds, run alone", title="First load: time")
    memory.set(ylim=0, ylabel="MB", title="First load: peak memory")
    sizes = sorted({one.objects for one in summaries})
    for axes in (times, memory):
        axes.set(xscale="log", xlabel="objects")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    times.legend(fontsize=8)
    _save(figure, file, about)


def _save(figure: Figure, file: Path, about: str) -> None:
    figure.supxlabel(about, size=6.5, color="#666666")
    figure.savefig(file, dpi=150)
    plt.close(figure)
