"""The queries of the guide on alerts: silent while all is well, and not when it isn't."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.bi.test_views import attach, place
from tests.bi.views_place import Place
from tests.docs.pages import blocks
from toloka_source.emulator import Account, Clock, Emulator, Fault
from toloka_source.errors import AuthenticationError

__all__ = ["attach", "place"]  # fixtures

QUERIES = list(blocks(Path(__file__).parents[2] / "docs" / "guides" / "alerts.md", "sql"))


@pytest.fixture
def api() -> Iterator[Emulator]:
    """Serve an account of today: the queries ask the database what time it is."""
    with Emulator(Account(Clock(datetime.now(UTC)))) as emulator:
        yield emulator


def alerts(place: Place) -> list[tuple[Any, Any]]:
    """Return what the queries find: the alert and the list."""
    return [(row["alert"], row.get("resource")) for query in QUERIES for row in place.ask(query)]


@pytest.mark.slow
def test_alerts(place: Place) -> None:
    account = place.api.account
    for _ in range(3):
        account.create_project()
    place.load()
    assert alerts(place) == []

    place.api.fail(Fault.status(401), times=None)
    with pytest.raises(AuthenticationError):
        place.load()
    failed = [("failed", "projects"), ("failed", "trainings")]
    assert alerts(place) == failed

    place.ask(
        "UPDATE toloka_data._toloka_loads SET loaded_at = loaded_at - INTERVAL '8 days', "
        "complete_until = complete_until - INTERVAL '8 days'"
    )
    old = [("data is old", "projects"), ("data is old", "trainings")]
    assert alerts(place) == [("no success for 3 hours", None), *old, *failed]

    place.api.clear_faults()
    place.load(rescan_after_hours=0)
    idle = [("nothing new for a week", "projects"), ("nothing new for a week", "trainings")]
    assert alerts(place) == idle

    account.remove("projects", account.ids("projects")[0])
    account.create_project(created="soon")
    account.create_training(account.ids("projects")[0])
    place.load(rescan_after_hours=0)
    assert alerts(place) == [("rejected", "projects"), ("gone", "projects"), idle[0]]
