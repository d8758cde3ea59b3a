"""What the command says where a package of an extra isn't installed."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.cli.test_command import SCRIPT, configured
from tests.conftest import bare
from toloka_source.emulator import Emulator

__all__ = ["configured"]  # fixtures

ROOT = SCRIPT.parents[1]


def run_without(packages: tuple[str, ...], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with all packages that are installed, but for these."""
    others = folder / "packages"
    others.mkdir(exist_ok=True)
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith(packages):
            (others / package.name).symlink_to(package)
    environment = {**os.environ, "PYTHONPATH": f"{others}:{ROOT}"}
    command = [sys.executable, "-S", "-m", "toloka_source", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


EVERY = ("altair", "vl_convert", "starlette", "uvicorn", "psycopg2", "deltalake", "tqdm")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo"], "the demo needs the extra demo: pip install 'toloka-source[demo]'"),
        (["emulator"], "the emulator needs the extra emulator: pip install 'toloka-source[emulator]'"),
        (
            ["load", "--report", "report.html"],
            "report = 'report.html': needs the extra report: pip install 'toloka-source[report]'",
        ),
        (
            ["load", "--destination", "postgres"],
            "postgres destination needs the extra postgres: pip install 'toloka-source[postgres]'",
        ),
        (
            ["backfill", "--start-date", "2025-01-01", "--end-date", "2025-03-01", "--destination", "postgres"],
            "postgres destination needs the extra postgres: pip install 'toloka-source[postgres]'",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_missing_extra_is_one_line_and_2(
    configured: Emulator, own_folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "postgresql://loader:secret@127.0.0.1:1/warehouse")
    run = run_without(EVERY, own_folder, *words)
    assert (run.returncode, run.stdout, bare(run.stderr)) == (2, "", f"error: {said}\n")
    assert configured.requests == []


@pytest.mark.parametrize("words", [["load", "--progress", "off"], ["--help"], ["emulator", "--help"]], ids=" ".join)
def test_what_needs_no_extra(configured: Emulator, own_folder: Path, words: list[str]) -> None:
    run = run_without(EVERY, own_folder, *words)
    assert run.returncode == 0, run.stderr
    assert len(configured.requests) == 2 * (words[0] == "load")


def test_a_missing_bar(configured: Emulator, own_folder: Path) -> None:
    run = run_without(EVERY, own_folder, "load", "--progress", "tqdm")
    assert run.returncode == 2
    assert 'pip install "tqdm"' in run.stderr
    assert run.stderr.count("\n") == 1
    assert configured.requests == []
