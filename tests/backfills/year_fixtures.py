"""A small account with a year's objects, and places to load them into."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest

from tests.backfills.year import Place
from toloka_source.emulator import Emulator

pytest_plugins = ["tests.postgres"]


@pytest.fixture
def year(api: Emulator) -> Emulator:
    """Serve a small account with objects at all seams of a year, new fields here and there, and objects that don't fit.

    Half of the trainings were started again, in a later month: they are in two windows.
    """
    for month in range(1, 13):
        for moment in ("01T00:00:00", "01T00:00:00", "01T00:00:00.001", "15T08:00:00"):
            new = {f"x_{month}": "new", "x_all": month} if month % 4 in (3, 0) else {}
            project = api.account.create_project(created=f"2025-{month:02}-{moment}", **new)
            for later in range(4):
                again = f"2025-{min(month + later, 12):02}-{moment}"
                started = {"last_started": again} if later % 2 else {}
                api.account.create_training(project["id"], created=f"2025-{month:02}-{moment}", **started, **new)
        if month % 3 == 0:
            api.account.create_project(created=f"2025-{month:02}-20T00:00:00", sensitive="maybe")
    api.account.create_project(created="2026-01-01T00:00:00")
    api.account.create_project(created="2026-01-01T00:00:00.001")
    return api


@pytest.fixture
def arguments(year: Emulator) -> dict[str, Any]:
    """Return the source's arguments."""
    return {"token": "secret", "base_url": year.base_url}


@pytest.fixture
def new_database(postgres: str, tmp_path: Path) -> Callable[[], Place]:
    """Return what makes a new, empty database."""

    def make() -> Place:
        name = f"test_{token_hex(8)}"
        with closing(psycopg2.connect(postgres)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name}")
        url = urlsplit(postgres)._replace(path=f"/{name}").geturl()
        return Place(dlt.destinations.postgres(url), tmp_path / "reader")

    return make


@pytest.fixture(params=["postgres", pytest.param("duckdb", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return an empty destination of each kind."""
    if request.param == "postgres":
        made: Place = request.getfixturevalue("new_database")()
        return made
    return Place(dlt.destinations.duckdb(str(tmp_path / "toloka.duckdb")), tmp_path / "reader")
