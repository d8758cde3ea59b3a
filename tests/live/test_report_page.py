"""The page of `--report` in a real browser, without a network.

With `TOLOKA_PICTURES` set to a folder, its picture is put there.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.cli.test_command import SCRIPT
from tests.conftest import NOON, Warehouse
from tests.live.browser import browser_page
from tests.live.page_layout import bars, contrast, lines, overlaps, texts
from toloka_source.bi.html_report import write_report
from toloka_source.emulator import Account, Clock, Emulator

CHARTS = ["project_months", "training_months", "training_states", "fields", "rules"]
CHARTS_OF_A_HISTORY = ["open_days", "change_weeks"]
HOSTILE = "</script><script>hacked=1</script><img src=/x onerror=hacked=1>"


@contextmanager
def shown(path: Path) -> Iterator[Page]:
    """Show a file; afterwards nothing else was asked for, and nothing went wrong."""
    asked: list[str] = []
    said: list[str] = []
    with browser_page(width=1280) as page:
        page.context.set_offline(True)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        yield page
        assert asked == [path.as_uri()]
        assert said == []


def test_the_charts_of_the_demo(own_folder: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, "--demo", "--report", "report.html"], check=True, capture_output=True)
    with shown(own_folder / "report.html") as page:
        for chart in CHARTS:
            expect(page.locator(f"#{chart} svg .mark-rect path").first).to_be_visible()
        page.locator("#training_states svg .mark-rect path").first.hover()
        expect(page.locator(".vg-tooltip")).to_contain_text("Trainings")
        page.mouse.move(0, 0)
        expect(page.locator(".vg-tooltip")).not_to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 1280
        if folder := os.environ.get("TOLOKA_PICTURES"):
            page.screenshot(path=Path(folder) / "report.png", full_page=True)
            page.emulate_media(color_scheme="dark")
            page.screenshot(path=Path(folder) / "report-dark.png", full_page=True)
            page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 400, "height": 800})
        page.wait_for_function("document.documentElement.scrollWidth == 400")  # the charts are drawn again


@pytest.fixture(scope="module")
def busy_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a busy account, with a history of a hundred days."""
    folder = tmp_path_factory.mktemp("busy")
    account = Account.lifelike(projects=1000, clock=(clock := Clock(NOON)))
    with pytest.MonkeyPatch.context() as patch, Emulator(account) as api:
        patch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        patch.chdir(folder)
        warehouse = Warehouse(api)
        warehouse.views = True
        warehouse.load(history=True)
        for _ in range(4):
            clock.advance(days=25)
            change(account)
            report = warehouse.load(history=True, rescan_after_hours=0)
        write_report("report.html", warehouse.pipeline, [report])
    return folder / "report.html"


def change(account: Account) -> None:
    """Archive a project with a long name, close some trainings, start and archive others."""
    project = next(item["id"] for item in account.projects if item["status"] == "ACTIVE")
    account.edit_project(project, status="ARCHIVED", public_name="W" * 120)
    for status, number, action in (
        ("OPEN", 4, account.close_training),
        ("CLOSED", 9, account.start_training),
        ("CLOSED", 2, account.archive_training),
    ):
        for id_ in [item["id"] for item in account.trainings if item["status"] == status][:number]:
            action(id_)


@contextmanager
def drawn(path: Path, width: int, scheme: Literal["light", "dark"]) -> Iterator[Page]:
    """Show the page when all of it is drawn."""
    with browser_page(width=width) as page:
        page.emulate_media(color_scheme=scheme)
        page.goto(path.as_uri())
        for chart in CHARTS + CHARTS_OF_A_HISTORY:
            expect(page.locator(f"#{chart} svg .mark-rect path").first).to_be_visible()
        yield page


