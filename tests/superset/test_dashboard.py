"""The dashboard in a real Superset and a real browser, on both engines: every figure is the account's."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import psycopg2
import pytest
from playwright.sync_api import Page, expect

from tests.live.browser import browser_page
from tests.live.waiting import wait_for
from tests.superset.dashboard import Dashboard, choose
from tests.superset.figures import (
    DATA_UNTIL,
    GROUPED_BY,
    LAST_LOAD,
    OF_HISTORY,
    OF_PROJECTS,
    OF_TRAININGS,
    REJECTED,
    STALEST,
    micros,
)
from tests.superset.life import account_of_old
from tests.superset.superset_server import FILES, Superset, superset
from toloka_source.destinations.duckdb_file import without_writers
from toloka_source.emulator import Account, Emulator
from toloka_source.emulator.lifelike import OWNERS

pytest_plugins = ["tests.postgres"]

HEIGHT = 2970
"""All of the dashboard: what is out of sight isn't asked for."""

DAY = 86_400_000_000
"""In microseconds."""


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a folder, and the address of an empty warehouse."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        return folder, str(folder / "toloka.duckdb")
    url: str = request.getfixturevalue("postgres")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("ALTER DATABASE postgres SET timezone TO 'Asia/Kathmandu'")
    return folder, url


@pytest.fixture(scope="module")
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


def assert_figures(dashboard: Dashboard, found: dict[str, Any]) -> None:
    """Compare each chart with the account."""
    last_load = found.pop(LAST_LOAD)
    assert 0 <= micros(dashboard.loads[-1][1]) - last_load < 5_000_000
    assert found == dashboard.figures()


def test_every_chart_shows_the_account(dashboard: Dashboard) -> None:
    assert_figures(dashboard, dashboard.open())


def test_without_other_lists_there_is_no_second_tab(dashboard: Dashboard) -> None:
    dashboard.open()
    expect(dashboard.page.get_by_role("tab")).to_have_count(0)


def test_without_a_history_the_page_says_how_to_keep_one(dashboard: Dashboard) -> None:
    figures, texts = dashboard.without_history
    for title in OF_HISTORY:
        assert not figures[title]
        assert "No results" in texts[title]
    assert "toloka-source load --history" in texts["page"]


