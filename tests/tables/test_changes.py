"""What has changed is loaded, and nothing else; what is gone is noted."""

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh64_digest, xxh64_intdigest

from tests.conftest import NOON, Warehouse, assert_tables_equal_account, fill
from toloka_source import load
from toloka_source.catalog import schemas
from toloka_source.emulator import Clock
from toloka_source.tables.arrow import to_table
from toloka_source.tables.content_hash import content_hashes, seed_of
from toloka_source.tables.full_scans import FullScans

Row = dict[str, Any]


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """Return a pipeline that has loaded an account."""
    fill(warehouse.api.account)
    warehouse.load()
    return warehouse


def hash_of(item: bytes, schema: pa.Schema = schemas.PROJECTS) -> int:
    """Return the hash of an object's JSON."""
    (found,) = content_hashes([msgspec.json.decode(item, type=dict[str, msgspec.Raw])], seed_of(schema)).to_pylist()
    return int(found)


def test_a_hash_is_of_the_json_alone() -> None:
    # as any other program computes it
    kinds = [["id", "string"], ["n", "int64"], ["at", "timestamp[us, tz=UTC]"], ["j", "json"]]
    columns = [pa.field("id", pa.string()), pa.field("n", pa.int64()), pa.field("at", schemas.TIMESTAMP)]
    seed = xxh64_intdigest(json.dumps(kinds, separators=(",", ":")).encode())
    assert seed_of(pa.schema([*columns, schemas.unknown_column("j")])) == seed
    text = b'{"id":"1","status":"ACTIVE"}'
    expected = int.from_bytes(xxh64_digest(text, seed_of(schemas.PROJECTS)), signed=True)
    assert hash_of(b'{"id": "1", "status": "ACTIVE"}') == expected
    assert hash_of(b'{"status":"ACTIVE","sensitive":null, "id":"1"}') == expected
    assert hash_of(b'{"id": "1", "status": "ACTIVE", "new": {}}') != expected
    assert hash_of(b'{"id": "1", "status": "ARCHIVED"}') != expected
    assert hash_of(b'{"id": "1", "status": "ACTIVE"}', schemas.TRAININGS) != expected


def brought(warehouse: Warehouse, table: str) -> set[str]:
    """Return the ids of the rows that the newest load has brought."""
    query = f"SELECT id FROM {table} WHERE _dlt_load_id = (SELECT max(load_id) FROM _dlt_loads)"  # noqa: S608
    with warehouse.pipeline.sql_client() as client:
        return {str(row[0]) for row in client.execute_sql(query) or ()}


@pytest.mark.parametrize("by_load", [True, False])
@pytest.mark.slow
def test_only_what_was_edited_is_written(filled: Warehouse, by_load: bool) -> None:  # noqa: FBT001
    account = filled.api.account
    edited = account.ids("projects")[::9]
    for number in edited:
        account.edit_project(number, private_comment="seen")
    source = filled.source(rescan_after_hours=0)
    if by_load:
        projects, trainings = load(filled.pipeline, source).resources
        assert (projects.kind, projects.reason) == ("re-scan", "rescan_after_hours is 0")
        assert (projects.new, projects.changed, projects.unchanged, projects.rows) == (0, 7, 53, 7)
        assert (trainings.new, trainings.changed, trainings.unchanged, trainings.rows) == (0, 0, 80, 0)
    else:
        filled.pipeline.run(source)
    assert brought(filled, "projects") == set(edited)
    assert brought(filled, "trainings") == set()
    assert_tables_equal_account(filled)


def test_a_first_load_is_new_and_a_backfill_isnt_compared(warehouse: Warehouse) -> None:
    fill(warehouse.api.account)
    first = warehouse.load().resources[0]
    assert (first.kind, first.reason, first.new, first.changed, first.unchanged) == (
        "first",
        "there was none before",
        60,
        0,
        0,
    )
    again = warehouse.load(end_date=NOON).resources[0]
    assert (again.kind, again.is_backfill, again.rows, again.new, again.changed) == ("back-fill", True, 60, None, None)


