"""What the tests of a real Airflow share: its connection to the local Toloka, its runs, and what is in the tables."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from tests.conftest import expected_rows
from tests.live.airflow_server import AirflowServer
from tests.live.waiting import wait_for
from toloka_source import ENDPOINTS
from toloka_source.emulator import Account, Emulator

TOKEN = "token-of-the-live-tests"  # noqa: S105 - the emulator's
SECONDS = 60
"""How long to wait for anything."""


class Killer:
    """Holds an answer of the emulator back, and all after it, until what waits for it has been killed."""

    def __init__(self, api: Emulator, number: int) -> None:
        """Wait for the request of this number, counted from now on."""
        self._left = number
        self._reached, self._done = threading.Event(), threading.Event()
        api.before_request = self._before_request

    def _before_request(self, _number: int, _resource: str) -> None:
        self._left -= 1
        if self._left == 0:
            self._reached.set()
            self._done.wait(SECONDS)

    def kill(self, kill: Callable[[], None]) -> None:
        """Kill what waits for the answer."""
        assert self._reached.wait(SECONDS)
        kill()
        self._done.set()


def connection(api: Emulator, database: str) -> dict[str, Any]:
    """Return the connection `toloka`, as Airflow's API takes it."""
    url = urlsplit(database)
    place = {"host": url.hostname, "port": url.port, "database": url.path.removeprefix("/")}
    extra = {
        "destination": "postgres",
        "credentials": {**place, "username": url.username, "password": url.password},
    }
    fields = {"connection_id": "toloka", "conn_type": "generic", "host": api.base_url, "password": TOKEN}
    return {**fields, "extra": json.dumps(extra)}


def ended(server: AirflowServer, dag: str, number: int) -> Mapping[str, Any]:
    """Wait until a DAG's run of this number, counted from 0, has succeeded."""

    def look() -> Mapping[str, Any] | None:
        runs = server.runs(dag)
        assert "failed" not in [run["state"] for run in runs]
        return runs[number] if len(runs) > number and runs[number]["state"] == "success" else None

    return wait_for(look, SECONDS)


def assert_right(database: str, account: Account, **bounds: str) -> None:
    """Compare both tables with what the account has, or has of a stretch of time, field by field."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SET timezone TO 'UTC'")
        for name, objects in (("projects", account.projects), ("trainings", account.trainings)):
            endpoint = ENDPOINTS[name]
            cursors = [cursor.name for cursor in endpoint.cursors]
            expected = [item for item in objects if not bounds or is_within(item, cursors, **bounds)]
            assert expected
            columns = ", ".join(endpoint.schema.names)
            cursor.execute(f"SELECT {columns} FROM toloka_data.{name} ORDER BY length(id), id")  # noqa: S608
            found = [dict(zip(endpoint.schema.names, row, strict=True)) for row in cursor.fetchall()]
            assert found == expected_rows(expected, endpoint.schema)


def is_within(item: Mapping[str, Any], cursors: Sequence[str], start: str, end: str) -> bool:
    """Tell whether an object was created, or started, after the start and no later than the end."""
    return any(item.get(cursor) and start < item[cursor] <= end for cursor in cursors)
