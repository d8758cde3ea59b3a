"""A year in windows, and whether all of its objects are where they were loaded."""

import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt

from toloka_source import Window, split_windows
from toloka_source.emulator import Account

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
YEAR = split_windows(START, END)
MARCH = YEAR[2]


class Place:
    """A destination, and what is in its tables."""

    def __init__(self, destination: Any, folder: Path) -> None:
        """Look into the dataset `toloka_data` there."""
        self.destination = destination
        self._reader = dlt.pipeline("reader", str(folder), destination=destination, dataset_name="toloka_data")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return a query's rows."""
        with self._reader.sql_client() as client:
            return [tuple(row) for row in client.execute_sql(query) or ()]

    def assert_complete(self, account: Account, windows: Sequence[Window] = YEAR) -> None:
        """Check that all objects of these windows are there, each once, with all their fields."""
        for table, objects in (("projects", account.projects), ("trainings", account.trainings)):
            name = "public_name" if table == "projects" else "private_name"
            wanted = Counter[Any](
                (item["id"], item[name], item.get("x_all")) for item in within(objects, windows) if fits(item)
            )
            rows = self.ask(f"SELECT id, {name}, x_all FROM {table}")  # noqa: S608 - names of ours
            assert Counter((id_, name, None if x is None else int(x)) for id_, name, x in rows) == wanted
        wanted = Counter(f'"{item["id"]}"' for item in within(account.projects, windows) if not fits(item))
        assert Counter(id_ for (id_,) in self.ask("SELECT id FROM rejected_items")) == wanted

    def assert_swept(self) -> None:
        """Check that the windows left nothing but their rows."""
        schemas = {name for (name,) in self.ask("SELECT schema_name FROM information_schema.schemata")}
        assert {name for name in schemas if name.startswith("toloka_data")} <= {"toloka_data", "toloka_data_staging"}
        assert self.ask("SELECT * FROM _dlt_version WHERE schema_name LIKE '%backfill%'") == []
        assert not list(Path(os.environ["DLT_DATA_DIR"]).glob("pipelines/*toloka_data_2*"))


def within(objects: list[dict[str, Any]], windows: Sequence[Window]) -> list[dict[str, Any]]:
    """Return what was created or started in the windows, which follow each other."""
    start, end = (f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in (windows[0].start, windows[-1].end))
    moments = [[item[name] for name in ("created", "last_started") if item.get(name)] for item in objects]
    return [item for item, found in zip(objects, moments, strict=True) if any(start < one <= end for one in found)]


def fits(item: dict[str, Any]) -> bool:
    """Tell whether an object fits its schema."""
    return item.get("sensitive") != "maybe"
