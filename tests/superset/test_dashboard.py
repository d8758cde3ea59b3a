"""The dashboard in a real Superset and a real browser, on both engines: every figure is the account's."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from playwright.sync_api import Page, expect

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
from tests.superset.superset_server import Superset
from toloka_source.destinations.duckdb_file import without_writers
from toloka_source.emulator import Account

DAY = 86_400_000_000
"""In microseconds."""

IN_DUCKDB = pytest.mark.parametrize("place", ["duckdb"], indirect=True)
"""Where it is one engine's doing: PostgreSQL's transactions aren't ours, and filters are the same text in both."""


def assert_figures(dashboard: Dashboard, found: dict[str, Any]) -> None:
    """Compare each chart with the account."""
    last_load = found.pop(LAST_LOAD)
    assert 0 <= micros(dashboard.loads[-1][1]) - last_load < 5_000_000
    assert found == dashboard.figures()


@pytest.fixture(scope="module")
def opened(dashboard: Dashboard) -> dict[str, Any]:
    """Open the page once, for the tests that only look; return what each chart shows."""
    return dashboard.open()


def test_every_chart_shows_the_account(dashboard: Dashboard, opened: dict[str, Any]) -> None:
    assert_figures(dashboard, dict(opened))


@pytest.mark.usefixtures("opened")
def test_without_other_lists_there_is_no_second_tab(dashboard: Dashboard) -> None:
    expect(dashboard.page.get_by_role("tab")).to_have_count(0)


def test_without_a_history_the_page_says_how_to_keep_one(dashboard: Dashboard) -> None:
    figures, texts = dashboard.without_history
    for title in OF_HISTORY:
        assert not figures[title]
        assert "No results" in texts[title]
    assert "toloka-source load --history" in texts["page"]


@pytest.mark.usefixtures("opened")
def test_the_page_draws_it(place: tuple[Path, str], dashboard: Dashboard, tmp_path: Path) -> None:
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
    dashboard.take_picture(tmp_path, "postgres" if place[1].startswith("postgresql:") else "duckdb")


@pytest.mark.usefixtures("opened")
def test_nobody_else_is_asked_for_anything(dashboard: Dashboard) -> None:
    assert {host.partition(":")[0] for host in dashboard.hosts} == {"127.0.0.1"}


def test_after_another_load_the_figures_are_the_new_ones(dashboard: Dashboard, opened: dict[str, Any]) -> None:
    account = dashboard.account
    stalest = sorted(
        (item for item in account.trainings if item["status"] == "OPEN"), key=lambda item: item["last_started"]
    )
    for name in ("Is the sign in two languages?", "Is the door open?"):
        project = account.create_project(public_name=name)
        account.start_training(account.create_training(project["id"])["id"])
    account.start_training(stalest[0]["id"])
    account.close_training(stalest[1]["id"])
    account.archive_project(
        next(item["project_id"] for item in stalest[2:] if has_rules(account.get("projects", item["project_id"])))
    )
    dashboard.load()  # with the page open
    after = dashboard.open()
    assert [title for title in opened if opened[title] == after[title]] == [REJECTED]
    assert_figures(dashboard, after)


def has_rules(project: dict[str, Any]) -> bool:
    """Tell whether an active project has a quality rule."""
    return project["status"] == "ACTIVE" and any(config["rules"] for config in project["quality_control"]["configs"])


@IN_DUCKDB
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
            for _ in range(2):
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
    if not place[1].startswith("postgresql:"):
        with without_writers(Path(place[1]), 0):  # which a load keeps until its copy is ready
            assert_figures(dashboard, dashboard.open())
        return
    with closing(psycopg2.connect(place[1])) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("DELETE FROM toloka_data.projects")
        assert_figures(dashboard, dashboard.open())


@IN_DUCKDB
def test_a_load_that_was_killed_is_read_to_its_last_transaction(place: tuple[Path, str], dashboard: Dashboard) -> None:
    command = "import duckdb, os, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2]); os._exit(1)"
    # without the hash the next load writes the rows again
    sql = "UPDATE toloka_data.trainings SET status = 'LOCKED', _toloka_hash = NULL WHERE status = 'OPEN'"
    subprocess.run([sys.executable, "-c", command, place[1], sql], check=False)
    assert dashboard.open()["Open trainings"] == 0
    dashboard.load()
    assert_figures(dashboard, dashboard.open())


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


@IN_DUCKDB
def test_filters(dashboard: Dashboard) -> None:
    account = dashboard.account
    projects, trainings = account.projects, account.trainings
    chosen = project_with_a_locked_training(account)
    values = {"owner": chosen["owner"]["id"], "project_status": "ACTIVE", "project": chosen["public_name"]}
    values["training_status"] = "LOCKED"
    dashboard.open()
    for name, value in values.items():  # one after the other, and those before stay
        titles = OF_PROJECTS | OF_TRAININGS
        if name == "training_status":
            titles = OF_TRAININGS
            trainings = [training for training in trainings if training["status"] == value]
        elif name == "owner":
            projects, trainings = (
                [item for item in items if item["owner"]["id"] == value] for items in (projects, trainings)
            )
        else:
            field = {"project": "public_name", "project_status": "status"}[name]
            ids = {project["id"] for project in account.projects if project[field] == value}
            projects = [project for project in projects if project["id"] in ids]
            trainings = [training for training in trainings if training["project_id"] in ids]
        found = dashboard.answers(partial(choose, dashboard.page, name, value), titles)
        figures = dashboard.expected(projects, trainings)
        assert found == {title: figures[title] for title in titles}
        assert found["Trainings"]


def project_with_a_locked_training(account: Account) -> dict[str, Any]:
    """Return an active project with such a training of the same owner; Superset's box finds no name by an İ."""
    locked = {(item["project_id"], item["owner"]["id"]) for item in account.trainings if item["status"] == "LOCKED"}
    return next(
        project
        for project in account.projects
        if (project["id"], project["owner"]["id"]) in locked
        and project["status"] == "ACTIVE"
        and project["public_name"].isascii()
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
