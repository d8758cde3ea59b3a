"""The results as pictures that the documentation shows, each with the hash of the results in it. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks import results
from tests.benchmarks.environments import RIVALS
from tests.benchmarks.plan import ALL, SIZES, USUAL
from tests.benchmarks.report import IN_SHORT, TITLES, at, conditions
from tests.benchmarks.results import BASE, Results, Summary

mpl.use("Agg")

_OURS, _OTHERS = "#1f6feb", "#9aa4b2"
_COLORS = dict(zip(ALL, (_OURS, "#57606a", "#d29922", "#2da44e", "#cf222e", "#8250df"), strict=True))


def draw(folder: Path) -> None:
    """Draw all pictures of what the file of the repository has."""
    found = results.read()
    _bars(folder / "speed-latency-0.png", found)
    _growth(folder / "speed-growth.png", found)


def _bars(file: Path, found: Results) -> None:
    """Draw the usual size: a panel for each phase, a pair of bars for each rival."""
    figure, panels = plt.subplots(2, len(IN_SHORT) // 2, figsize=(11, 8), layout="constrained")
    for axes, phase in zip(panels.flat, IN_SHORT, strict=True):
        _panel(axes, [(rival, found.find(rival, phase, USUAL, 0)) for rival in ALL])
        axes.set_title(TITLES[phase])
    figure.suptitle(f"Into DuckDB: {at(USUAL, 0)}")
    _save(figure, file, found)


def _panel(axes: Axes, found: Sequence[tuple[str, Summary | str]]) -> None:
    greatest = max((one.whole for _, one in found if isinstance(one, Summary)), default=1.0)
    found = sorted(found, key=lambda pair: pair[1].whole if isinstance(pair[1], Summary) else 0, reverse=True)
    for place, (rival, one) in enumerate(found):
        if isinstance(one, str):
            axes.annotate(one, (0, place), (3, 0), textcoords="offset points", va="center", size=8)
            continue
        color = _OURS if rival == BASE else _OTHERS
        for offset, seconds, ratio, alpha in (
            (0.2, one.alone, one.alone_ratio, 1.0),
            (-0.2, one.whole, one.whole_ratio, 0.55),
        ):
            axes.barh(place + offset, seconds, height=0.38, color=color, alpha=alpha)
            label = f"{seconds:.1f} s" + ("" if ratio is None else f"   {ratio:.1f} x")
            axes.annotate(label, (seconds, place + offset), (3, 0), textcoords="offset points", va="center", size=8)
    axes.set_yticks(range(len(found)), [RIVALS[rival].title for rival, _ in found], size=9)
    axes.set_xlim(0, greatest * 1.22)
    axes.set_ylim(-0.6, len(found) - 0.4)
    axes.set_xlabel("seconds: run alone (upper bar), whole process (lower bar)", size=8)
    axes.spines[["top", "right"]].set_visible(False)


def _growth(file: Path, found: Results) -> None:
    """Draw the first load's time and peak memory over the number of objects."""
    figure, (times, memory) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for rival in ALL:
        all_sizes = [found.find(rival, "first_load", size, 0) for size in SIZES]
        here = [one for one in all_sizes if isinstance(one, Summary)]
        missing = [f"{size:,}: {one}" for size, one in zip(SIZES, all_sizes, strict=True) if isinstance(one, str)]
        label = RIVALS[rival].title + (f" ({'; '.join(missing)})" if missing else "")
        style = {"marker": "o", "label": label, "color": _COLORS[rival]}
        times.plot([one.objects for one in here], [one.whole for one in here], **style)
        memory.plot([one.objects for one in here], [one.peak_mb for one in here], **style)
    times.set(yscale="log", ylabel="seconds, whole process", title="First load: time")
    memory.set(ylim=0, ylabel="MB", title="First load: peak memory")
    for axes in (times, memory):
        axes.set(xscale="log", xlabel="objects")
        axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.legend(*times.get_legend_handles_labels(), loc="outside upper center", fontsize=7, ncols=2)
    _save(figure, file, found)


def _save(figure: Figure, file: Path, found: Results) -> None:
    figure.supxlabel(conditions(found), size=5.5, color="#666666")
    figure.savefig(file, dpi=150, metadata={"Description": results.digest()})
    plt.close(figure)
