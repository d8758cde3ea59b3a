"""The same account in every kind of destination: what each has to show, and what a destination without merge shows."""

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import psycopg2
import pytest
from dlt.common.schema.typing import C_DLT_LOAD_ID

from tests.conftest import assert_tables_equal_account, fill
from tests.destinations.stores import DeltaStore, ParquetStore, PostgresStore, Store
from toloka_source import ENDPOINTS
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.emulator import Clock, Emulator

pytest_plugins = ["tests.postgres"]


Attach = Callable[[], Store]

TYPES: Mapping[str, tuple[str, ...]] = {
    "duckdb": ("VARCHAR", "TIMESTAMP WITH TIME ZONE", "BIGINT", "BOOLEAN", "JSON"),
    "postgres": ("character varying", "timestamp with time zone", "bigint", "boolean", "jsonb"),
    "delta": ("string", "timestamp[us, tz=UTC]", "int64", "bool", "string"),
    "parquet": ("VARCHAR", "TIMESTAMP WITH TIME ZONE", "BIGINT", "BOOLEAN", "VARCHAR"),
}
"""How each destination calls a text, a time, a whole number, a yes or no, and JSON."""


@pytest.fixture(params=list(TYPES))
def kind(request: pytest.FixtureRequest) -> str:
    """Return each destination's name in turn."""
    return str(request.param)


@pytest.fixture
def attach(kind: str, request: pytest.FixtureRequest, api: Emulator) -> Attach:
    """Return what attaches a pipeline to the test's own place in that destination."""
    if kind == "postgres":
        url = request.getfixturevalue("postgres_database")
        return lambda: PostgresStore(api, url)
    return {
        "duckdb": lambda: Store(api, dlt.destinations.duckdb("toloka.duckdb")),
        "delta": lambda: DeltaStore(api, dlt.destinations.filesystem("lake", preferred_table_format="delta")),
        "parquet": lambda: ParquetStore(api, dlt.destinations.filesystem("lake")),
    }[kind]


@pytest.fixture
def store(attach: Attach) -> Store:
    """Return a pipeline into the destination from an account with some history, of which nothing is loaded yet."""
    store = attach()
    fill(store.api.account, projects=60, trainings=45)
    return store


def loaded(store: Store, **arguments: Any) -> list[int]:
    """Load; return how many projects and trainings that brought."""
    return [resource.rows for resource in store.load(**arguments).resources]


@pytest.mark.long  # as each destination's own session tries it
def test_increments_and_whole_scans_leave_one_row_for_each_object(store: Store, clock: Clock) -> None:
    account = store.api.account
    assert loaded(store) == [60, 45]
    assert_tables_equal_account(store)

    clock.advance(hours=1)
    account.create_training(account.create_project()["id"])
    account.start_training(next(item["id"] for item in account.trainings if item["status"] == "CLOSED"))
    assert loaded(store) == [1, 2]
    assert_tables_equal_account(store)

    clock.advance(hours=25)
    account.edit_project(account.projects[0]["id"], public_name="Edited")
    account.archive_training(next(item["id"] for item in account.trainings if item["status"] != "ARCHIVED"))
    assert loaded(store) == [1, 1]
    assert_tables_equal_account(store)
    # files are only ever added: there each load counts
    added = store.only_adds
    assert store.count("projects") == (60 + 1 + 1 if added else 61)
    assert store.count("trainings") == (45 + 2 + 1 if added else 46)


@pytest.mark.slow
def test_each_row_has_the_id_of_the_load_that_brought_it(store: Store, clock: Clock) -> None:
    account = store.api.account
    old, misfit = account.ids("projects"), account.create_project(created="soon")["id"]
    ids: list[str] = []
    for created in ([], [account]):
        new = [account.create_project()["id"] for account in created]
        store.load()
        trace = store.pipeline.last_trace
        ids += trace.last_load_info.loads_ids if trace and trace.last_load_info else []
        clock.advance(hours=1)
    first, second = ids
    found = {row["id"]: row[C_DLT_LOAD_ID] for row in store.read("projects")}
    assert found == dict.fromkeys(old, first) | dict.fromkeys(new, second)
    assert [(json.loads(row["id"]), row[C_DLT_LOAD_ID]) for row in store.read("rejected_items")] == [(misfit, first)]


