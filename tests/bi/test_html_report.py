"""The page of `--report`: what it says, compared with the account, and what stops it; a browser is in `live/`."""

import json
import os
import re
import resource
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.bi.test_connections import reader
from tests.bi.views_place import Objects, Place, findings_of, objects_of, projects_of, rules_of, trainings_of
from tests.cli.test_command import Command, command, configured
from tests.conftest import NOON, Warehouse, bare, held
from toloka_source import load
from toloka_source.bi.charts import MOST_FIELDS, words
from toloka_source.bi.html_report import write_report
from toloka_source.emulator import Account, Clock, Emulator
from toloka_source.errors import DestinationError, FileError

pytest_plugins = ["tests.postgres"]

__all__ = ["command", "configured"]  # fixtures

HOSTILE = "</script><script>hacked = 1</script><img src=x onerror=hacked=1>"


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.long)])
def attach(request: pytest.FixtureRequest) -> Callable[[Emulator], Place]:
    """Return what attaches to either engine."""
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else None
    return lambda api: Place(api, url)


def charts_of(text: str) -> dict[str, list[dict[str, Any]]]:
    """Return the values that each chart shows."""
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', text, re.DOTALL)
    assert found
    return {name: spec["datasets"][spec["data"]["name"]] for name, spec in json.loads(found[1]).items()}


def numbers_of(text: str) -> dict[str, str]:
    """Return the headline numbers."""
    return dict(re.findall(r'<p class="soft">([^<]+)</p><p class="number">(?:<time>)?([^<]+)<', text))


def cells_of(text: str, title: str) -> list[list[str]]:
    """Return the rows of a table."""
    article = text.partition(f"<h2>{title}</h2>")[2].partition("</article>")[0]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", article)[1:]]


@pytest.mark.slow
def test_the_page_says_what_the_account_has(attach: Callable[[Emulator], Place], own_folder: Path) -> None:
    account = Account.lifelike(projects=300, clock=Clock(NOON))
    with Emulator(account) as api:
        place = attach(api)
        report = place.load()
        size = write_report("report.html", place.pipeline, [report])
    text = (own_folder / "report.html").read_text()
    assert size == (own_folder / "report.html").stat().st_size < 1_000_000
    projects, trainings, rules = projects_of(account), trainings_of(account, NOON), rules_of(account)
    open_trainings = [training for training in trainings if training["is_open"]]
    assert numbers_of(text) == {
        "Projects": "300",
        "Trainings": "225",
        "Open trainings": f"{len(open_trainings)}",
        "With quality control": f"{sum(project['has_quality_control'] for project in projects)}",
        "Rejected objects": "0",
        "New data up to": "2026-03-10",
    }
    charts = charts_of(text)
    assert {(row["month"], row["status"]): row["projects"] for row in charts["project_months"]} == last_months(
        [(project["created_at"], project["status"]) for project in projects]
    )
    assert {(row["month"], row["status"]): row["trainings"] for row in charts["training_months"]} == last_months(
        [(training["last_started_at"], training["status"]) for training in trainings if training["last_started_at"]]
    )
    states = Counter(
        words(training["status"])
        + ("" if training["is_open"] else f": {words(training['last_close_reason'] or 'no reason given').lower()}")
        for training in trainings
    )
    assert len(charts["training_states"]) == min(12, len(states))
    assert all(states[row["name"]] == row["trainings"] for row in charts["training_states"])
    assert {(row["direction"], row["fields"]): row["projects"] for row in charts["fields"]} == Counter(
        (direction.capitalize(), f"{project[f'{direction}_fields']}")
        for project in projects
        for direction in ("input", "output")
    )
    assert {row["collector"]: row["rules"] for row in charts["rules"]} == Counter(rule["collector"] for rule in rules)
    oldest = sorted(open_trainings, key=lambda training: training["last_started_at"])[:7]
    names = [row["training_name"] for row in oldest]
    assert [row[0] for row in cells_of(text, "Open for the longest time")] == [
        name if names.count(name) == 1 else f"{name} · {row['training_id']}"
        for name, row in zip(names, oldest, strict=True)
    ]
    health = Counter((row["resource"].capitalize(), row["finding"]) for row in findings_of(account, datetime.now(UTC)))
    assert {row[0]: row[2] for row in cells_of(text, "Setup health")} == {
        f"{resource}: {finding}": f"{number}" for (resource, finding), number in health.items()
    }
    until = "2026-03-10 12:00:00"
    assert [row[:-1] for row in cells_of(text, "What this run did")] == [
        ["projects", "the beginning", until, "300", "300", "0", "0", "0", "1", "0", "0"],
        ["trainings", "the beginning", until, "225", "225", "0", "0", "0", "1", "0", "0"],
    ]
    assert [row[1:-1] for row in cells_of(text, "The last loads")] == [
        ["projects", "first", until, until, "300", "0", "0", "0", "0"],
        ["trainings", "first", until, until, "225", "0", "0", "0", "0"],
    ]


