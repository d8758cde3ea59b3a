"""`pipelines/toloka_pipeline.py`: the command for who has the repository, loading unless told otherwise."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.cli.test_command import SCRIPT, configured, table
from tests.conftest import bare
from toloka_source.emulator import Emulator

__all__ = ["configured"]  # fixtures

BACKFILL = ("backfill", "--start-date", "2025-01-01", "--end-date", "2025-03-01")


def script(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False)


def test_it_is_short_and_says_how_to_use_it() -> None:
    text = SCRIPT.read_text()
    assert text.count("\n") <= 15
    assert "--demo" in text.partition('"""\n\n')[0]


@pytest.mark.slow
def test_its_demo() -> None:
    run = script("--demo")
    assert run.returncode == 0
    counts = ["1000", "750", "1", "4", "20", "8"]
    assert [[row[0], row[2]] for row in table(run.stdout)] == [
        [name, count] for name, count in zip(["projects", "trainings"] * 3, counts, strict=True)
    ]
    (query,) = re.findall(
        r'^Look at it: uv run duckdb -readonly toloka_demo.duckdb -c "(.*)"$', run.stdout, re.MULTILINE
    )
    with duckdb.connect("toloka_demo.duckdb") as connection:
        assert sum(row[1] for row in connection.execute(query).fetchall()) == 1_013


@pytest.mark.slow
def test_it_loads(configured: Emulator) -> None:
    configured.account.create_project()
    run = script("--resources", "projects", "--progress", "off")
    assert (run.returncode, run.stderr) == (0, "")
    assert [[row[0], row[2]] for row in table(run.stdout)] == [["projects", "1"]]
    assert "Look at it: uv run duckdb -readonly toloka.duckdb -c" in run.stdout
    assert script("--resources", "tasks").returncode == 2


@pytest.mark.slow
def test_its_backfill_says_how_to_load_again(configured: Emulator) -> None:
    configured.account.create_project(created="2025-01-10T00:00:00", sensitive="maybe")
    run = script(*BACKFILL, "--strict")
    assert run.returncode == 1
    words = shlex.split(bare(run.stderr).splitlines()[-1].removeprefix("info: load again: "))
    assert words[:2] == ["uv", "run"]
    assert Path(words[2]).resolve() == SCRIPT
    configured.account.edit_project("1", sensitive=True)
    run = script(*words[3:])
    assert run.returncode == 0
    assert run.stdout.startswith("1 of 1  2025-01-01 .. 2025-02-01  projects 1  trainings 0")


@pytest.mark.parametrize("words", [[], ["backfill"]])
def test_its_options_are_those_of_the_command(words: list[str]) -> None:
    def options(*command: str | Path) -> set[str]:
        text = subprocess.run([sys.executable, *command, "--help"], capture_output=True, text=True, check=True).stdout
        return set(re.findall(r"--[a-z-]+", text))

    assert options(SCRIPT, *words) - {"--demo"} == options("-m", "toloka_source", *(words or ["load"]))
