"""The account that everybody loads: at the first load, half a day later, soon after that, and after some edits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from toloka_source.emulator import lifelike

FIRST = datetime(2026, 1, 1)  # noqa: DTZ001 - the API's times are naive UTC
"""The server's clock at the first load: the same objects on every day, and in the past of every machine's clock."""

LATER = FIRST + timedelta(hours=12)
"""The server's clock at the increment."""

IDLE = LATER + timedelta(minutes=30)
"""The server's clock when nothing has happened since the increment."""

EDITED = LATER + timedelta(hours=1)
"""The server's clock after the edits."""

CHANGED = 0.01
"""The part of all objects that is new or restarted in the increment, and then edited."""

_SEED = 2026
_NEWEST = FIRST - timedelta(minutes=10)


@dataclass(frozen=True)
class State:
    """What the account holds at a moment.

    Attributes:
        now: The server's clock.
        lists: For each list its objects, in the order of ids.
    """

    now: datetime
    lists: Mapping[str, list[dict[str, Any]]]


def states(objects: int) -> tuple[State, State, State, State]:
    """Return the account before and after the increment, unchanged later on, and after edits that no cursor tells of.

    Args:
        objects: How many there are at first; half of them projects, half trainings.
    """
    projects, trainings = lifelike.history(objects // 2, objects - objects // 2, _SEED, _NEWEST)
    before = State(FIRST, {"projects": projects, "trainings": trainings})
    changes = max(round(objects * CHANGED), 4)
    fresh, restarted = changes // 4, changes // 4
    new_projects = _grown(projects, changes - fresh - restarted)
    new_trainings = _grown(trainings, fresh)
    later = {"projects": projects + new_projects, "trainings": _restart(trainings, restarted) + new_trainings}
    after, idle = State(LATER, later), State(IDLE, later)
    edited = {
        "projects": _edit(later["projects"], "public_name"),
        "trainings": _edit(later["trainings"], "private_name"),
    }
    return before, after, idle, State(EDITED, edited)


def _edit(items: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    """Return the objects, some of them with another name."""
    every = round(1 / CHANGED)
    return [item if place % every else item | {field: f"{item[field]} (edited)"} for place, item in enumerate(items)]


def _grown(items: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return copies of the newest objects as new ones, created between the two moments; none has started yet."""
    last = int(items[-1]["id"])
    unknown_yet = ("last_started", "last_stopped", "last_close_reason")
    return [
        {name: value for name, value in items[-1 - number % len(items)].items() if name not in unknown_yet}
        | {"id": str(last + 7 * (number + 1)), "created": _between(number, count)}
        for number in range(count)
    ]


def _restart(trainings: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the trainings, some of those that had started already started again."""
    started = [place for place, training in enumerate(trainings) if "last_started" in training]
    restarted = list(trainings)
    for number, place in enumerate(started[:: len(started) // count][:count]):
        restarted[place] = trainings[place] | {"status": "OPEN", "last_started": _between(number, count)}
    return restarted


def _between(number: int, count: int) -> str:
    # an hour's distance from both moments, so that no rival's look back or ahead makes a difference
    moment = FIRST + timedelta(hours=1) + timedelta(hours=10) * number / count
    return lifelike.api_time(moment.replace(microsecond=moment.microsecond // 1000 * 1000))
