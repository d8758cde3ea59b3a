"""A benchmark that is cut goes on, one that is too slow is ended: with one rival, and a small account."""

import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

from tests.benchmarks.environments import ROOT
from tests.benchmarks.kept import Kept, Measurement
from tests.benchmarks.plan import STEPS, Step, chosen
from tests.benchmarks.run import Benchmark

THREE = Step(400, 0, ("floor",), runs=3)

SCRIPT = """
import sys
from pathlib import Path
from tests.benchmarks.kept import Kept
from tests.benchmarks.plan import Step
from tests.benchmarks.run import Benchmark

Benchmark({"floor": Path(sys.executable)}, Kept(Path(sys.argv[1])), 10).run([Step(400, 0, ("floor",), runs=3)])
"""


def measured(file: Path, step: Step = THREE, minutes: float = 10) -> list[Measurement]:
    """Go through a step; return what is kept by then."""
    kept = Kept(file)
    Benchmark({"floor": Path(sys.executable)}, kept, minutes).run([step])
    return list(kept)


def test_a_run_that_is_killed_goes_on_where_it_was(own_folder: Path) -> None:
    file = own_folder / "kept.jsonl"
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(file)], cwd=ROOT) as process:
        while not file.exists() or "\n" not in file.read_text():
            assert process.poll() is None
            sleep(0.02)
        process.send_signal(signal.SIGKILL)
    before = file.read_text()
    file.write_text(before + '{"rival": "fl')  # cut while it was written
    assert [one.run for one in measured(file)] == [0, 1, 2]
    assert file.read_text().startswith(before)
    whole = file.read_text()
    assert len(whole.splitlines()) == 3
    measured(file)
    assert file.read_text() == whole


def test_what_another_version_took_is_not_mixed_in(own_folder: Path) -> None:
    file = own_folder / "kept.jsonl"
    one = Step(400, 0, ("floor",), runs=1)
    (now,) = measured(file, one)
    file.write_text(file.read_text().replace(now.version, "another"))
    assert [other.version for other in measured(file, one)] == [now.version]
    assert len(file.read_text().splitlines()) == 2


def test_what_is_too_slow_is_ended_and_not_tried_with_more(own_folder: Path) -> None:
    file, minutes = own_folder / "kept.jsonl", 0.1 / 60
    (one,) = measured(file, THREE, minutes)
    assert (one.run, one.too_slow, one.results) == (0, "first_load", [])
    for step in (THREE, Step(800, 0, ("floor",)), Step(400, 50, ("floor",))):
        assert measured(file, step, minutes) == [one]
    assert measured(file, Step(400, 0, ("floor",), runs=1), minutes=10)[0].too_slow == ""


def test_what_fails_is_tried_once_in_a_run_and_again_in_the_next(own_folder: Path) -> None:
    file = own_folder / "kept.jsonl"
    broken = own_folder / "python"
    broken.write_text(f'#!/bin/sh\ncase $1 in -c) exec {sys.executable} "$@";; esac\necho broken; exit 3\n')
    broken.chmod(0o755)
    benchmark = Benchmark({"floor": broken}, Kept(file), 10)
    benchmark.run([THREE])
    assert benchmark.failed == [("floor", 400, 0, 0)]
    assert [one.failed for one in Kept(file)] == ["floor ended with 3: broken"]
    assert [one.failed for one in measured(file, Step(400, 0, ("floor",), runs=1))] == [""]


def test_what_is_to_be_measured_anew_is_kept_no_longer(own_folder: Path) -> None:
    file = own_folder / "kept.jsonl"
    first, _, _ = measured(file)
    Kept(file).forget([("floor", 400, 0, 1), ("floor", 400, 0, 2)])
    assert list(Kept(file)) == [first]


def test_the_plan_is_what_runs_unless_something_else_is_asked_for() -> None:
    assert chosen(None, None, None, None) == list(STEPS)
    assert {one.rivals for one in chosen(None, None, ["ours"], None)} == {("ours",)}
    assert chosen([2_000], None, ["floor", "plain_run"], 1) == [Step(2_000, 0, ("floor", "plain_run"), 1)]
