"""The wheel: built, installed into an empty environment, imported, and used to load."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from toloka_source.emulator import Emulator

ROOT = Path(__file__).parents[2]

LOAD = """
import dlt, sys
from toloka_source import load, toloka
pipeline = dlt.pipeline("toloka", destination="duckdb", dataset_name="toloka_data")
load(pipeline, toloka(token="any", base_url=sys.argv[1]), views=True)
with pipeline.sql_client() as client:
    print(client.execute_sql("SELECT count(*) FROM toloka_bi.projects")[0][0])
"""


def run(*command: str | Path, folder: Path | None = None) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder).stdout


@pytest.fixture
def wheel(own_folder: Path) -> Path:
    """Build the wheel."""
    run("uv", "build", "--quiet", "--wheel", "--out-dir", own_folder / "dist", ROOT)
    (built,) = (own_folder / "dist").glob("*.whl")
    return built


@pytest.mark.parametrize("extra", ["", pytest.param("[duckdb]", marks=pytest.mark.slow)])
def test_a_wheel_in_an_empty_environment(own_folder: Path, api: Emulator, wheel: Path, extra: str) -> None:
    for _ in range(3):
        api.account.create_project()
    run("uv", "venv", "--quiet", "--python", sys.executable, own_folder / "env")
    python = own_folder / "env" / "bin" / "python"
    run("uv", "pip", "install", "--quiet", "--python", python, f"{wheel}{extra}")
    assert run(python, "-c", LOAD, api.base_url).split()[-1] == "3"
    typed = run(python, "-c", "import toloka_source, pathlib as p; print(p.Path(toloka_source.__file__).parent)")
    assert (Path(typed.strip()) / "py.typed").exists()


@pytest.mark.slow
def test_the_demo_of_a_wheel_in_an_empty_folder(own_folder: Path, wheel: Path) -> None:
    (own_folder / "empty").mkdir()
    demo = ("uvx", "--quiet", "--python", sys.executable, "--from", f"{wheel}[demo]", "toloka-source", "demo")
    said = run(*demo, "--report", "report.html", folder=own_folder / "empty")
    assert re.search(r"^projects +first +1000 ", said, re.MULTILINE)
    assert {path.name for path in (own_folder / "empty").iterdir()} == {"report.html", "toloka_demo.duckdb"}
    look = said.splitlines()[-1].removeprefix("Look at it: ")
    assert "ACTIVE" in run("sh", "-c", look, folder=own_folder / "empty")
