"""Two warehouses, on either engine, in a real Superset and a real browser: started once, for all tests."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dlt
import psycopg2
import pytest

from tests.live.browser import browser_page
from tests.superset.dashboard import Dashboard
from tests.superset.life import account_of_old
from tests.superset.superset_server import superset
from toloka_source.emulator import Emulator

pytest_plugins = ["tests.postgres"]

HEIGHT = 2970
"""All of the dashboard: what is out of sight isn't asked for."""


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a folder, and the address of an empty warehouse."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        return folder, str(folder / "toloka.duckdb")
    url: str = request.getfixturevalue("postgres")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("ALTER DATABASE postgres SET timezone TO 'Asia/Kathmandu'")
    return folder, url


@pytest.fixture(scope="session")
def dashboard(place: tuple[Path, str]) -> Iterator[Dashboard]:
    """Load a lifelike account, open the dashboard, then keep a history for half a year."""
    folder, address = place
    to = dlt.destinations.postgres if address.startswith("postgresql:") else dlt.destinations.duckdb
    with (
        pytest.MonkeyPatch.context() as patch,
        Emulator(account_of_old()) as api,
        browser_page(height=HEIGHT) as page,
    ):
        patch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
        pipeline = dlt.pipeline(
            "toloka", pipelines_dir=str(folder / "dlt"), destination=to(address), dataset_name="toloka_data"
        )
        dashboard = Dashboard(api, pipeline, page)
        with superset(address, folder / "superset") as server:
            dashboard.sign_in(server)
            dashboard.open_without_history()
            dashboard.live()
            yield dashboard
