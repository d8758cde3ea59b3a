"""`dlt init toloka duckdb` in an empty folder: what dlt writes there, and what its script then loads."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import duckdb
import pytest
from packaging.requirements import Requirement

from tests.conftest import fill
from toloka_source.emulator import Emulator

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(own_folder: Path) -> Path:
    """Return the folder in which `dlt init` was run."""
    folder = own_folder / "project"
    folder.mkdir()
    dlt = Path(sys.executable).with_name("dlt")
    run([dlt, "--non-interactive", "init", "toloka", "duckdb", "--location", REPOSITORY], folder)
    return folder


def run(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_token_is_all_that_is_asked_for(folder: Path) -> None:
    secrets = tomllib.loads((folder / ".dlt/secrets.toml").read_text())
    assert secrets == {"sources": {"toloka": {"token": "<configure me>"}}}
    assert list(tomllib.loads((folder / ".dlt/config.toml").read_text())) == ["runtime"]
    # as it was written it is no token
    command = [sys.executable, "toloka_pipeline.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ConfigurationError: token = '***': not a token" in done.stderr


def test_the_script_loads_the_account(folder: Path, api: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(api.account)
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "secret")
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
    run([sys.executable, "toloka_pipeline.py"], folder)
    with duckdb.connect(str(folder / "toloka.duckdb")) as warehouse:
        for name, objects in (("projects", api.account.projects), ("trainings", api.account.trainings)):
            loaded = warehouse.execute(f"SELECT id FROM toloka_data.{name}").fetchall()  # noqa: S608
            assert sorted(row[0] for row in loaded) == sorted(item["id"] for item in objects)


def test_requirements_are_what_is_installed_here(folder: Path) -> None:
    requirements = [Requirement(line) for line in (folder / "requirements.txt").read_text().splitlines()]
    assert [str(wanted.name) for wanted in requirements] == ["toloka-source", "dlt"]
    assert all(wanted.extras == {"duckdb"} for wanted in requirements)
    assert all(wanted.specifier.contains(version(wanted.name)) for wanted in requirements)


def test_the_list_of_sources_has_it() -> None:
    dlt = Path(sys.executable).with_name("dlt")
    listed = run([dlt, "init", "--list-sources", "--location", REPOSITORY], Path.cwd())
    assert "toloka: Toloka's projects and trainings" in listed