@pytest.mark.parametrize("width", [420, 1000, 1440])
def test_nothing_lies_on_anything_else_or_beside_the_page(busy_page: Path, width: int) -> None:
    with drawn(busy_page, width, "light") as page:
        parts = texts(page)
        assert len(parts) > 100
        assert overlaps(parts) == []
        assert max(part.right for part in parts) <= width - 10
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert (
            page.evaluate("[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)")
            == [0] * 5
        )
        times = [part.text for part in parts if re.match(r"\d{4}-", part.text)]
        assert times
        assert [text for text in times if not re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", text)] == []
        assert len([part for part in parts if part.text in times]) == page.locator(".time", has_text="-").count() + 1


def test_each_bar_ends_below_the_top_line_and_stands_over_its_month(busy_page: Path) -> None:
    with drawn(busy_page, 1440, "light") as page:
        for chart in ("project_months", "training_months", "fields", *CHARTS_OF_A_HISTORY):
            assert min(bar.top for bar in bars(page, chart)) >= min(line.top for line in lines(page, chart)) - 1
        months = {bar.text.split(";")[0].removeprefix("month: "): bar.middle for bar in bars(page, "project_months")}
        labels = [part for part in texts(page) if part.text in months and part.left < 720]
        assert len(labels) > 4
        assert [label.text for label in labels if abs(label.middle - months[label.text]) > 2] == []


def test_it_can_be_read_in_the_light_and_in_the_dark(busy_page: Path) -> None:
    seen = []
    for scheme in ("light", "dark"):
        with drawn(busy_page, 1440, scheme) as page:
            card = page.locator(".card").first.evaluate("card => getComputedStyle(card).backgroundColor")
            seen.append(card)
            weak = {part.text for part in texts(page) if contrast(part.colour, card) < 4.5}
            assert weak == set()
            colours = {bar.colour for chart in CHARTS + CHARTS_OF_A_HISTORY for bar in bars(page, chart)}
            assert len(colours) == 6
            assert {colour for colour in colours if contrast(colour, card) < 3} == set()
    assert contrast(*seen) > 10


def test_names_do_nothing(api: Emulator, warehouse: Warehouse, own_folder: Path) -> None:
    warehouse.views = True
    quality_control = {"configs": [{"collector_config": {"type": HOSTILE}, "rules": [{}]}]}
    for name in (HOSTILE, "مشروع التصنيف 2", "Emoji 🚀"):
        project = api.account.create_project(public_name=name, status=HOSTILE, quality_control=quality_control)
        api.account.start_training(api.account.create_training(project["id"], private_name=name)["id"])
    write_report("report.html", warehouse.pipeline, [warehouse.load()])
    with shown(own_folder / "report.html") as page:
        page.locator("#rules svg .mark-rect path").first.hover()
        expect(page.locator(".vg-tooltip")).to_contain_text("<script>hacked=1")
        for name in (HOSTILE, "Emoji 🚀"):
            expect(page.get_by_role("cell", name=name, exact=True)).to_have_count(2)
        right_to_left = page.get_by_role("cell", name="مشروع التصنيف 2", exact=True).first
        expect(right_to_left).to_have_css("direction", "rtl")
        assert page.evaluate("typeof hacked") == "undefined"


def test_nothing_else_can_run_or_be_fetched(api: Emulator, warehouse: Warehouse, own_folder: Path) -> None:
    warehouse.views = True
    write_report("report.html", warehouse.pipeline, [warehouse.load()])
    api.clear_requests()
    with browser_page() as page:
        page.goto((own_folder / "report.html").as_uri())
        expect(page.get_by_text("No projects yet")).to_have_count(2)
        page.evaluate(
            """address => {
                const script = document.createElement("script");
                script.textContent = "hacked = 1";
                const image = new Image();
                image.src = address;
                document.body.append(script, image);
                document.body.insertAdjacentHTML("beforeend", "<img src=/x onerror='hacked = 1'>");
                return fetch(address).catch(() => null);
            }""",
            f"{api.base_url}/projects",
        )
        page.wait_for_timeout(500)
        assert page.evaluate("typeof hacked") == "undefined"
    assert api.requests == []
