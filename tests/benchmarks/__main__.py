"""The benchmark's command, see `--help`; `uvx nox -s bench -- OPTIONS` runs it with all it needs."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks import environments, report
from tests.benchmarks.measure import Contest, FailedError, Result
from tests.benchmarks.server import serve

GROWTH = (2_000, 20_000, 40_000, 200_000)
GREATEST_FOR_RIVALS = 40_000
SCALING = ("ours", "floor")


def main() -> int:
    """Run the command; return its exit code: 1 if anybody failed."""
    options = _parser().parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    benchmark = Benchmark(options.rivals, options.runs, options.environments)
    for latency in options.latency:
        benchmark.compare(options.objects, latency / 1000)
    if options.growth:
        benchmark.grow(options.objects)
    benchmark.write(options.output, options.objects, grown=options.growth)
    return 1 if benchmark.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="uvx nox -s bench --", description="Measure this project beside its rivals.")
    add = parser.add_argument
    here = environments.ROOT / ".nox" / "benchmark"
    add("--objects", type=int, default=40_000, help="half projects, half trainings (default: 40000)")
    add("--latency", type=float, nargs="+", default=[0, 50, 200], metavar="MS", help="of a request (default: 0 50 200)")
    add("--rivals", nargs="+", choices=environments.RIVALS, default=list(environments.RIVALS), help="default: all")
    add("--runs", type=int, default=3, help="of which the median counts (default: 3)")
    add("--growth", action="store_true", help=f"also load {', '.join(f'{size:,}' for size in GROWTH)} objects")
    add("--output", type=Path, default=here / "results", help="folder of the report (default: .nox/benchmark/results)")
    add("--environments", type=Path, default=here, help="folder of the rivals' environments (default: .nox/benchmark)")
    return parser


class Benchmark:
    """All runs, and what came of them."""

    def __init__(self, rivals: Iterable[str], runs: int, folder: Path) -> None:
        """Build the rivals' environments; one that can't be built is noted as a failure."""
        self.failures: dict[str, str] = {}
        self._runs = runs
        self._results: list[Result] = []
        self._pythons: dict[str, Path] = {}
        for rival in rivals:
            _say(f"environment of {rival}")
            try:
                self._pythons[rival] = environments.build(rival, folder.resolve())
            except environments.UnavailableError as error:
                self._fail(rival, f"can't be installed: {error}")

    def compare(self, objects: int, latency: float, rivals: Iterable[str] | None = None) -> None:
        """Let everybody load; in turns, so that a busy minute of the machine hits all alike."""
        with serve(objects) as control:
            contest = Contest(control, objects, latency)
            for number in range(self._runs):
                for rival in rivals or self._pythons:
                    if rival in self._pythons and rival not in self.failures:
                        self._load(contest, rival, number)

    def grow(self, but: int) -> None:
        """Load other sizes too, without latency."""
        for objects in GROWTH:
            if objects != but:
                self.compare(objects, 0.0, SCALING if objects > GREATEST_FOR_RIVALS else None)

    def write(self, folder: Path, objects: int, *, grown: bool) -> None:
        """Write the report: Markdown, JSON, pictures."""
        from tests.benchmarks import plots  # noqa: PLC0415 - large, see `measure.py`

        about = report.conditions(self._runs)
        summaries = report.summarize(self._results)
        text = report.markdown(summaries, self.failures, about)
        (folder / "benchmark.md").write_text(text, encoding="utf-8")
        report.write_json(folder / "benchmark.json", self._results, self.failures, about)
        for latency in dict.fromkeys(one.latency for one in summaries if one.objects == objects):
            here = [one for one in summaries if (one.objects, one.latency) == (objects, latency)]
            plots.bars(folder / f"latency-{latency * 1000:g}.png", here, about)
        if grown:
            plots.growth(folder / "growth.png", [one for one in summaries if _is_growth(one)], about)
        sys.stdout.write(f"{text}\nWritten to {folder}\n")

    def _load(self, contest: Contest, rival: str, number: int) -> None:
        at = f"{contest.objects:,} objects, {contest.latency * 1000:g} ms, run {number + 1}/{self._runs}: {rival}"
        try:
            for result in contest.run(rival, self._pythons[rival], number):
                self._results.append(result)
                _say(f"{at}, {result.phase}: alone {result.alone:.2f} s, whole {result.whole:.2f} s")
        except FailedError as error:
            self._fail(rival, str(error))

    def _fail(self, rival: str, why: str) -> None:
        self.failures[rival] = why
        _say(f"{rival} FAILED: {why}")


def _is_growth(one: report.Summary) -> bool:
    return one.latency == 0 and one.phase == "first_load"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