def test_extreme_values(store: Store) -> None:
    account = store.api.account
    for created in ("0001-01-01T00:00:00", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"):
        account.create_project(created=created)
    account.create_project(
        public_name='"; DROP TABLE projects; --',
        public_description="\\N",
        public_instructions="'a',\"b\"\r\n\t\\. {} %s $1\n\\.\n\u2028 \x7f 漢字 😀",
        private_comment="",
        max_active_assignments_count=-(2**63),
        metadata={"n": [2**64, 1e22, 1.10, -0.0, None], "": {"'; --": '\\"'}, "z": "\\u0000", "a": []},
        localization_config={},
    )
    account.create_project(max_active_assignments_count=2**63 - 1, id="9" * 40, public_instructions="x" * 1_000_000)
    account.create_training("1", last_started=None, metadata=None)
    store.load()
    assert_tables_equal_account(store)


def test_a_nul_is_kept_or_becomes_a_replacement_character(store: Store) -> None:
    kept = "\ufffd" if isinstance(store, PostgresStore) else "\0"
    account = store.api.account
    nul = {"public_name": "a\0b", "metadata": {"k\0": ["\0", "\\u0000", "\\\0"]}, "new\0field": "\0"}
    account.create_project(**nul)
    account.create_project(**nul, sensitive="\0")
    projects, _ = store.load().resources
    assert (projects.rows, projects.rejected) == (61, 1)
    row = store.rows("projects")[-1]
    assert row["public_name"] == f"a{kept}b"
    assert row["metadata"] == {f"k{kept}": [kept, "\\u0000", f"\\{kept}"]}
    assert row["new_field"] == kept
    (rejected,) = store.rows("rejected_items")
    assert rejected["item"]["public_name"] == f"a{kept}b"


@pytest.mark.long  # as each destination's own session tries it
def test_objects_that_do_not_fit(store: Store, clock: Clock) -> None:
    misfit = store.api.account.create_project(created="soon", metadata={"a": ["é"]})
    before = datetime.now(UTC)
    for rows in ([60, 45], [0, 0]):
        assert loaded(store) == rows
        clock.advance(hours=25)
    (row,) = store.rows("rejected_items")
    assert before <= row["rejected_at"] <= datetime.now(UTC)
    assert (row["resource"], row["field"], json.loads(row["id"])) == ("projects", "created", misfit["id"])
    assert row["item"] == misfit
    assert {row["id"] for row in store.rows("projects")}.isdisjoint({misfit["id"]})


@pytest.mark.long  # as each destination's own session tries it
def test_fields_that_appear_later(store: Store, attach: Attach, clock: Clock, own_folder: Path) -> None:
    account = store.api.account
    store.load()
    clock.advance(hours=1)
    fields = {"brandNew": {"a": [1]}, "select": "text", "x" * 200: 1, "x" * 199 + "y": 2, '"; DROP TABLE x; --': 3}
    account.create_project(**fields)
    store.load()
    shutil.rmtree(own_folder / "dlt")
    clock.advance(hours=1)
    account.create_project(brandNew=None, another=[])
    again = attach()
    again.load()

    rows = again.rows("projects")
    known = set(ENDPOINTS["projects"].schema.names)
    assert [{name for name, value in row.items() if value is not None} - known for row in rows[:-2]] == [set()] * 60
    assert sorted((value for name, value in rows[-2].items() if name not in known), key=str) == sorted(
        [*fields.values(), None], key=str
    )
    assert (rows[-2]["brand_new"], rows[-2]["select"]) == ({"a": [1]}, "text")
    assert (rows[-1]["brand_new"], rows[-1]["another"]) == (None, [])
    assert all(len(name) <= 63 for name in rows[0]) or not isinstance(again, PostgresStore)
    assert [row["id"] for row in rows] == account.ids("projects")


@pytest.mark.slow
def test_an_empty_account_gets_its_tables(attach: Attach, kind: str, clock: Clock) -> None:
    store = attach()
    assert loaded(store) == [0, 0]
    names = dict(zip((schemas.TEXT, schemas.TIMESTAMP, schemas.INTEGER, schemas.BOOLEAN), TYPES[kind], strict=False))
    for table, endpoint in DEFAULT_ENDPOINTS.items():
        assert store.rows(table) == []
        columns = {
            field.name: TYPES[kind][-1] if schemas.is_json(field) else names[field.type] for field in endpoint.schema
        }
        columns |= {schemas.HASH.name: names[schemas.INTEGER], C_DLT_LOAD_ID: TYPES[kind][0]}
        assert store.types(table) == columns
    clock.advance(hours=1)
    store.api.account.create_project()
    assert loaded(store) == [1, 0]
    assert_tables_equal_account(store)


def test_only_files_without_a_table_format_are_warned_of(
    attach: Attach, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    attach().load()
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    if kind == "parquet":
        assert [message.partition(":")[0] for message in said] == ["projects", "trainings"]
        assert all("table_format" in message for message in said)
    else:
        assert said == []


@pytest.mark.slow
def test_table_format_is_a_setting_of_the_source(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__TOLOKA__TABLE_FORMAT", "delta")
    store = DeltaStore(api, dlt.destinations.filesystem("lake"))
    misfit = api.account.create_project(created="soon")
    api.account.create_project(created="2026-01-01T00:00:00")
    for _ in range(2):
        store.load(rescan_after_hours=0)
    assert store.count("projects") == 1
    assert [row["item"] for row in store.rows("rejected_items")] == [misfit]


def test_the_server_listens_on_this_machine_only(postgres: str) -> None:
    connection = psycopg2.connect(postgres)
    with connection.cursor() as cursor:
        cursor.execute("SHOW listen_addresses")
        assert cursor.fetchone() == ("127.0.0.1",)
    connection.close()
