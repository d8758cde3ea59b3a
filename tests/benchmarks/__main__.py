"""The benchmark's command, see `--help`; `uvx nox -s bench -- OPTIONS` runs it with all it needs.

What is measured is kept at once, and not measured again: a run that is cut goes on when it is started once more.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks import environments, plan, report, results
from tests.benchmarks.kept import Kept
from tests.benchmarks.run import Benchmark, say

PICTURES = environments.ROOT / "docs" / "pictures"


def main() -> int:
    """Run the command; return its exit code: 1 if anybody failed."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what it started ends with it
    kept = Kept(options.output / "measurements.jsonl")
    if options.publish:
        _publish(kept)
        return 0
    steps = plan.chosen(options.objects, options.latency, options.rivals, options.runs)
    if options.again:
        kept.forget(
            (rival, step.objects, step.latency, number)
            for step in steps
            for rival in step.rivals
            for number in range(step.runs)
        )
    rivals = list(dict.fromkeys(rival for step in steps for rival in step.rivals))
    pythons = _build(rivals, options.environments.resolve())
    benchmark = Benchmark(pythons, kept, options.most_minutes)
    try:
        benchmark.run(steps)
    finally:
        _write(kept, options.output)
    return 1 if benchmark.failed or len(pythons) < len(rivals) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="uvx nox -s bench --", description="Measure this project beside its rivals.")
    add = parser.add_argument
    here = environments.ROOT / ".nox" / "benchmark"
    known = environments.RIVALS
    add(
        "--objects", type=int, nargs="+", help="sizes of the account, half projects, half trainings (default: the plan)"
    )
    add("--latency", type=float, nargs="+", metavar="MS", help="of a request (default: the plan)")
    add("--rivals", nargs="+", choices=known, help="who takes part (default: the plan)")
    add("--runs", type=int, help="of which the median counts (default: the plan)")
    add("--most-minutes", type=float, default=10, metavar="N", help="for a process, which is then ended (default: 10)")
    add("--again", action="store_true", help="measure what is asked for anew, although it is kept")
    add("--publish", action="store_true", help="measure nothing: bring what is kept into the documentation")
    add("--output", type=Path, default=here / "results", help="folder of the report (default: .nox/benchmark/results)")
    add("--environments", type=Path, default=here, help="folder of the rivals' environments (default: .nox/benchmark)")
    return parser


def _build(rivals: Iterable[str], folder: Path) -> dict[str, Path]:
    """Return the Python of each rival whose environment can be built."""
    pythons = {}
    for rival in rivals:
        say(f"environment of {rival}")
        try:
            pythons[rival] = environments.build(rival, folder)
        except environments.UnavailableError as error:
            say(f"{rival} can't be installed: {error}")
    return pythons


def _write(kept: Kept, folder: Path) -> None:
    """Write the report of all that is kept."""
    file = folder / "benchmark.md"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(report.markdown(results.summarize(kept)), encoding="utf-8")
    say(f"Written to {file}")


def _publish(kept: Kept) -> None:
    """Bring what is kept into the repository: its medians, the pictures, the tables of the documentation."""
    from tests.benchmarks import plots  # noqa: PLC0415 - large, see `measure.py`

    if measured := list(kept):
        results.write(results.summarize(measured))
    plots.draw(PICTURES)
    subprocess.run([sys.executable, "-m", "tests.docs"], check=True, cwd=environments.ROOT)


if __name__ == "__main__":
    sys.exit(main())
