"""How the command starts: its help, its version, its names, and what is typed next."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_command import SCRIPT, configured
from tests.conftest import bare
from toloka_source.catalog import DEFAULT_ENDPOINTS
from toloka_source.cli import main
from toloka_source.cli.options import RESOURCES
from toloka_source.emulator import Emulator

__all__ = ["configured"]  # fixtures

INSTALLED = str(Path(sys.executable).with_name("toloka-source"))

DATES = ("--start-date", "2025-01-01", "--end-date", "2025-02-01")

LOOK = """
import sys
from toloka_source.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code
print("imported:", *{"dlt", "pyarrow", "duckdb", "starlette", "uvicorn"} & {*sys.modules})
"""


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], *([name, "--help"] for name in ("demo", "load", "backfill", "emulator"))],
    ids=" ".join,
)
def test_help_is_there_at_once(words: list[str]) -> None:
    run = subprocess.run([sys.executable, "-c", LOOK, *words], capture_output=True, text=True, check=True)
    *shown, imported = run.stdout.splitlines()
    assert shown
    assert imported == "imported:"


def test_help_names_the_resources_that_there_are() -> None:
    assert tuple(DEFAULT_ENDPOINTS) == RESOURCES


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    project = (SCRIPT.parents[1] / "pyproject.toml").read_text()
    (version,) = re.findall(r'^version = "(.*)"', project, re.MULTILINE)
    assert capfd.readouterr().out == f"toloka-source {version}\n"


def test_without_a_subcommand(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert all(name in err for name in ("Usage: toloka-source", "demo", "load", "backfill", "emulator"))


@pytest.mark.parametrize("words", [["lod"], ["--progress", "off"], ["load", "--output", "xml"], ["backfill"]])
def test_words_that_are_none(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("calls", "again", "is_on_path"),
    [
        (["toloka-source"], ["toloka-source"], True),
        pytest.param([INSTALLED], [INSTALLED], False, marks=pytest.mark.slow),
        pytest.param(*([[sys.executable, "-m", "toloka_source"]] * 2), False, marks=pytest.mark.long),
        (["uv", "run", "toloka-source"], ["uv", "run", "toloka-source"], False),
        pytest.param(*([["uv", "run", "python", "-m", "toloka_source"]] * 2), False, marks=pytest.mark.long),
    ],
    ids=["by name", "by path", "as a module", "by uv run", "as a module by uv run"],
)
@pytest.mark.slow
def test_what_it_says_to_type_works(
    configured: Emulator, calls: list[str], again: list[str], *, is_on_path: bool
) -> None:
    programs = Path(sys.executable).parent
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder != str(programs)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV")} | {
        "PATH": os.pathsep.join([*([str(programs)] if is_on_path else []), *folders]),
        "VIRTUAL_ENV": sys.prefix,  # where `uv run` finds programs outside of a project
    }

    def run(line: str, code: int) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True, check=False)  # noqa: S602
        assert done.returncode == code, done.stderr
        return done

    configured.account.create_project(created="2025-01-10T00:00:00", sensitive="maybe")
    failed = run(shlex.join([*calls, "backfill", *DATES, "--strict"]), 1)
    load_again = bare(failed.stderr).splitlines()[-1].removeprefix("info: load again: ")
    assert shlex.split(load_again)[: len(again)] == again
    configured.account.edit_project("1", sensitive=True)
    assert run(load_again, 0).stdout.startswith("1 of 1  2025-01-01 .. 2025-02-01  projects 1")
    loaded = run(shlex.join([*calls, "load", "--progress", "off"]), 0)
    assert "ACTIVE" in run(loaded.stdout.splitlines()[-1].removeprefix("Look at it: "), 0).stdout