def last_months(moments: list[tuple[Any, str]]) -> Counter[tuple[str, str]]:
    """Count by month and status, in the 36 months that end with the newest."""
    newest = max(moment for moment, _ in moments)
    return Counter(
        (f"{moment:%b %Y}", words(status))
        for moment, status in moments
        if (newest.year - moment.year) * 12 + newest.month - moment.month < 36
    )


@pytest.mark.slow
def test_the_page_says_what_has_changed(
    api: Emulator, attach: Callable[[Emulator], Place], clock: Clock, own_folder: Path
) -> None:
    account, place = api.account, attach(api)
    cats, dogs = (account.create_project(public_name=name)["id"] for name in ("Cats", "Dogs"))
    one, two = (account.create_training(cats, private_name=name)["id"] for name in ("One", "Two"))
    exams = [account.create_training(dogs, private_name="Exam")["id"] for _ in range(9)]
    seen: list[tuple[datetime, Objects]] = []
    days: dict[float, list[Callable[[], object]]] = {
        0: [lambda: account.start_training(one)],
        0.1: [lambda: account.start_training(two)],
        40: [lambda: account.close_training(one)],
        130: [lambda: account.start_training(one)],
        130.1: [lambda: account.edit_training(one, private_name="First")],
        150: [partial(account.archive_project, cats), *(partial(account.start_training, exam) for exam in exams)],
        155: [lambda: account.close_training(one)],
        200: [lambda: account.remove("trainings", two)],
    }
    for day, happens in days.items():
        clock.set(NOON + timedelta(days=day))
        for happen in happens:
            happen()
        report = place.load(history=True, rescan_after_hours=0)
        seen.append((clock.now(), objects_of(account)))
    write_report("report.html", place.pipeline, [report])
    text = (own_folder / "report.html").read_text()
    charts = charts_of(text)
    assert [(row["day"], row["trainings"]) for row in charts["open_days"]] == [
        (f"{day:%d %b %Y}", [status for _, status in objects.values()].count("OPEN"))
        for day in (NOON.date() + timedelta(days=number) for number in range(111, 201))
        for objects in [[objects for at, objects in seen if at.date() <= day][-1]]
    ]
    changes = [
        (at, before, *key, objects[key][0], old[key][1], objects[key][1])
        for (before, old), (at, objects) in pairwise(seen)
        for key in objects
        if old[key][1] != objects[key][1]
    ]
    monday = datetime(2026, 3, 30, tzinfo=UTC)  # 25 weeks before the last load's
    weeks = Counter(
        (f"{at - timedelta(days=at.weekday()):%d %b %Y}", words(new)) for at, *_, new in changes if at >= monday
    )
    assert weeks.total() == len(changes) - 1
    assert {(row["week"], row["status"]): row["changes"] for row in charts["change_weeks"]} == weeks
    changes.sort(key=lambda change: (-change[0].timestamp(), *change[2:4]))
    assert cells_of(text, "The latest changes") == [
        [
            name if name != "Exam" else f"Exam · {id_}",
            resource,
            words(old),
            words(new),
            f"{before:%F %T}",
            f"{at:%F %T}",
        ]
        for at, before, resource, id_, name, old, new in changes[:10]
    ]


@pytest.mark.slow
def test_a_young_history(warehouse: Warehouse, clock: Clock, own_folder: Path) -> None:
    account = warehouse.api.account
    project = account.create_project()["id"]
    warehouse.views = True
    write_report("report.html", warehouse.pipeline, [warehouse.load(history=True)])
    text = (own_folder / "report.html").read_text()
    assert re.findall('<h2>([^<]+)</h2><p class="soft">[^<]+</p><p class="empty">([^<]+)<', text)[-3:] == [
        ("Open trainings by day", "No trainings yet"),
        ("Status changes by week", "No status has changed yet"),
        ("The latest changes", "No status has changed yet"),
    ]
    account.start_training(account.create_training(project)["id"])
    clock.advance(hours=13)
    write_report("report.html", warehouse.pipeline, [warehouse.load(history=True)])
    text = (own_folder / "report.html").read_text()
    assert "history began on 2026-03-10" in text
    assert charts_of(text)["open_days"] == [{"day": "11 Mar 2026", "status": "Open", "trainings": 1, "place": 0}]


