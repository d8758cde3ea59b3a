"""The dashboard's second tab in a real Superset and a real browser: every figure is the account's."""

import os
from collections.abc import Iterator
from pathlib import Path

import dlt
import pytest

from tests.live.browser import browser_page
from tests.superset.dashboard import Dashboard, choose
from tests.superset.figures import OF_PROJECTS, OF_TRAININGS
from tests.superset.list_figures import list_figures
from tests.superset.superset_server import superset
from toloka_source.emulator import Account, Emulator

pytest_plugins = ["tests.postgres"]

HEIGHT = 2970
"""All of the first tab: what is out of sight isn't asked for."""


@pytest.fixture(params=["duckdb", "postgres"])
def dashboard(request: pytest.FixtureRequest, own_folder: Path) -> Iterator[Dashboard]:
    """Load all lists of a lifelike account, and show them."""
    in_postgres = request.param == "postgres"
    address = request.getfixturevalue("postgres_database") if in_postgres else str(own_folder / "toloka.duckdb")
    to = dlt.destinations.postgres if in_postgres else dlt.destinations.duckdb
    pipeline = dlt.pipeline("toloka", destination=to(address), dataset_name="toloka_data")
    with Emulator(Account.lifelike(40, others=True)) as api, browser_page(height=HEIGHT) as page:
        dashboard = Dashboard(api, pipeline, page, resources="all")
        with superset(address, own_folder / "superset") as server:
            dashboard.sign_in(server)
            yield dashboard


def test_the_second_tab(dashboard: Dashboard, tmp_path: Path) -> None:
    account = dashboard.account
    assert len(dashboard.open()["Projects created per month"]) > 1
    before = list_figures(account)
    assert all(before.values())
    found = dashboard.open_lists()
    assert found in (before, list_figures(account))  # days that are over, and a restriction, may end in between

    folder = Path(__file__).parents[2] / os.environ.get("TOLOKA_PICTURES", tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    dashboard.page.set_viewport_size({"width": 1440, "height": 1650})
    dashboard.page.wait_for_timeout(2_000)  # the charts grow to their size
    dashboard.page.screenshot(path=folder / "dashboard-lists.png")

    names = [str(item["public_name"]) for item in account.projects]
    name = next(name for name in names if name.isascii() and all(list_figures(account, name).values()))
    dashboard.open()
    dashboard.answers(lambda: choose(dashboard.page, "project", name), OF_PROJECTS | OF_TRAININGS)
    before = list_figures(account, name)
    assert dashboard.open_lists() in (before, list_figures(account, name))


def test_a_file_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    warehouse = tmp_path / "toloka.duckdb"
    warehouse.write_text("no database")
    with (
        pytest.raises(RuntimeError, match=r"error: the warehouse can't be read: .*toloka.duckdb"),
        superset(str(warehouse), tmp_path / "superset"),
    ):
        pass
