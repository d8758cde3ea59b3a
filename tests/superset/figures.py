"""What the dashboard has to show of an account, worked out from its objects alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Items = Sequence[Mapping[str, Any]]
Figures = dict[str, Any]
"""A chart's figures by its title."""

GROUPED_BY = {
    "Projects created per month": "created_at",
    "Trainings started per month": "last_started_at",
    "Trainings by state and last close reason": "status",
    "Fields per project": "fields",
    "Quality rules by collector": "collector",
}
STALEST = "Stalest open trainings"
OF_PROJECTS = {
    "Projects",
    "Active projects",
    "Projects created per month",
    "Fields per project",
    "Quality rules by collector",
}
OF_TRAININGS = {
    "Trainings",
    "Open trainings",
    "Trainings started per month",
    "Trainings by state and last close reason",
    STALEST,
}
LAST_LOAD, DATA_UNTIL, LOADS = OF_LOADS = ("Last load (UTC)", "Data until (UTC)", "Latest loads (UTC)")


def expected(projects: Items, trainings: Items, names: Mapping[str, str]) -> Figures:
    """Return the figures of some projects and trainings; the names are those of all projects, by id."""
    opened = [training for training in trainings if training["status"] == "OPEN"]
    started = [training for training in trainings if "last_started" in training]
    return {
        "Projects": len(projects),
        "Active projects": sum(project["status"] == "ACTIVE" for project in projects),
        "Trainings": len(trainings),
        "Open trainings": len(opened),
        "Projects created per month": Counter((_month(item["created"]), item["status"]) for item in projects),
        "Trainings started per month": Counter((_month(item["last_started"]), item["status"]) for item in started),
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
    if title == LOADS:
        return [
            (row["resource"], row["new_rows"], row["changed_rows"], row["rejected_rows"], _micros(row["data_until"]))
            for row in sorted(rows, key=lambda row: (-row["loaded_at"], row["resource"]))
        ]
    ((value,),) = (row.values() for row in rows)
    return _micros(value) if title in OF_LOADS else value


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
