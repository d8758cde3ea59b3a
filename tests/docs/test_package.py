"""The wheel: built, installed into an empty environment, imported, and used to load."""

import subprocess
import sys
from pathlib import Path

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


def test_a_wheel_in_an_empty_environment(own_folder: Path, api: Emulator) -> None:
    for _ in range(3):
        api.account.create_project()

    def run(*command: str | Path) -> str:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    run("uv", "build", "--quiet", "--wheel", "--out-dir", own_folder, ROOT)
    (wheel,) = own_folder.glob("*.whl")
    run("uv", "venv", "--quiet", "--python", sys.executable, own_folder / "env")
    python = own_folder / "env" / "bin" / "python"
    run("uv", "pip", "install", "--quiet", "--python", python, f"{wheel}[duckdb]")
    assert run(python, "-c", LOAD, api.base_url).split()[-1] == "3"
    typed = run(python, "-c", "import toloka_source, pathlib as p; print(p.Path(toloka_source.__file__).parent)")
    assert (Path(typed.strip()) / "py.typed").exists()
