"""What the dashboard has to show of an account, worked out from its objects alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from toloka_source.emulator import Account

Items = Sequence[Mapping[str, Any]]
Figures = dict[str, Any]
"""A chart's figures by its title."""

GROUPED_BY = {
    "Projects created per month": "created_at",
    "Trainings by month of their last start": "last_started_at",
    "Trainings by state and last close reason": "status",
    "Fields per project": "fields",
    "Quality rules by collector": "collector",
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
}
OF_TRAININGS = {
    "Trainings",
    "Open trainings",
    "Trainings by month of their last start",
    "Trainings by state and last close reason",
    STALEST,
}
LAST_LOAD, DATA_UNTIL, LOADS = OF_LOADS = ("Last load (UTC)", "Data until (UTC)", "Latest loads (UTC)")


def expected(projects: Items, trainings: Items, account: Account) -> Figures:
    """Return the figures of some of an account's projects and trainings."""
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
            for item in sorted(opened, key=lambda item: moment(item["last_started"]))
        ],
    }


def shown(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return what a chart shows in the form of what is expected."""
    if x := GROUPED_BY.get(title):
        # a group that has none at this place has no value there
        return Counter({(row[x], name): int(row[name]) for row in rows for name in row if name != x and row[name]})
    if title == STALEST:
        return [(row["training_name"], row["project_name"], _micros(row["last_started_at"])) for row in rows]
    if title == HEALTH:
        return Counter((row["finding"], row["id"], row["name"]) for row in rows)
    if title == LOADS:
        return [
            (row["resource"], row["new_rows"], row["changed_rows"], row["rejected_rows"], _micros(row["data_until"]))
            for row in sorted(rows, key=lambda row: (-row["loaded_at"], row["resource"]))
        ]
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
