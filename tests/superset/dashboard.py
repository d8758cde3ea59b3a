"""A dashboard in a real browser, and what it has to show."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dlt
from playwright.sync_api import Locator, Page, Response, expect

from tests.bi.views_place import Objects, objects_of
from tests.superset.figures import DATA_UNTIL, LOADS, OF_HISTORY, REJECTED, Items, expected, micros, shown
from tests.superset.life import LOADED_ON, live
from tests.superset.list_figures import OF_LISTS
from tests.superset.superset_server import Superset
from toloka_source import LoadReport, load, toloka
from toloka_source.emulator import Emulator

PATIENCE = 120_000
"""Milliseconds for what a page does on a busy machine."""


class Dashboard:
    """A warehouse that is loaded from a local Toloka, and a page that shows it."""

    def __init__(self, api: Emulator, pipeline: dlt.Pipeline, page: Page) -> None:
        """Load once, without a history.

        Args:
            api: The local Toloka.
            pipeline: What loads from it.
            page: A page of a browser.
        """
        self.account = api.account
        self.page = page
        self.loads: list[tuple[LoadReport, datetime]] = []
        self.seen: list[tuple[datetime, Objects]] = []
        self.rejected: list[tuple[str, str, str]] = []
        self.without_history: tuple[dict[str, Any], dict[str, str]] = ({}, {})
        self.hosts: set[str] = set()
        self._base_url = api.base_url
        self._pipeline = pipeline
        self._titles: dict[int, str] = {}
        page.on("requestfinished", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.load(history=False)

    def load(self, *, history: bool = True, resources: str | None = None) -> None:
        """Load all that is in the account, a minute later there."""
        self.account.clock.advance(seconds=60)
        source = toloka(
            token="any",  # noqa: S106
            base_url=self._base_url,
            rescan_after_hours=0.0,
            history=history,
            resources=resources,
        )
        self.loads.append((load(self._pipeline, source, views=True), datetime.now(UTC)))
        if history:
            self.seen.append((self.account.clock.now(), objects_of(self.account)))

    def open_without_history(self) -> None:
        """Load the page, and keep what it shows and says where there is no history."""
        figures = self.open()
        places = {title: self.page.locator(f".dashboard-chart-id-{self._id(title)}") for title in OF_HISTORY}
        texts = {title: place.inner_text() for title, place in places.items()}
        self.without_history = figures, texts | {"page": self.page.inner_text("body")}

    def live(self) -> None:
        """Let half a year pass, with a history."""
        bad = self.account.create_project(sensitive="maybe")["id"]
        self.rejected.append(("projects", bad, "sensitive"))
        for before, day in pairwise((0, *LOADED_ON)):
            live(self.account, day - before)
            self.load()
            if not day:
                self.account.remove("projects", bad)

    def sign_in(self, server: Superset) -> None:
        """Sign in as the terminal says, and look what charts there are."""
        self.server = server
        home = "{0.scheme}://{0.netloc}".format(urlsplit(server.url))
        # what the login's page tells of itself, as nobody yet, can take the place of who has just signed in
        self.page.route("**/superset/log/*", lambda route: route.abort())
        self.page.context.clear_cookies()  # a server before this one may have the same key
        self.page.goto(f"{home}/login/")
        self.page.get_by_label("Username").fill("admin")
        self.page.locator("input[type=password]").fill(server.password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: urlsplit(url).path.endswith("/welcome/"), timeout=PATIENCE)
        self.page.unroute("**/superset/log/*")
        charts = self.page.request.get(f"{home}/api/v1/dashboard/toloka/charts").json()["result"]
        self._titles = {chart["id"]: chart["slice_name"] for chart in charts}

    def chart(self, title: str) -> Locator:
        """Return a chart's place on the page."""
        return self.page.locator(f"#chart-id-{self._id(title)}")

    def _id(self, title: str) -> int:
        (id_,) = (id_ for id_, name in self._titles.items() if name == title)
        return id_

    def open(self) -> dict[str, Any]:
        """Load the page; return what each chart shows, by its title."""
        return self.answers(lambda: self.page.goto(self.server.url), set(self._titles.values()) - {*OF_LISTS})

    def open_lists(self) -> dict[str, Any]:
        """Open the second tab, the first time on this page; return what each of its charts shows."""
        return self.answers(self.page.get_by_role("tab", name="Pools and Tolokers").click, {*OF_LISTS})

    def answers(self, act: Callable[[], object], titles: set[str]) -> dict[str, Any]:
        """Do something on the page; return what these charts, and no others, were answered then."""
        answers: dict[str, Response] = {}

        def note(response: Response) -> None:
            form_data = parse_qs(urlsplit(response.url).query).get("form_data", ["{}"])[0]
            if title := self._titles.get(json.loads(form_data).get("slice_id")):
                answers[title] = response

        self.page.on("response", note)
        act()
        deadline = datetime.now(UTC) + timedelta(milliseconds=PATIENCE)
        while titles - answers.keys() and datetime.now(UTC) < deadline:
            self.page.wait_for_timeout(100)
        expect(self.page.locator("[data-test=loading-indicator]")).to_have_count(0, timeout=PATIENCE)
        self.page.remove_listener("response", note)
        assert answers.keys() == titles
        expect(self.page.get_by_role("alert")).to_have_count(0)
        return {title: shown(title, answer.json()["result"][0]["data"]) for title, answer in answers.items()}

    def take_picture(self, folder: Path, name: str) -> None:
        """Put a picture of the page into the folder of the documentation's, if they are wanted, else into this one."""
        folder = Path(__file__).parents[2] / os.environ.get("TOLOKA_PICTURES", folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(2_000)  # the charts grow to their size
        self.page.screenshot(path=folder / f"dashboard-{name}.png")

    def figures(self) -> dict[str, Any]:
        """Return what the page has to show now."""
        loads = [
            (one.name, one.new, one.changed, one.rejected, micros(one.window_end))
            for report, _ in reversed(self.loads)
            for one in report.resources
            if one.window_end
        ]
        return self.expected(self.account.projects, self.account.trainings) | {
            LOADS: loads,
            REJECTED: self.rejected,
            DATA_UNTIL: min(until for *_, until in loads[:2]),
        }

    def expected(self, projects: Items, trainings: Items) -> dict[str, Any]:
        """Return what it has to show of these objects."""
        return expected(projects, trainings, self.account, self.seen)


def choose(page: Page, name: str, value: str) -> None:
    """Choose one value of a filter."""
    box = page.locator(f"[data-test=NATIVE_FILTER-{name}]")
    if not box.is_visible():
        page.get_by_role("button", name="More filters").click()
    box.click()
    page.keyboard.type(value)
    page.locator(f".ant-select-item-option[title={json.dumps(value, ensure_ascii=False)}]").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Apply", exact=True).click()