@pytest.mark.parametrize("damage", ["DELETE FROM projects", "UPDATE projects SET _toloka_hash = NULL"])
def test_what_is_missing_there_is_written_again(filled: Warehouse, damage: str) -> None:
    with filled.pipeline.sql_client() as client:
        client.execute_sql(f"{damage} WHERE length(id) < 5")
        client.execute_sql("SELECT id FROM projects WHERE _toloka_hash IS NOT NULL")
    few = {one for one in filled.api.account.ids("projects") if len(one) < 5}
    report = filled.load(rescan_after_hours=0).resources[0]
    assert report.rows == len(few) > 0
    assert (report.new, report.changed) == ((len(few), 0) if "DELETE" in damage else (0, len(few)))
    assert brought(filled, "projects") == few
    assert_tables_equal_account(filled)


@pytest.mark.slow
def test_tables_of_an_older_version_are_written_once(filled: Warehouse) -> None:
    with filled.pipeline.sql_client() as client:
        client.execute_sql("ALTER TABLE projects DROP COLUMN _toloka_hash; DELETE FROM _dlt_version")
    with filled.pipeline.managed_state():
        for schema in filled.pipeline.schemas.values():
            schema.tables["projects"]["columns"].pop(schemas.HASH.name, None)
            filled.pipeline.schemas.save_schema(schema)
    assert [filled.load(rescan_after_hours=0).resources[0].rows for _ in range(2)] == [60, 0]
    assert_tables_equal_account(filled)


def test_other_columns_count_as_a_change_of_all_rows() -> None:
    less = schemas.PROJECTS.remove(schemas.PROJECTS.get_field_index("status"))
    assert hash_of(b'{"id": "1"}') != hash_of(b'{"id": "1"}', less)
    described = pa.schema([field.remove_metadata() for field in less if not schemas.is_json(field)])
    assert seed_of(described) == seed_of(pa.schema([field for field in less if not schemas.is_json(field)]))


@pytest.mark.slow
def test_rows_are_read_by_their_ids_or_all_at_once(warehouse: Warehouse, clock: Clock) -> None:
    account = warehouse.api.account
    warehouse.load()
    for count in (3, 700):
        clock.advance(hours=1)
        for _ in range(count):
            account.create_project()
        first, again = warehouse.load().resources[0], warehouse.load().resources[0]
        assert (first.kind, first.new, first.changed) == ("increment", count, 0)
        assert (again.kind, again.rows, again.unchanged) == ("increment", 0, count)


# gone


