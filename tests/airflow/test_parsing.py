"""What Airflow learns from the file of DAGs, which it reads again and again."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from tests.airflow.conftest import DAG_FILE, DAGS
from toloka_source import toloka
from toloka_source.backfills.windows import BY
from toloka_source.catalog import DEFAULT_ENDPOINTS, ENDPOINTS

WATCHED = """
import json, os, sys, time
from runpy import run_path
import airflow.sdk, airflow.sdk.log, croniter  # the last one is what Airflow reads schedules with

seen = []
def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.mkdir", "os.rename", "sqlite3.")):
        seen.append(event)
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        seen.append(f"write {arguments[0]}")

sys.addaudithook(watch)
started = time.monotonic()
run_path(sys.argv[1])
json.dump({"seen": seen, "seconds": time.monotonic() - started, "modules": sorted(sys.modules)}, sys.stdout)
"""
"""Reads the file, and says what it did to the machine meanwhile."""


def test_reading_the_file_is_quick_and_touches_nothing(own_folder: Path) -> None:
    command = [sys.executable, "-B", "-c", WATCHED, str(DAG_FILE)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=own_folder, env={**os.environ})
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["seen"] == []
    assert answer["seconds"] < 2  # it takes 0.05
    assert not {"dlt", "pyarrow", "toloka_source"} & set(answer["modules"])
    assert list(own_folder.iterdir()) == []


def test_only_one_run_of_a_dag_at_once_and_none_is_made_up_for(dags: Mapping[str, DAG]) -> None:
    for dag in dags.values():
        assert (dag.max_active_runs, dag.catchup) == (1, False)


def test_all_that_loads_shares_a_pool_and_is_tried_again_later_and_later(dags: Mapping[str, DAG]) -> None:
    loading = [
        dags["toloka"].get_task("load"),
        *map(dags["toloka_backfill"].get_task, ("first_window", "other_windows")),
    ]
    for task in loading:
        assert task.pool == "toloka"
        assert task.retries == 4
        assert task.retry_exponential_backoff == 2


def test_each_table_has_an_asset_and_a_task_that_tells_of_it(dags: Mapping[str, DAG]) -> None:
    for dag in dags.values():
        told = {outlet.name: task.task_id for task in dag.tasks for outlet in task.outlets}
        assert told == {f"toloka_{name}": f"new_{name}" for name in DEFAULT_ENDPOINTS}


def test_other_lists_have_theirs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, expected in (("pools, skills", ["pools", "skills"]), ("all", [*ENDPOINTS])):
        monkeypatch.setenv("TOLOKA_RESOURCES", setting)
        dag = DagBag(DAGS).dags["toloka"]
        assert [outlet.name for task in dag.tasks for outlet in task.outlets] == [f"toloka_{name}" for name in expected]


def test_the_form_offers_what_windows_can_be_cut_by(dags: Mapping[str, DAG]) -> None:
    params = dags["toloka_backfill"].params
    assert tuple(params.get_param("by").schema["enum"]) == BY
    assert all(params.get_param(name).description for name in params)


def test_extra_may_hold_each_argument_but_those_that_are_set_otherwise() -> None:
    arguments = set(inspect.signature(toloka).parameters) - {"token", "base_url", "start_date", "end_date", "resources"}
    assert set(run_path(str(DAG_FILE))["EXTRA"]) == arguments | {"destination", "dataset", "credentials"}


def test_the_guide_has_what_extra_may_hold() -> None:
    guide = (DAG_FILE.parents[1] / "docs" / "guides" / "airflow.md").read_text()
    for name in run_path(str(DAG_FILE))["EXTRA"]:
        assert f"`{name}`" in guide


def test_the_schedule_is_hourly_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, expected in ((None, "@hourly"), ("*/15 * * * *", "*/15 * * * *")):
        if setting:
            monkeypatch.setenv("TOLOKA_SCHEDULE", setting)
        schedule: Any = DagBag(DAGS).dags["toloka"].schedule
        assert schedule == expected
