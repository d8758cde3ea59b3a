"""A benchmark that is cut goes on, one that is too slow is ended: with one rival, and a small account."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest

from tests.benchmarks.environments import ROOT
from tests.benchmarks.kept import Kept, Measurement
from tests.benchmarks.plan import STEPS, Step, chosen
from tests.benchmarks.run import Benchmark
from tests.benchmarks.test_report import measurement
from tests.benchmarks.versions import version_of

TWO = Step(400, 0, ("floor",), runs=2)

SCRIPT = """
import sys
from pathlib import Path
from tests.benchmarks.kept import Kept
from tests.benchmarks.plan import Step
from tests.benchmarks.run import Benchmark

Benchmark({"floor": Path(sys.executable)}, Kept(Path(sys.argv[1])), 10).run([Step(400, 0, ("floor",), runs=2)])
"""


def measured(
    file: Path, step: Step = TWO, minutes: float = 10, python: Path = Path(sys.executable)
) -> list[Measurement]:
    """Go through a step; return what is kept by then."""
    kept = Kept(file)
    Benchmark({"floor": python}, kept, minutes).run([step])
    return list(kept)


@pytest.mark.long
def test_a_run_that_is_killed_goes_on_where_it_was(own_folder: Path) -> None:
    file = own_folder / "kept.jsonl"
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(file)], cwd=ROOT) as process:
        while not file.exists() or "\n" not in file.read_text():
            assert process.poll() is None
            sleep(0.02)
        process.send_signal(signal.SIGKILL)
    before = file.read_text()
    file.write_text(before + '{"rival": "fl')  # cut while it was written
    assert [one.run for one in measured(file)] == [0, 1]
    whole = file.read_text()
    assert whole.startswith(before)
    assert len(whole.splitlines()) == 2
    measured(file)
    assert file.read_text() == whole


def test_what_is_too_slow_is_ended_and_not_tried_with_more(own_folder: Path) -> None:
    file, minutes = own_folder / "kept.jsonl", 0.1 / 60
    (one,) = measured(file, TWO, minutes)
    assert (one.run, one.too_slow, one.results) == (0, "first_load", [])
    for step in (TWO, Step(800, 0, ("floor",)), Step(400, 50, ("floor",))):
        assert measured(file, step, minutes) == [one]
    (longer,) = measured(file, TWO, 2 * minutes)
    assert longer.minutes == 2 * minutes


def test_what_fails_is_tried_once_in_a_run_and_again_in_the_next(own_folder: Path) -> None:
    file, python = own_folder / "kept.jsonl", own_folder / "python"
    python.write_text(f'#!/bin/sh\ncase $1 in -c) exec {sys.executable} "$@";; esac\necho broken; exit 3\n')
    python.chmod(0o755)
    for times in (1, 2):
        assert [one.failed for one in measured(file, TWO, 10, python)] == ["floor ended with 3: broken"]
        assert len(file.read_text().splitlines()) == times


def test_measurements_of_another_version_count_no_more(own_folder: Path) -> None:
    kept = Kept(own_folder / "kept.jsonl")
    old, other, new = measurement("ours", 0, 2.0), measurement("floor", 0, 1.0), measurement("ours", 1, 3.0)
    new = replace(new, version="2")
    for one in (old, other, new):
        assert not kept.has(one.key, one.version)
        kept.add(one)
        assert kept.has(one.key, one.version)
    for found in (kept, Kept(own_folder / "kept.jsonl")):
        assert list(found) == [other, new]
        assert not found.has(old.key, old.version)


def test_what_is_to_be_measured_anew_is_kept_no_longer(own_folder: Path) -> None:
    kept = Kept(own_folder / "kept.jsonl")
    first, second = measurement("ours", 0, 2.0), measurement("ours", 1, 3.0)
    for one in (first, second):
        kept.add(one)
    kept.forget([second.key])
    assert list(kept) == list(Kept(own_folder / "kept.jsonl")) == [first]


def test_the_plan_is_what_runs_unless_something_else_is_asked_for() -> None:
    assert chosen(None, None, None, None) == list(STEPS)
    assert {one.rivals for one in chosen(None, None, ["ours"], None)} == {("ours",)}
    assert chosen([2_000], None, ["floor", "plain_run"], 1) == [Step(2_000, 0, ("floor", "plain_run"), 1)]


def test_a_version_is_that_of_the_code_and_the_packages() -> None:
    ours, floor = (version_of(rival, {"dlt": "1"}) for rival in ("ours", "floor"))
    assert version_of("ours", {"dlt": "1"}) == ours
    assert len({ours, floor, version_of("ours", {"dlt": "2"})}) == 3
