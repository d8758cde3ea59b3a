"""The source's arguments, from code, environment and file alike: what works, and what is said of what can't."""

import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Warehouse
from toloka_source import ENDPOINTS, errors, toloka
from toloka_source.catalog.endpoints import Filters
from toloka_source.emulator import Emulator


def test_configuration_from_the_environment(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for status in ("ACTIVE", "ARCHIVED"):
        api.account.create_project(status=status, created="2026-02-01T00:00:00")
    api.account.create_project(created="2025-02-01T00:00:00")
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "secret")
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
    monkeypatch.setenv("SOURCES__TOLOKA__START_DATE", "2026-01-01")
    monkeypatch.setenv("SOURCES__TOLOKA__FILTERS", '{"projects": {"status": "ACTIVE"}}')
    monkeypatch.setenv("SOURCES__TOLOKA__RESCAN_AFTER_HOURS", "inf")
    warehouse = Warehouse(api)
    warehouse.pipeline.run(toloka())
    assert [row["id"] for row in warehouse.rows("projects")] == [api.account.projects[0]["id"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"token": None}, "token = None: no token; set SOURCES__TOLOKA__TOKEN"),
        ({"token": "  "}, "token = '': is empty; set SOURCES__TOLOKA__TOKEN, or token under [sources.toloka]"),
        ({"token": "a b"}, "token = '***': not a token"),
        ({"token": "OAuth"}, "token = 'OAuth': is empty"),
        ({"environment": "prod"}, "environment = 'prod': unknown; use one of production, sandbox"),
        ({"base_url": "http://toloka.dev/api/v1"}, "https"),
        ({"base_url": "toloka.dev"}, "not an address"),
        ({"start_date": "yesterday"}, "start_date = 'yesterday': not a date"),
        (
            {"start_date": "2999-01-01"},
            "start_date = '2999-01-01': is in the future, so nothing would be loaded; it is 2",
        ),
        ({"start_date": 5}, "start_date = 5: not a date"),
        ({"start_date": "2026-02-02", "end_date": "2026-02-02"}, "end_date = '2026-02-02': must be after start_date"),
        ({"filters": {"tasks": {}}}, "use one of projects, trainings, pools"),
        ({"resources": ["tasks"]}, "resources = 'tasks': unknown; use one of projects, trainings, pools"),
        ({"resources": []}, "resources = []: must be a list of names, or all"),
        ({"resources": 5}, "resources = 5: must be a list of names, or all"),
        (
            {"resources": ["webhook_subscriptions"], "end_date": "2026-01-01"},
            "resources = 'webhook_subscriptions': no time to select by",
        ),
        ({"filters": {"projects": {"state": "OPEN"}}}, "'state': unknown; projects can be filtered by status, owner"),
        ({"filters": {"projects": {"limit": 5}}}, "'limit': unknown"),
        ({"filters": {"trainings": {"status": "ACTIVE"}}}, "use one of OPEN, CLOSED, LOCKED, ARCHIVED"),
        ({"filters": {"projects": {"created_gt": "soon"}}}, "filters.projects.created_gt = 'soon': not a date"),
        ({"filters": {"projects": {"id_gt": "x"}}}, "must be an id"),
        ({"filters": {"projects": {"owner": ""}}}, "must be a text"),
        ({"filters": {"projects": "ACTIVE"}}, "must be a table"),
        ({"table_format": "csv"}, "table_format = 'csv': unknown; use delta"),
        ({"rescan_after_hours": -1}, "rescan_after_hours = -1: must be a number of hours"),
        ({"max_concurrency": 0}, "max_concurrency = 0: must be a whole number, 1 or more"),
        ({"max_concurrency": 1.5}, "max_concurrency = 1.5: must be a whole number, 1 or more"),
    ],
)
def test_arguments_that_can_not_work_are_refused_before_any_request(
    api: Emulator, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        toloka(**{"token": "secret", "base_url": api.base_url, **arguments})
    assert said in str(caught.value)
    assert api.requests == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("environment", "prod", "environment = 'prod': unknown; use one of production, sandbox"),
        ("start_date", "yesterday", "start_date = 'yesterday': not a date"),
        ("table_format", "csv", "table_format = 'csv': unknown; use delta"),
        ("filters", '{"projects": {"state": "OPEN"}}', "'state': unknown; projects can be filtered by status"),
    ],
)
def test_the_environment_s_variables_are_refused_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"SOURCES__TOLOKA__{name.upper()}", value)
    with pytest.raises(errors.ConfigurationError) as caught:
        toloka(token="secret")  # noqa: S106 - nothing secret
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('environment = "prod"', "environment = 'prod': unknown; use one of production, sandbox"),
        ('start_date = "yesterday"', "start_date = 'yesterday': not a date"),
        ("start_date = 5", "start_date = 5: not a date"),
        ('table_format = "csv"', "table_format = 'csv': unknown; use delta"),
        ('filters.projects.state = "OPEN"', "'state': unknown; projects can be filtered by status"),
        # the date is taken, and so is the filter
        ('start_date = 2026-01-31\nfilters.projects.status = "ACTIVE"\nmax_concurrency = 0', "max_concurrency = 0"),
        (
            "start_date = 2026-01-31T08:00:00Z\nend_date = 2026-01-31",
            "must be after start_date, 2026-01-31 08:00",
        ),
    ],
)
@pytest.mark.slow
def test_the_configuration_s_file_is_refused_in_the_same_words(own_folder: Path, lines: str, said: str) -> None:
    folder = own_folder / ".dlt"
    folder.mkdir()
    (folder / "config.toml").write_text(f"[sources.toloka]\n{lines}\n")
    script = "import toloka_source; toloka_source.toloka(token='secret')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "toloka_source.errors.ConfigurationError" in done.stderr
    assert said in done.stderr


def test_a_type_checker_sees_what_is_wrong(api: Emulator) -> None:
    assert Filters.__annotations__.keys() == ENDPOINTS.keys()
    build = partial(toloka, token="secret", base_url=api.base_url)  # noqa: S106 - nothing secret
    build(environment="sandbox", table_format="delta", start_date=date(2026, 1, 1), filters={"projects": {}})
    with pytest.raises(errors.ConfigurationError):
        build(environment="prod")  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigurationError):
        build(table_format="csv")  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigurationError):
        build(start_date=5)  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigurationError):
        build(filters={"tasks": {}})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "moment",
    [
        "2026-02-01",
        date(2026, 2, 1),
        datetime(2026, 2, 1),  # noqa: DTZ001 - a naive time is UTC
        "2026-02-01T00:00:00Z",
        datetime(2026, 2, 1, 3, tzinfo=timezone(timedelta(hours=3))),
        "2026-01-31T19:00:00-05:00",
        "2026-02-01T00:00:00.000999",  # cut, not rounded
    ],
)
def test_every_way_to_write_a_moment(warehouse: Warehouse, moment: object) -> None:
    warehouse.load(start_date=moment, end_date="2026-03-01")
    assert {request.params.get("created_gt") for request in warehouse.api.requests} == {"2026-02-01T00:00:00.000", None}