def test_the_page_draws_it(dashboard: Dashboard) -> None:
    dashboard.open()
    figures = dashboard.figures()
    for title in ("Projects", "Active projects", "Trainings", "Open trainings"):
        expect(dashboard.chart(title)).to_have_text(f"{figures[title]:,}")
    until = datetime.fromtimestamp(figures[DATA_UNTIL] / 1_000_000, UTC)
    expect(dashboard.chart(DATA_UNTIL)).to_have_text(f"{until:%d %b %H:%M}")
    for title in GROUPED_BY:
        expect(dashboard.chart(title).locator("canvas")).to_be_visible()
    names = [project for _, project, _ in figures[STALEST][:10]]
    expect(dashboard.chart(STALEST).locator("tbody td:nth-child(2)")).to_have_text(names)
    days = dashboard.chart(STALEST).locator("tbody td:nth-child(4)").all_inner_texts()
    now = micros(datetime.now(UTC))
    for shown_days, (_, _, started) in zip(days, figures[STALEST][:10], strict=True):
        # the page may have been asked for a moment before the day was over
        assert int(shown_days) in {(now - started) // DAY, (now - 60_000_000 - started) // DAY}


def test_after_another_load_the_figures_are_the_new_ones(dashboard: Dashboard) -> None:
    before = dashboard.open()
    account = dashboard.account
    opened = sorted(
        (item for item in account.trainings if item["status"] == "OPEN"), key=lambda item: item["last_started"]
    )
    for name in ("Is the sign in two languages?", "Is the door open?"):
        project = account.create_project(public_name=name)
        account.start_training(account.create_training(project["id"])["id"])
    account.start_training(opened[0]["id"])
    account.close_training(opened[1]["id"])
    account.archive_project(opened[2]["project_id"])
    dashboard.load()  # with the page open
    after = dashboard.open()
    assert [title for title in before if before[title] == after[title]] == [REJECTED]
    assert_figures(dashboard, after)


def test_loads_and_pages_are_in_nobodys_way(dashboard: Dashboard) -> None:
    pages = threading.Event()

    def load_again_and_again() -> int:
        loads = 0
        while not pages.is_set() or loads < 5:
            dashboard.account.create_project()
            dashboard.load()
            loads += 1
        return loads

    with ThreadPoolExecutor() as pool:
        loads = pool.submit(load_again_and_again)
        try:
            for _ in range(3):
                loaded = len(dashboard.seen[-1][1])
                found = dashboard.open()  # and shows no error
                assert found["Projects"] + found["Trainings"] >= loaded
        finally:
            pages.set()
        assert loads.result() >= 5
    assert_figures(dashboard, dashboard.open())


def test_what_is_asked_for_long_keeps_no_page_from_what_is_new(place: tuple[Path, str], dashboard: Dashboard) -> None:
    server, query = dashboard.server, "SELECT count(*) AS projects FROM toloka_bi.projects"
    slow = "SELECT 1 AS one" if place[1].startswith("postgresql:") else "SELECT sleep_ms(15000)"
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(server.ask, slow)
        wait_for(lambda: asked.done() or is_asked(server, place[1]), 60)
        dashboard.account.create_project()
        dashboard.load()
        assert server.ask(query) == {"projects": len(dashboard.account.projects)}
        assert len(asked.result()) == 1


def is_asked(server: Superset, warehouse: str) -> bool:
    """Tell whether Superset has the DuckDB file open; PostgreSQL shows what is new to all."""
    files = Path(f"/proc/{server.process.pid}/fd")
    return "://" in warehouse or warehouse in [os.path.realpath(file) for file in files.iterdir()]


def test_a_page_is_opened_in_the_middle_of_a_load(place: tuple[Path, str], dashboard: Dashboard) -> None:
    before = dashboard.open()
    if not place[1].startswith("postgresql:"):
        with without_writers(Path(place[1]), 0):  # which a load keeps until its copy is ready
            assert dashboard.open() == before
        return
    with closing(psycopg2.connect(place[1])) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("DELETE FROM toloka_data.projects")
        assert dashboard.open() == before


def test_a_load_that_was_killed_is_read_to_its_last_transaction(place: tuple[Path, str], dashboard: Dashboard) -> None:
    command = "import duckdb, os, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2]); os._exit(1)"
    if place[1].startswith("postgresql:"):
        command = (
            "import psycopg2, os, sys; connection = psycopg2.connect(sys.argv[1]); connection.autocommit = True; "
            "connection.cursor().execute(sys.argv[2]); os._exit(1)"
        )
    # without the hash the next load writes the rows again
    sql = "UPDATE toloka_data.trainings SET status = 'LOCKED', _toloka_hash = NULL WHERE status = 'OPEN'"
    subprocess.run([sys.executable, "-c", command, place[1], sql], check=False)
    assert dashboard.open()["Open trainings"] == 0
    dashboard.load()
    assert_figures(dashboard, dashboard.open())


def test_nobody_else_is_asked_for_anything(dashboard: Dashboard) -> None:
    dashboard.open()
    assert {host.partition(":")[0] for host in dashboard.hosts} == {"127.0.0.1"}


def test_connections_only_read_and_are_in_utc(place: tuple[Path, str], dashboard: Dashboard) -> None:
    # Superset refuses what would write by itself: this asks what stands behind it
    asked = """
        SELECT readonly AND NOT current_setting('enable_external_access') AS only_reads
        FROM duckdb_databases() WHERE database_name = current_database()
    """
    answer = ("only_reads", "true")
    if place[1].startswith("postgresql:"):
        asked, answer = "SHOW default_transaction_read_only", ("default_transaction_read_only", "on")
    ((name, value),) = dashboard.server.ask(asked).items()
    assert (name, str(value).lower()) == answer
    asked = "SELECT CAST(CAST('2026-03-10 12:00:00+00' AS timestamptz) AS varchar) AS noon"
    assert dashboard.server.ask(asked) == {"noon": "2026-03-10 12:00:00+00"}


@pytest.mark.parametrize("name", ["project", "project_status", "training_status", "owner"])
def test_a_filter(dashboard: Dashboard, name: str) -> None:
    account, titles = dashboard.account, OF_PROJECTS | OF_TRAININGS
    projects, trainings = account.projects, account.trainings
    if name == "training_status":
        value, titles = "LOCKED", OF_TRAININGS
        trainings = [training for training in trainings if training["status"] == value]
    elif name == "owner":
        value = str(OWNERS[2]["id"])
        projects, trainings = (
            [item for item in items if item["owner"]["id"] == value] for items in (projects, trainings)
        )
    else:
        field = {"project": "public_name", "project_status": "status"}[name]
        value = {"project": trainings_project(account), "project_status": "ARCHIVED"}[name]
        projects = [project for project in projects if project[field] == value]
        ids = {project["id"] for project in projects}
        trainings = [training for training in trainings if training["project_id"] in ids]
    dashboard.open()
    found = dashboard.answers(lambda: choose(dashboard.page, name, value), titles)
    figures = dashboard.expected(projects, trainings)
    assert found == {title: figures[title] for title in titles}
    assert found["Trainings"]


def trainings_project(account: Account) -> str:
    """Return the name of a project with an open training; Superset's box finds no name by a letter such as İ."""
    ids = {training["project_id"] for training in account.trainings if training["status"] == "OPEN"}
    return next(
        str(project["public_name"])
        for project in account.projects
        if project["id"] in ids and project["public_name"].isascii()
    )


def choose_last_year(page: Page) -> None:
    """Choose the calendar year before this one."""
    page.locator("#date-label-NATIVE_FILTER-created").click()
    page.get_by_label("Range type").first.click()
    page.locator(".ant-select-item-option", has_text="Previous").click()
    page.get_by_text("previous calendar year").click()
    page.locator("[data-test=date-filter-control__apply-button]").click()
    page.locator("[data-test=filter-bar__apply-button]").click()


def test_the_filter_by_time(dashboard: Dashboard) -> None:
    year, account = f"{datetime.now(UTC).year - 1}-", dashboard.account
    projects = [project for project in account.projects if project["created"].startswith(year)]
    created = [training for training in account.trainings if training["created"].startswith(year)]
    started = [item for item in account.trainings if item.get("last_started", "").startswith(year)]
    dashboard.open()
    titles = OF_PROJECTS | OF_TRAININGS
    found = dashboard.answers(lambda: choose_last_year(dashboard.page), titles)
    by_start = "Trainings by month of their last start"
    figures = dashboard.expected(projects, created) | {by_start: dashboard.expected(projects, started)[by_start]}
    assert found == {title: figures[title] for title in titles}
    assert found["Projects"]


def test_a_picture(place: tuple[Path, str], dashboard: Dashboard, tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / os.environ.get("TOLOKA_PICTURES", tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(5):
        dashboard.account.start_training(
            dashboard.account.create_training(dashboard.account.create_project()["id"])["id"]
        )
        dashboard.load()
    dashboard.open()
    dashboard.page.wait_for_timeout(2_000)  # the charts grow to their size
    name = "postgres" if place[1].startswith("postgresql:") else "duckdb"
    dashboard.page.screenshot(path=folder / f"dashboard-{name}.png")


NAMES = {"chart": "slice_name", "dashboard": "dashboard_title", "dataset": "table_name", "database": "database_name"}


def test_to_start_it_again_updates_it(tmp_path: Path) -> None:
    warehouse, bundle = tmp_path / "toloka.duckdb", tmp_path / "bundle"
    duckdb.connect(warehouse, config={"storage_compatibility_version": "v1.0.0"}).close()  # as a load makes it
    shutil.copytree(FILES / "bundle", bundle)
    with superset(str(warehouse), tmp_path / "superset", bundle) as server:
        before = {kind: server.names(kind, field) for kind, field in NAMES.items()}
    assert server.process.returncode == 0
    assert {kind: len(names) for kind, names in before.items()} == {
        "chart": 18,
        "dashboard": 1,
        "dataset": 8,
        "database": 1,
    }

    chart = bundle / "charts" / "stalest.yaml"
    chart.write_text(chart.read_text().replace(f"slice_name: {STALEST}", "slice_name: A new title"))
    with superset(str(warehouse), tmp_path / "superset", bundle) as again:
        after = {kind: again.names(kind, field) for kind, field in NAMES.items()}
    assert again.password != server.password
    assert after == before | {"chart": sorted({*before["chart"], "A new title"} - {STALEST})}
    files = [path for path in (tmp_path / "superset").rglob("*") if path.is_file()]
    assert [path for path in files if path.name != "output" and again.password.encode() in path.read_bytes()] == []
