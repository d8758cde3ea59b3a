"""What the dashboard has to show of an account, worked out from its objects alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.bi.views_place import Objects
from tests.superset.list_figures import OF_LISTS, list_shown
from toloka_source.emulator import Account

Items = Sequence[Mapping[str, Any]]
Figures = dict[str, Any]
"""A chart's figures by its title."""

Seen = Sequence[tuple[datetime, Objects]]
"""What each load with a history saw, and when."""

OF_HISTORY = OPEN_DAYS, CHANGE_WEEKS, CHANGES = (
    "Open trainings by day",
    "Status changes by week",
    "Latest status changes (UTC)",
)

GROUPED_BY = {
    "Projects created per month": "created_at",
    "Trainings by month of their last start": "last_started_at",
    "Trainings by state and last close reason": "status",
    "Fields per project": "fields",
    "Quality rules by collector": "collector",
    OPEN_DAYS: "day",
    CHANGE_WEEKS: "seen_at",
}
STALEST = "Stalest open trainings"
HEALTH = "Setup health"
OF_PROJECTS = {
    "Projects",
    "Active projects",
    "Projects created per month",
    "Fields per project",
    "Quality rules by collector",
    HEALTH,
    CHANGE_WEEKS,
    CHANGES,
}
OF_TRAININGS = {
    "Trainings",
    "Open trainings",
    "Trainings by month of their last start",
    "Trainings by state and last close reason",
    STALEST,
    OPEN_DAYS,
}
REJECTED = "Rejected objects (UTC)"
LAST_LOAD, DATA_UNTIL, LOADS = OF_LOADS = ("Last load (UTC)", "Data until (UTC)", "Latest loads (UTC)")

COLUMNS = {
    STALEST: ("training_name", "project_name", "last_started_at"),
    LOADS: ("resource", "new_rows", "changed_rows", "rejected_rows", "data_until"),
    CHANGES: ("resource", "id", "name", "from_status", "to_status", "seen_after", "seen_at"),
    REJECTED: ("resource", "id", "field"),
}
"""Of a table, those that are looked at."""

TIMES = {"last_started_at", "data_until", "seen_after", "seen_at"}


def expected(projects: Items, trainings: Items, account: Account, seen: Seen) -> Figures:
    """Return the figures of some of an account's projects and trainings."""
    ids = {("projects", item["id"]) for item in projects} | {("trainings", item["id"]) for item in trainings}
    names = {project["id"]: project["public_name"] for project in account.projects}
    opened = [training for training in trainings if training["status"] == "OPEN"]
    started = [training for training in trainings if "last_started" in training]
    return {
        "Projects": len(projects),
        "Active projects": sum(project["status"] == "ACTIVE" for project in projects),
        "Trainings": len(trainings),
        "Open trainings": len(opened),
        "Projects created per month": Counter((_month(item["created"]), item["status"]) for item in projects),
        "Trainings by month of their last start": Counter(
            (_month(item["last_started"]), item["status"]) for item in started
        ),
        "Trainings by state and last close reason": Counter(
            (item["status"], item.get("last_close_reason", "no reason given")) for item in trainings
        ),
        "Fields per project": Counter((_fields(project), "projects") for project in projects),
        "Quality rules by collector": Counter(
            (config["collector_config"]["type"], project["status"])
            for project in projects
            for config in project["quality_control"]["configs"]
            for _ in config["rules"]
        ),
        HEALTH: _health(projects, opened, account),
        STALEST: [
            (item["private_name"], names[item["project_id"]], moment(item["last_started"]))
            for item in sorted(opened, key=lambda item: (moment(item["last_started"]), item["id"]))
        ],
        OPEN_DAYS: _open_days([(at, _some(objects, ids)) for at, objects in seen]),
        **_changes([(at, _some(objects, ids)) for at, objects in seen]),
    }


def _some(objects: Objects, ids: set[tuple[str, str]]) -> Objects:
    return {key: objects[key] for key in ids & objects.keys()}


def _open_days(seen: Seen) -> Counter[tuple[float, str]]:
    """Count what was open when each of the last 90 days was over."""
    first, last = (seen[place][0].date() for place in (0, -1))
    days = [day for day in (last - timedelta(days=ago) for ago in range(90)) if day >= first]
    before = {day: [objects for at, objects in seen if at.date() <= day][-1] for day in days}
    return Counter(
        (_midnight(day), "open_trainings")
        for day, objects in before.items()
        for (resource, _), (_, status) in objects.items()
        if (resource, status) == ("trainings", "OPEN")
    )


def _changes(seen: Seen) -> Figures:
    """Return the changes of a status, and how many there were in each of the last 26 weeks."""
    changes = [
        (at, resource, id_, objects[resource, id_][0], old[resource, id_][1], objects[resource, id_][1], before)
        for (before, old), (at, objects) in pairwise(seen)
        for resource, id_ in objects.keys() & old.keys()
        if old[resource, id_][1] != objects[resource, id_][1]
    ]
    first = _monday(seen[-1][0]) - timedelta(weeks=25)
    weeks = Counter((_midnight(_monday(at)), new) for at, *_, new, _ in changes if _monday(at) >= first)
    changes.sort(key=lambda change: (-micros(change[0]), *change[1:3]))
    return {CHANGES: [(*what, micros(before), micros(at)) for at, *what, before in changes], CHANGE_WEEKS: weeks}


def _monday(at: datetime) -> date:
    return at.date() - timedelta(days=at.weekday())


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000


def shown(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return what a chart shows in the form of what is expected."""
    if title in OF_LISTS:
        return list_shown(title, rows)
    if x := GROUPED_BY.get(title):
        # a group that has none at this place has no value there
        return Counter({(row[x], name): int(row[name]) for row in rows for name in row if name != x and row[name]})
    if title == HEALTH:
        return Counter((row["finding"], row["id"], row["name"]) for row in rows)
    if title == LOADS:  # the lists of one load come in any order
        rows = sorted(rows, key=lambda row: (-row["loaded_at"], row["resource"]))
    if columns := COLUMNS.get(title):
        return [tuple(_micros(row[name]) if name in TIMES else row[name] for name in columns) for row in rows]
    ((value,),) = (row.values() for row in rows)
    return _micros(value) if title in OF_LOADS else value


def _health(projects: Items, opened: Items, account: Account) -> Counter[tuple[str, str, str]]:
    trained = {training["project_id"] for training in account.trainings}
    active = [(item["id"], item["public_name"], item) for item in projects if item["status"] == "ACTIVE"]
    long_ago = micros(datetime.now(UTC) - timedelta(days=90))
    return Counter(
        [("no quality control", id_, name) for id_, name, item in active if not item["quality_control"]["configs"]]
        + [("no training", id_, name) for id_, name, _ in active if id_ not in trained]
        + [
            ("open for 90 days or more", item["id"], item["private_name"])
            for item in opened
            if moment(item["last_started"]) <= long_ago
        ]
    )


def moment(text: str) -> int:
    """Return one of the API's times in microseconds."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def micros(at: datetime) -> int:
    """Return a time in microseconds."""
    return _micros(at.timestamp() * 1000)


def _micros(milliseconds: float) -> int:
    return round(milliseconds * 1000)


def _month(text: str) -> float:
    start = datetime.fromisoformat(text).replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    return start.timestamp() * 1000


def _fields(project: Mapping[str, Any]) -> int:
    return len(project["task_spec"]["input_spec"]) + len(project["task_spec"]["output_spec"])