def gone_items(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return the rows of `gone_items`, none if there is no table."""
    if "gone_items" not in warehouse.pipeline.default_schema.tables:
        return []
    query = "SELECT resource, id, gone_at, back_at FROM gone_items ORDER BY length(id), id, gone_at"
    with warehouse.pipeline.sql_client() as client:
        return [tuple(row) for row in client.execute_sql(query) or ()]


@pytest.mark.slow
def test_what_is_gone_is_noted_until_it_is_back(filled: Warehouse, clock: Clock) -> None:
    account = filled.api.account
    absent = account.projects[3]
    moments = []
    for _ in range(2):
        account.remove("projects", absent["id"])
        for _ in range(2):
            clock.advance(hours=1)
            moments.append(clock.now())
            report = filled.load(rescan_after_hours=0).resources[0]
        assert report.gone == 0
        assert gone_items(filled)[-1] == ("projects", absent["id"], moments[-2], None)
        account.add("projects", absent)
        clock.advance(hours=1)
        moments.append(clock.now())
        assert filled.load(rescan_after_hours=0).resources[0].rows == 0
    assert gone_items(filled) == [
        ("projects", absent["id"], moments[0], moments[2]),
        ("projects", absent["id"], moments[3], moments[5]),
    ]
    assert filled.count("projects") == 60


@pytest.mark.parametrize(
    ("missing", "share", "noted"), [(10, 0.1, 10), (11, 0.1, 0), (11, 0.2, 11), (60, 1, 0), (59, 1, 59), (10, 0, 10)]
)
@pytest.mark.slow
def test_too_much_at_once_is_a_part_of_an_answer(
    filled: Warehouse, caplog: pytest.LogCaptureFixture, missing: int, share: float, noted: int
) -> None:
    for one in filled.api.account.ids("projects")[:missing]:
        filled.api.account.remove("projects", one)
    report = filled.load(rescan_after_hours=0, gone_share=share).resources[0]
    assert report.gone == len(gone_items(filled)) == noted
    assert ("nothing is noted as gone" in caplog.text) == (noted == 0)


@pytest.mark.parametrize(
    "arguments", [{"filters": {"projects": {"status": "ACTIVE"}}}, {"start_date": "2020-01-01"}, {"end_date": NOON}]
)
def test_a_part_of_the_list_says_nothing_of_the_rest(filled: Warehouse, arguments: Row) -> None:
    filled.api.account.remove("projects", filled.api.account.ids("projects")[0])
    filled.load(rescan_after_hours=0, **arguments)
    assert gone_items(filled) == []


def test_an_object_that_does_not_fit_is_there(filled: Warehouse) -> None:
    account = filled.api.account
    account.edit_project(account.ids("projects")[0], sensitive="perhaps")
    report = filled.load(rescan_after_hours=0).resources[0]
    assert (report.rejected, report.gone) == (1, 0)


# how often


@given(
    pages=st.integers(1, 3_000),
    overhead=st.floats(1, 1.15),
    minutes=st.lists(st.integers(1, 300), min_size=1, max_size=150),
)
def test_whole_scans_take_a_request_a_minute_on_average(pages: int, overhead: float, minutes: list[int]) -> None:
    requests = round(pages * overhead)
    state: Row = {}
    others = {"projects": state}
    now = started = NOON
    FullScans(state, others, "auto", "here").note(now, requests, pages)
    spent, last = 0, now
    for passed in minutes:
        now += timedelta(minutes=passed)
        scans = FullScans(state, others, "auto", "here")
        if scans.reason() or scans.reason_at(now, now):
            spent += requests
            last = now
            scans.note(now, requests, pages)
        # what is current after each hourly run, and after each daily one
        assert now - last < timedelta(hours=1 if pages <= 60 else 24)
    allowed = 60 if pages > 60 else 60 * overhead
    hours = (now - started) / timedelta(hours=1)
    assert pages > 24 * 60 or spent <= allowed * (hours + 5 / 60) + 1


def test_an_hourly_run_is_exact_up_to_an_hours_pages() -> None:
    state: Row = {}
    now: datetime = NOON
    for late in (0, 3, -2, 7, -9, 0):  # in seconds, as schedulers are
        scans = FullScans(state, {"projects": state}, "auto", "here")
        assert scans.reason() or scans.reason_at(now + timedelta(seconds=late), now)
        scans.note(now + timedelta(seconds=late), 66, 60)
        now += timedelta(hours=1)


def test_a_clock_that_was_wrong_stops_nothing() -> None:
    state: Row = {}
    FullScans(state, {"projects": state}, "auto", "here").note(NOON + timedelta(days=900), 5, 3)
    scans = FullScans(state, {"projects": state}, "auto", "here")
    assert scans.reason_at(NOON, NOON)
    scans.note(NOON, 5, 3)
    scans = FullScans(state, {"projects": state}, "auto", "here")
    assert not scans.reason_at(NOON, NOON)
    assert scans.reason_at(NOON + timedelta(minutes=10), NOON)


def test_unknown_fields_named_like_ours() -> None:
    items = msgspec.json.decode(b'[{"id": "1", "_toloka_hash": 5}]', type=list[dict[str, msgspec.Raw]])
    table, _ = to_table(items, schemas.PROJECTS)
    assert table.schema.names.count(schemas.HASH.name) == 1
    assert len(table.schema) == len(schemas.PROJECTS) + 2
