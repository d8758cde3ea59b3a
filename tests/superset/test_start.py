"""What a start of Superset does, the first and the next one: the dashboard as it is now, or an error in one line."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.superset.dashboard import Dashboard, choose
from tests.superset.figures import LAST_LOAD, OF_PROJECTS, OF_TRAININGS
from tests.superset.list_figures import BY_PROJECT, OF_LISTS, list_figures
from tests.superset.superset_server import FILES, Superset, superset
from toloka_source.emulator import Account

NAMES = {"chart": "slice_name", "dashboard": "dashboard_title", "dataset": "table_name", "database": "database_name"}


def names(server: Superset) -> dict[str, list[str]]:
    """Return the names of all that Superset knows."""
    return {kind: server.names(kind, field) for kind, field in NAMES.items()}


def test_to_start_it_again_updates_it_and_adds_a_tab_of_lists(
    place: tuple[Path, str], dashboard: Dashboard, tmp_path: Path
) -> None:
    before = names(dashboard.server)
    assert {kind: len(of_kind) for kind, of_kind in before.items()} == {
        "chart": 18,
        "dashboard": 1,
        "dataset": 8,
        "database": 1,
    }
    dashboard.server.stop()
    bundle = tmp_path / "bundle"
    shutil.copytree(FILES / "bundle", bundle)
    chart = bundle / "charts" / "last_load.yaml"
    chart.write_text(chart.read_text().replace(f"slice_name: {LAST_LOAD}", "slice_name: A new title"))
    dashboard.load(resources="all")

    with superset(place[1], place[0] / "superset", bundle) as again:
        assert again.password != dashboard.server.password
        after = names(again)
        charts = sorted({*before["chart"], "A new title", *OF_LISTS} - {LAST_LOAD})
        of_lists = sorted({*after["dataset"]} - {*before["dataset"]})
        assert after == before | {"chart": charts, "dataset": sorted([*before["dataset"], *of_lists])}
        assert of_lists == ["bonuses", "pools", "restrictions", "skills_held"]
        dashboard.sign_in(again)
        assert_second_tab(dashboard)
        dashboard.page.set_viewport_size({"width": 1440, "height": 1650})
        dashboard.take_picture(tmp_path, "lists")
    files = [path for path in (place[0] / "superset").rglob("*") if path.is_file() and path.name != "output"]
    assert [path for path in files if again.password.encode() in path.read_bytes()] == []


def assert_second_tab(dashboard: Dashboard) -> None:
    """Compare each of its charts with the account: of all projects, and of one."""
    account = dashboard.account
    dashboard.open()
    assert_lists(dashboard.open_lists, account)
    named = [str(item["public_name"]) for item in account.projects]
    name = next(name for name in named if name.isascii() and all(list_figures(account, name).values()))
    choose_it = partial(choose, dashboard.page, "project", name)
    assert_lists(lambda: dashboard.answers(choose_it, BY_PROJECT | OF_PROJECTS | OF_TRAININGS), account, name)


def assert_lists(act: Callable[[], dict[str, Any]], account: Account, project: str | None = None) -> None:
    """Compare what charts are answered with the account; days that are over, and a restriction, may end in between."""
    before, found, after = list_figures(account, project), act(), list_figures(account, project)
    assert all(before.values())
    of_lists = {title: found[title] for title in before.keys() & found.keys()}
    assert of_lists in [{title: figures[title] for title in of_lists} for figures in (before, after)]


def test_a_file_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    warehouse = tmp_path / "toloka.duckdb"
    warehouse.write_text("no database")
    with (
        pytest.raises(RuntimeError, match=r"error: the warehouse can't be read: .*toloka.duckdb"),
        superset(str(warehouse), tmp_path / "superset"),
    ):
        pass