@pytest.mark.slow
def test_names_are_text_whatever_is_in_them(
    api: Emulator, attach: Callable[[Emulator], Place], clock: Clock, own_folder: Path
) -> None:
    project = api.account.create_project(
        public_name=HOSTILE,
        created="2026-03-01T00:00:00",
        quality_control={"configs": [{"collector_config": {"type": HOSTILE}, "rules": [{}]}]},
        task_spec={"input_spec": {f"field {number}": {} for number in range(MOST_FIELDS + 5)}},
    )
    training = api.account.create_training(project["id"], private_name=None, last_close_reason=HOSTILE)
    api.account.start_training(training["id"])
    api.account.create_training(project["id"], last_close_reason=HOSTILE, status="ARCHIVED")
    place = attach(api)
    place.load(history=True)
    clock.advance(hours=1)
    api.account.edit_project(project["id"], status=HOSTILE)
    write_report("report.html", place.pipeline, [place.load(history=True, rescan_after_hours=0)])
    text = (own_folder / "report.html").read_text()
    assert "hacked = 1</script>" not in text
    assert "<img src=x" not in text
    assert "&lt;/script&gt;&lt;script&gt;hacked" in text
    charts = charts_of(text)
    assert charts["rules"][0]["collector"] == HOSTILE[:60]
    assert charts["change_weeks"][0]["status"] == words(HOSTILE[:60])
    assert {row["fields"] for row in charts["fields"]} == {"0", f"{MOST_FIELDS}+"}


@pytest.mark.slow
def test_what_has_one_name_is_told_apart(warehouse: Warehouse, own_folder: Path) -> None:
    account = warehouse.api.account
    for project, name in (("A", "Exam"), ("A", "Exam"), ("B", None)):
        training = account.create_training(account.create_project(public_name=project)["id"], private_name=name)
        account.start_training(training["id"])
    warehouse.views = True
    write_report("report.html", warehouse.pipeline, [warehouse.load()])
    cells = cells_of((own_folder / "report.html").read_text(), "Open for the longest time")
    assert [row[:2] for row in cells] == [["Exam · 1", "A · 1"], ["Exam · 2", "A · 2"], ["3", "B"]]


