"""What a destination has to do, run on each: see `kinds.py`."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.backfills.window_process import side_by_side
from tests.conftest import assert_tables_equal_account, expected_rows
from tests.destinations.conftest import Attach
from tests.destinations.stores import Store
from toloka_source import ENDPOINTS, split_windows
from toloka_source.catalog import schemas
from toloka_source.emulator import Clock

# of dlt's own statements for SQLAlchemy
pytestmark = pytest.mark.filterwarnings("ignore:implicitly coercing SELECT object to scalar subquery")


def loaded(store: Store, **arguments: Any) -> list[int]:
    """Load; return how many projects and trainings that brought."""
    return [resource.rows for resource in store.load(**arguments).resources]


def test_increments(store: Store, clock: Clock) -> None:
    account = store.api.account
    assert loaded(store) == [60, 45]
    assert_tables_equal_account(store)
    clock.advance(hours=1)
    account.create_training(account.create_project()["id"])
    account.start_training(next(item["id"] for item in account.trainings if item["status"] == "CLOSED"))
    assert loaded(store) == [1, 2]
    assert_tables_equal_account(store)


def test_one_row_each(store: Store, clock: Clock) -> None:
    account = store.api.account
    store.load()
    clock.advance(hours=1)
    account.start_training(next(item["id"] for item in account.trainings if item["status"] == "CLOSED"))
    assert loaded(store) == [0, 1]
    assert [store.count("projects"), store.count("trainings")] == [60, 45]


def test_unchanged(store: Store, clock: Clock) -> None:
    store.load()
    clock.advance(hours=25)
    report = store.load()
    assert [(one.kind, one.rows, one.unchanged) for one in report.resources] == [("re-scan", 0, 60), ("re-scan", 0, 45)]
    assert [store.count("projects"), store.count("trainings")] == [60, 45]


def test_edits(store: Store, clock: Clock) -> None:
    account = store.api.account
    store.load()
    clock.advance(hours=25)
    account.edit_project(account.projects[0]["id"], public_name="Edited")
    account.archive_training(next(item["id"] for item in account.trainings if item["status"] != "ARCHIVED"))
    report = store.load()
    assert [(one.new, one.changed) for one in report.resources] == [(0, 1), (0, 1)]
    assert_tables_equal_account(store)


def test_new_machine(store: Store, attach: Attach, clock: Clock, own_folder: Path) -> None:
    store.load()
    shutil.rmtree(own_folder / "dlt")
    clock.advance(hours=1)
    store.api.account.create_project()
    again = attach()
    assert loaded(again) == [1, 0]
    assert_tables_equal_account(again)


def test_json(store: Store) -> None:
    numbers: dict[str, Any] = {"n": [2**64, 1e22, 1.10, None, True], "a": [], "o": {}, "2": [[]]}
    values = {**numbers, "": {"'; --": '\\"'}, "z": "\\u0000 é😀"}
    id_ = store.api.account.create_project(metadata=values, localization_config={})["id"]
    store.load()
    assert_tables_equal_account(store)
    (stored,) = [row["metadata"] for row in store.read("projects") if row["id"] == id_]
    assert (json.loads(stored) if isinstance(stored, str) else stored) == values


def test_times(store: Store) -> None:
    for created in ("0001-01-01T00:00:00", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"):
        store.api.account.create_project(created=created)
    store.load()
    assert_tables_equal_account(store)


def test_texts(store: Store) -> None:
    account = store.api.account
    account.create_project(
        public_name='"; DROP TABLE projects; --',
        public_description="\\N",
        public_instructions="'a',\"b\"\r\n\t\\. {} %s %(x)s :name $1\n\\.\n\u2028 \x7f 漢字 😀 ",
        private_comment="",
    )
    account.create_project(public_instructions="é" * 150_000)
    store.load()
    assert_tables_equal_account(store)


def test_nul(store: Store) -> None:
    store.api.account.create_project(public_name="a\0b", metadata={"k\0": ["\0", "\\u0000"]})
    store.load()
    assert_tables_equal_account(store)


def test_new_fields(store: Store, clock: Clock) -> None:
    store.load()
    clock.advance(hours=1)
    store.api.account.create_project(brandNew={"a": [1]}, select="text")
    store.load()
    *old, new = store.rows("projects")
    assert (new["brand_new"], new["select"]) == ({"a": [1]}, "text")
    assert {row.get("brand_new") for row in old} == {None}
    clock.advance(hours=1)
    store.api.account.create_project()
    store.load()
    assert [row["brand_new"] for row in store.rows("projects")[-2:]] == [{"a": [1]}, None]


def test_rejected(store: Store, clock: Clock) -> None:
    misfit = store.api.account.create_project(created="soon", metadata={"a": ["é"]})
    for _ in range(2):
        store.load()
        clock.advance(hours=25)
    (row,) = store.rows("rejected_items")
    assert (row["resource"], row["field"], row["item"]) == ("projects", "created", misfit)
    assert store.count("projects") == 60


def test_gone(store: Store, clock: Clock) -> None:
    account = store.api.account
    store.load()
    gone = account.projects[0]
    account.remove("projects", gone["id"])
    clock.advance(hours=25)
    store.load()
    (row,) = store.rows("gone_items")
    assert (row["resource"], row["id"], row.get("back_at")) == ("projects", gone["id"], None)
    account.add("projects", gone)
    clock.advance(hours=25)
    store.load()
    (row,) = store.rows("gone_items")
    assert row["gone_at"] < row["back_at"]
    assert_tables_equal_account(store)


def test_history(store: Store, clock: Clock) -> None:
    account = store.api.account
    store.load(history=True)
    edited = account.projects[0]["id"]
    names = [account.projects[0]["public_name"], "Second", "Third"]
    for name in names[1:]:
        clock.advance(hours=25)
        account.edit_project(edited, public_name=name)
        store.load(history=True)
    versions = [row for row in store.rows("projects_history") if row["id"] == edited]
    versions.sort(key=lambda row: row["valid_from"])
    assert [row["public_name"] for row in versions] == names
    assert [row["task_spec"] for row in versions] == [account.get("projects", edited)["task_spec"]] * 3
    assert [row["valid_to"] for row in versions] == [*(row["valid_from"] for row in versions[1:]), None]


def test_windows(attach: Attach) -> None:
    store = attach()
    account = store.api.account
    for month in range(1, 5):
        for _ in range(5):
            project = account.create_project(created=f"2025-0{month}-15T00:00:00")
            # a training is in two windows, which both bring it
            moments = {"created": f"2025-0{month}-20T00:00:00", "last_started": f"2025-0{month % 4 + 1}-25T00:00:00"}
            account.create_training(project["id"], **moments)
    arguments = {"token": "secret", "base_url": store.api.base_url}
    windows = split_windows("2025-01-01", "2025-05-01")
    assert side_by_side(windows, store.destination, arguments, at_once=2) == [0] * 4
    for table, objects in (("projects", account.projects), ("trainings", account.trainings)):
        columns = pa.schema([field for field in ENDPOINTS[table].schema if not schemas.is_json(field)])
        found = sorted(store.read(table), key=lambda row: int(row["id"]))
        assert [{name: row[name] for name in columns.names} for row in found] == expected_rows(objects, columns)
        assert store.only_adds or store.count(table) == 20
