"""Twelve months for Dagster to load again: the account, where they go, and what can be seen of the runs."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from starlette.responses import Response

from tests.destinations.stores import PostgresStore
from toloka_source import ENDPOINTS
from toloka_source.emulator import Account, Clock, Emulator, Fault
from toloka_source.emulator.faults import Exchange

TOKEN = "token-that-nobody-may-see"  # noqa: S105 - a test's
MONTHS = 12
AT_ONCE = 4  # as pipelines/dagster.yaml says
PROJECTS_A_MONTH = 310  # two pages
NOW = datetime.now(UTC)


def month_start(back: int) -> datetime:
    """Return the beginning of the current month, or of one so many months back."""
    months = NOW.year * 12 + NOW.month - 1 - back
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


KEYS = [f"{month_start(back):%Y-%m-%d}" for back in range(MONTHS, 0, -1)]


def account_with_history() -> Account:
    """Return an account with twelve whole months, and some days or hours of the current one."""
    clock = Clock(month_start(MONTHS))
    account = Account(clock)
    for back in range(MONTHS, 0, -1):
        step = (month_start(back - 1) - month_start(back)) / PROJECTS_A_MONTH
        for number in range(PROJECTS_A_MONTH):
            clock.advance(step)  # the last one is made in the month's last moment, which is the next one's first
            project = account.create_project()
            if number % 3 == 0:
                account.create_training(project["id"])
    clock.set(NOW)
    for training in account.ids("trainings")[::100]:
        account.start_training(training)
    account.create_training(account.create_project()["id"])
    return account


class HoldingEmulator(Emulator):
    """Keeps the last page of each list of projects until it is told to go on, so that windows are half read."""

    def __init__(self) -> None:
        """Serve the account to the token."""
        super().__init__(account_with_history(), tokens=[TOKEN])
        self._goes_on = threading.Event()
        self.fail(Fault("holds the last page", self._hold), on="projects", times=None)

    async def _hold(self, exchange: Exchange) -> Response:
        answer = exchange.answer()
        while b'"has_more":false' in bytes(answer.body) and not self._goes_on.is_set():
            await exchange.pause(0.1)
        return answer

    def go_on(self) -> None:
        """Keep nothing any more."""
        self._goes_on.set()

    def half_read(self) -> list[str]:
        """Return the months of which a page of projects was answered, and another one not yet."""
        statuses: dict[str, set[int | None]] = {key: set() for key in KEYS}
        for request in self.requests:
            key = request.params.get("created_gt", "").removesuffix("T00:00:00.000")
            if request.resource == "projects" and key in statuses:
                statuses[key].add(request.status)
        return [key for key, found in statuses.items() if {200, None} <= found]


class Tables(PostgresStore):
    """The tables, whatever pipeline loaded them."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows in the order of ids as numbers, without dlt's own columns, JSON parsed."""
        rows = sorted(self.read(table), key=lambda row: (len(row["id"]), row["id"]))
        return [{name: row[name] for name in ENDPOINTS[table].schema.names} for row in rows]


def settings(api: Emulator, database: str) -> dict[str, str]:
    """Return the variables for runs from this account into this database; regular ones load the current month alone."""
    return {
        "SOURCES__TOLOKA__TOKEN": TOKEN,
        "SOURCES__TOLOKA__BASE_URL": api.base_url,
        "SOURCES__TOLOKA__START_DATE": month_start(0).isoformat(),
        "DESTINATION__POSTGRES__CREDENTIALS": database,
        "TOLOKA_DESTINATION": "postgres",
        "TOLOKA_BACKFILL_START": KEYS[0],
    }


def most_at_once(runs: Sequence[Mapping[str, Any]]) -> int:
    """Return how many of the runs were running at the same time."""
    edges = [*((run["startTime"], 1) for run in runs), *((run["endTime"], -1) for run in runs)]
    return max(accumulate(step for _, step in sorted(edges)))