@pytest.mark.slow
def test_the_page_allows_its_own_script_alone(warehouse: Warehouse, own_folder: Path) -> None:
    warehouse.views = True
    write_report("report.html", warehouse.pipeline, [warehouse.load()])
    text = (own_folder / "report.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'" in text
    assert not re.search(r"\b(src|href|action)=|url\(|@import", text.replace(script, ""))


@pytest.mark.slow
def test_an_empty_account(api: Emulator, attach: Callable[[Emulator], Place], own_folder: Path) -> None:
    place = attach(api)
    write_report("report.html", place.pipeline, [place.load()])
    text = (own_folder / "report.html").read_text()
    assert charts_of(text) == {}
    assert len(re.findall('<p class="empty">No ', text)) == 7
    assert "There is no history: switch it on with <code>history = true</code> or <code>--history</code>" in text
    assert numbers_of(text)["Projects"] == "0"


@pytest.mark.slow
def test_the_page_stays_small(own_folder: Path) -> None:
    sizes = []
    for projects in (300, 1_200):
        with Emulator(Account.lifelike(projects=projects, clock=Clock(NOON))) as api:
            warehouse = Warehouse(api, name=f"of_{projects}")
            warehouse.views = True
            sizes.append(write_report("report.html", warehouse.pipeline, [warehouse.load()]))
    assert abs(sizes[1] - sizes[0]) < 10_000
    assert os.listdir(own_folder).count("report.html") == 1  # noqa: PTH208 - names alone


def test_the_old_page_stays_when_there_is_no_new_one(
    api: Emulator, attach: Callable[[Emulator], Place], own_folder: Path
) -> None:
    (own_folder / "report.html").write_text("old")
    place = attach(api)
    report = place.load()
    place.ask("DROP SCHEMA toloka_bi CASCADE")
    with pytest.raises(DestinationError, match="the views in toloka_bi aren't of this dataset"):
        write_report("report.html", place.pipeline, [report])
    assert (own_folder / "report.html").read_text() == "old"
    assert not list(own_folder.glob(".report*"))


def test_the_views_of_another_dataset_are_not_taken_for_ours(api: Emulator) -> None:
    place, other = Place(api, None), Place(api, None, "other")
    report = place.load()
    other.pipeline.drop()
    other.load()
    with pytest.raises(DestinationError, match="the views in toloka_bi aren't of this dataset"):
        write_report("report.html", place.pipeline, [report])


def test_a_file_that_another_process_holds_when_the_page_is_to_be_written(api: Emulator, warehouse: Warehouse) -> None:
    api.account.create_project()
    warehouse.views = True
    report = warehouse.load()
    with reader():
        write_report("report.html", warehouse.pipeline, [report])
    with (
        held("toloka.duckdb"),
        pytest.raises(DestinationError, match=r"^loaded, but without a report: .*could not set lock on file"),
    ):
        write_report("report.html", warehouse.pipeline, [report])


def test_the_command_writes_it(
    configured: Emulator, command: Command, own_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configured.account.create_project(sensitive="maybe")
    configured.account.create_project()
    (own_folder / "report.html").write_text("old")
    assert command("load", "--report", "report.html", "--resources", "projects") == 0
    assert "Report: report.html (0.9 MB)" in capfd.readouterr().out
    text = (own_folder / "report.html").read_text()
    assert (numbers_of(text)["Projects"], numbers_of(text)["Rejected objects"]) == ("1", "1")
    assert [row[0] for row in cells_of(text, "What this run did")] == ["projects"]


@pytest.mark.parametrize("engine", [pytest.param("duckdb", marks=pytest.mark.long), "postgres"])
@pytest.mark.slow
def test_a_back_fill_adds_its_windows_up(
    configured: Emulator, command: Command, own_folder: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "postgres":
        url = request.getfixturevalue("postgres_database")
        request.getfixturevalue("monkeypatch").setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    for month in (1, 2, 3):
        configured.account.create_project(created=f"2025-{month:02}-10T00:00:00")
    dates = ("--start-date", "2025-01-01", "--end-date", "2025-04-01")
    assert command("backfill", *dates, "--destination", engine, "--report", "report.html") == 0
    text = (own_folder / "report.html").read_text()
    assert [row[:9] for row in cells_of(text, "What this run did")] == [
        ["projects", "2025-01-01 00:00:00", "2025-04-01 00:00:00", "3", "\N{EN DASH}", "\N{EN DASH}", "0", "0", "3"],
        ["trainings", "2025-01-01 00:00:00", "2025-04-01 00:00:00", "0", "\N{EN DASH}", "\N{EN DASH}", "0", "0", "6"],
    ]
    assert numbers_of(text)["Projects"] == "3"
    assert numbers_of(text)["New data up to"] == "&ndash;"


@pytest.mark.parametrize(
    "words", [("load",), ("demo",), ("backfill", "--start-date", "2025-01-01", "--end-date", "2025-02-01")]
)
@pytest.mark.parametrize(
    ("destination", "path", "said"),
    [
        ("filesystem", "report.html", "needs duckdb, ducklake or postgres, not filesystem"),
        ("duckdb", "folder", "is a folder; name a file"),
        ("duckdb", "nowhere/report.html", "can't be written: No such file or directory"),
        ("duckdb", "/proc/report.html", "can't be written: "),
    ],
)
def test_what_stops_it_is_found_before_any_request(
    configured: Emulator,
    command: Command,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    destination: str,
    path: str,
    said: str,
) -> None:
    (own_folder / "folder").mkdir()
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(own_folder / "lake"))
    assert command(*words, "--destination", destination, "--report", path) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert bare(err).startswith(f"error: report = {path!r}: {said}")
    assert err.count("\n") == 1
    assert configured.requests == []
    assert not list(own_folder.rglob(".report.html.*"))


@pytest.mark.slow
def test_who_can_read_the_page_and_what_a_guessed_name_leads_to(warehouse: Warehouse, own_folder: Path) -> None:
    report = load(warehouse.pipeline, warehouse.source(), views=True)
    victim, page = own_folder / "victim", own_folder / "report.html"
    victim.write_text("precious")
    (own_folder / f".report.html.{os.getpid()}.part").symlink_to(victim)
    write_report(f"{page}", warehouse.pipeline, [report])
    assert victim.read_text() == "precious"
    assert page.stat().st_mode & 0o777 == 0o600
    page.chmod(0o644)
    write_report(f"{page}", warehouse.pipeline, [report])
    assert page.stat().st_mode & 0o777 == 0o644


@pytest.mark.slow
def test_a_page_that_cannot_be_written_whole_leaves_the_old_one(warehouse: Warehouse, own_folder: Path) -> None:
    report = load(warehouse.pipeline, warehouse.source(), views=True)
    (own_folder / "report.html").write_text("old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))  # as a disk that is full
    try:
        with pytest.raises(FileError, match="too large"):
            write_report("report.html", warehouse.pipeline, [report])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (own_folder / "report.html").read_text() == "old"
    assert not list(own_folder.glob(".report.html.*"))
