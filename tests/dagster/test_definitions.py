"""The definitions as Dagster reads them: at any time, on any machine, with no token and no network."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from tests.dagster.conftest import SCRIPT, load_definitions

SOCKETS = """
import sys

def refuse(event, arguments):
    # Dagster's own processes meet at Unix sockets, whose addresses are texts
    if event in ("socket.getaddrinfo", "socket.gethostbyname") or (
        event in ("socket.connect", "socket.bind") and isinstance(arguments[1], tuple)
    ):
        raise PermissionError(f"{event} {arguments[1:]}")

sys.addaudithook(refuse)
"""
"""Every Python process begins with this: it can reach nobody."""


def run(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user without a network, who has nothing but these settings."""
    blocked, home = folder / "blocked", folder / "home"
    for each in (blocked, home):
        each.mkdir(exist_ok=True)
    (blocked / "sitecustomize.py").write_text(SOCKETS)
    bin_folder = Path(sys.executable).parent
    environment = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(blocked),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "DLT_DATA_DIR": str(home / "dlt"),
        "TMPDIR": str(folder),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    return subprocess.run(
        command, cwd=home, env=environment | settings, capture_output=True, text=True, timeout=120, check=False
    )


def test_nothing_can_be_reached_in_these_tests(tmp_path: Path) -> None:
    """The positive control: who asks for the network there fails."""
    ask = "import requests; requests.get('http://127.0.0.1:9')"
    assert "PermissionError: socket." in run(tmp_path, sys.executable, "-c", ask).stderr


@pytest.mark.parametrize("destination", ["duckdb", "postgres"])
def test_they_are_valid_without_a_token_or_a_network_and_leave_nothing_behind(tmp_path: Path, destination: str) -> None:
    command = ("dagster", "definitions", "validate", "-f", str(SCRIPT))
    result = run(tmp_path, *command, TOLOKA_DESTINATION=destination)
    assert result.returncode == 0, result.stdout
    assert "Validation successful" in result.stdout
    assert [*(tmp_path / "home").rglob("*")] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TOLOKA_BACKFILL_START", "spring", "TOLOKA_BACKFILL_START = 'spring': not a date"),
        ("TOLOKA_FRESH_HOURS", "soon", "TOLOKA_FRESH_HOURS = 'soon': must be a number of hours, more than 0"),
        ("TOLOKA_SCHEDULE", "hourly", "invalid cron schedule 'hourly'"),
        ("TOLOKA_RESOURCES", "tasks", "resources = 'tasks': unknown; use one of projects"),
    ],
)
def test_a_setting_that_cannot_work_is_named(tmp_path: Path, name: str, value: str, said: str) -> None:
    result = run(tmp_path, "dagster", "definitions", "validate", "-f", str(SCRIPT), **{name: value})
    assert result.returncode == 1
    assert said in result.stdout


def schedule(defs: dg.Definitions) -> dg.ScheduleDefinition:
    """Return the one schedule."""
    (found,) = defs.schedules or ()
    assert isinstance(found, dg.ScheduleDefinition)
    return found


def test_the_schedule_loads_and_checks_both_tables_every_hour() -> None:
    defs: dg.Definitions = load_definitions().defs
    assert schedule(defs).cron_schedule == "0 * * * *"
    layer = defs.resolve_job_def(schedule(defs).job_name).asset_layer
    assert {key.to_user_string() for key in layer.selected_asset_keys} == {"toloka/projects", "toloka/trainings"}
    assert {key.to_user_string() for key in layer.asset_graph.asset_check_keys} == {
        "toloka/projects:ids",
        "toloka/projects:rejected_items",
        "toloka/trainings:ids",
        "toloka/trainings:rejected_items",
    }


def test_settings_are_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLOKA_SCHEDULE", "30 6 * * *")
    monkeypatch.setenv("TOLOKA_FRESH_HOURS", "36")
    monkeypatch.setenv("TOLOKA_DATASET", "raw_toloka")
    module = load_definitions()
    assert schedule(module.defs).cron_schedule == "30 6 * * *"
    specs = list(module.tables.specs)
    assert {spec.freshness_policy for spec in specs} == {dg.FreshnessPolicy.time_window(timedelta(hours=36))}
    assert {spec.metadata["dagster/table_name"] for spec in specs} == {"raw_toloka.projects", "raw_toloka.trainings"}


def test_other_lists_are_assets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLOKA_RESOURCES", "pools,skills")
    module = load_definitions()
    assert {spec.key.to_user_string() for spec in module.tables.specs} == {"toloka/pools", "toloka/skills"}
    assert {spec.asset_key.to_user_string() for spec in module.checks.check_specs} == {"toloka/pools", "toloka/skills"}


def test_a_table_is_loaded_by_one_run_at_a_time() -> None:
    module = load_definitions()
    assert module.tables.op.pools == module.checks.op.pools == {"toloka"}
