"""Whatever happens in the account, the tables have each version of each object once, and each absence."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dlt
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.amounts import amount
from tests.bi.views_place import Place
from tests.conftest import NOON, expected_rows
from toloka_source import load, toloka
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.emulator import Account, Clock, Emulator

pytest_plugins = ["tests.postgres"]

Row = dict[str, Any]

LAG = timedelta(seconds=60)
MINUTE = timedelta(minutes=2)
"""Between any two things that happen: longer than the lag."""


class Model:
    """What the tables have to hold, worked out from what happened alone."""

    def __init__(self, account: Account) -> None:
        """Begin with nothing loaded."""
        self.account = account
        self.rows: dict[str, dict[str, Row]] = defaultdict(dict)
        self.versions: dict[str, list[Row]] = defaultdict(list)
        self.absences: list[Row] = []
        self._cursor: dict[str, datetime] = {}
        self._scanned: dict[str, datetime] = {}

    def run(self, resource: str, now: datetime, *, is_whole: bool) -> None:
        """Load."""
        rows = self.rows[resource]
        met = {item["id"]: item for item in getattr(self.account, resource)}
        is_whole = is_whole or resource not in self._cursor
        if not is_whole:
            since = self._cursor[resource] - LAG
            met = {id_: item for id_, item in met.items() if max(_moments(item)) > since}
        news = [item for item in met.values() if self._see(resource, item, now)]
        if is_whole or news or any(rows.get(id_) != item for id_, item in met.items()):
            self._cursor[resource] = now
        rows |= met
        if is_whole:
            self._find_gone(resource, set(met), now)
            self._scanned[resource] = now

    def _see(self, resource: str, item: Row, now: datetime) -> bool:
        versions = self.versions[resource]
        before = next((one for one in versions if one["id"] == item["id"] and not one["valid_to"]), None)
        if before and before["item"] == item:
            return False
        seen = None
        if before:
            before["valid_to"] = now
            seen = max(before["valid_from"], self._scanned[resource])
        versions.append({"id": item["id"], "item": item, "valid_from": now, "valid_after": seen, "valid_to": None})
        return True

    def _find_gone(self, resource: str, met: set[str], now: datetime) -> None:
        open_ = {row["id"]: row for row in self.absences if row["resource"] == resource and not row["back_at"]}
        for id_ in met & open_.keys():
            open_[id_]["back_at"] = now
        for id_ in self.rows[resource].keys() - met - open_.keys():
            self.absences.append({"resource": resource, "id": id_, "gone_at": now, "back_at": None})
        for version in self.versions[resource]:
            if version["id"] not in met and not version["valid_to"]:
                version["valid_to"] = now


def _moments(item: Row) -> Iterator[datetime]:
    for name in ("created", "last_started"):
        if item.get(name):
            yield datetime.fromisoformat(item[name]).replace(tzinfo=UTC)


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Return rows in an order of their own."""
    names = ("resource", "id", "valid_from", "gone_at")
    return sorted(rows, key=lambda row: [str(row.get(name)) for name in names])


def stored(place: Place, table: str, schema: pa.Schema) -> list[Row]:
    """Return a table's rows without what is neither the API's nor a version's, JSON parsed."""
    if place.pipeline.default_schema.tables.get(table) is None:
        return []
    names = [field.name for field in schema]
    rows = place.ask(f"SELECT {', '.join(names)} FROM toloka_data.{table}")  # noqa: S608 - names of ours
    parsed = [] if place.is_postgres else [field.name for field in schema if schemas.is_json(field)]
    return [row | {name: json.loads(row[name]) for name in parsed if row[name] is not None} for row in rows]


def assert_is_right(place: Place, model: Model, *, is_whole: bool) -> None:
    """Compare the tables with the model."""
    for resource, endpoint in DEFAULT_ENDPOINTS.items():
        found = stored(place, f"{resource}_history", pa.schema([*endpoint.schema, *schemas.VERSION]))
        expected = [
            row | {name: version[name] for name in schemas.VERSION.names}
            for version in model.versions[resource]
            for row in expected_rows([version["item"]], endpoint.schema)
        ]
        assert ordered(found) == ordered(expected)
        if is_whole:
            objects = list(model.rows[resource].values())
            assert ordered(stored(place, resource, endpoint.schema)) == ordered(expected_rows(objects, endpoint.schema))
    if is_whole:
        assert ordered(stored(place, "gone_items", schemas.GONE_ITEMS)) == ordered(model.absences)


class World:
    """An account in which things happen, and a warehouse that it is loaded into."""

    def __init__(self, api: Emulator, place: Place) -> None:
        """Begin with some objects."""
        self.account = api.account
        self.clock = api.account.clock
        self.place = place
        self.model = Model(self.account)
        self._vanished: list[Row] = []
        for _ in range(4):
            self._create()

    def do(self, what: str, number: int) -> None:
        """Let something happen, in the account or to the tables."""
        self.clock.advance(seconds=MINUTE.total_seconds())
        projects, trainings = self.account.ids("projects"), self.account.ids("trainings")
        getattr(self, f"_{what}")(projects[number % len(projects)], trainings[number % len(trainings)])

    def _create(self, *_: str) -> None:
        self.account.create_training(self.account.create_project(private_comment="")["id"])

    def _edit(self, project: str, training: str) -> None:
        self.account.edit_project(project, public_name=f"name {int(training) % 3}")

    def _archive(self, project: str, _: str) -> None:
        self.account.archive_project(project)

    def _start(self, _: str, training: str) -> None:
        self.account.start_training(training)

    def _close(self, _: str, training: str) -> None:
        self.account.close_training(training)

    def _vanish(self, project: str, _: str) -> None:
        if len(self.account.projects) > 1:
            self._vanished.append(self.account.get("projects", project))
            self.account.remove("projects", project)

    def _return(self, *_: str) -> None:
        if self._vanished:
            self.account.add("projects", self._vanished.pop())

    def _delete(self, project: str, _: str) -> None:
        if self.model.rows["projects"].pop(project, None):
            self.place.ask(f"DELETE FROM toloka_data.projects WHERE id = '{project}'")  # noqa: S608 - a number

    def _increment(self, *_: str) -> None:
        self.load(is_whole=False)

    def _rescan(self, *_: str) -> None:
        self.load(is_whole=True)

    def load(self, *, is_whole: bool) -> None:
        """Load, and compare."""
        for resource in DEFAULT_ENDPOINTS:
            self.model.run(resource, self.clock.now(), is_whole=is_whole)
        load(self.place.pipeline, self.place.source(history=True, rescan_after_hours=0 if is_whole else float("inf")))
        assert_is_right(self.place, self.model, is_whole=is_whole)


EVENTS = [
    "create",
    "edit",
    "edit",
    "archive",
    "start",
    "close",
    "vanish",
    "return",
    "delete",
    "increment",
    "rescan",
    "rescan",
]
steps = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 9)), min_size=6, max_size=15)


@contextmanager
def fresh_world(url: str | None) -> Iterator[World]:
    """Yield a world with an empty warehouse."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, Emulator(Account(Clock(NOON))) as api:
        patch.chdir(folder)
        patch.setenv("DLT_DATA_DIR", f"{folder}/dlt")
        place = Place(api, url)
        yield World(api, place)
        if url:
            place.ask("DROP SCHEMA IF EXISTS toloka_data CASCADE", "DROP SCHEMA IF EXISTS toloka_data_staging CASCADE")


patient = settings(
    deadline=None,
    max_examples=amount(quick=3, full=4, long=1_000),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a story takes seconds: it isn't shrunk
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@patient
@given(events=steps)
@pytest.mark.slow
def test_each_version_once_in_duckdb(events: list[tuple[str, int]]) -> None:
    with fresh_world(None) as world:
        for event in [("rescan", 0), *events, ("rescan", 0)]:
            world.do(*event)


@pytest.mark.long
@patient
@given(events=steps)
def test_each_version_once_in_postgres(postgres_database: str, events: list[tuple[str, int]]) -> None:
    with fresh_world(postgres_database) as world:
        for event in [("rescan", 0), *events, ("rescan", 0)]:
            world.do(*event)


# one thing at a time


class Few:
    """An account of three projects, loaded with its history into one destination."""

    def __init__(self, api: Emulator, destination: Any) -> None:
        """Load once."""
        self.api = api
        self.pipeline = dlt.pipeline("toloka", destination=destination, dataset_name="toloka_data")
        for _ in range(3):
            api.account.create_project()
        self.id = api.account.ids("projects")[1]

    def load(self, **arguments: Any) -> None:
        """Load an hour later."""
        self.api.account.clock.advance(hours=1)
        settings = {"history": True, "rescan_after_hours": 0, **arguments}
        load(self.pipeline, toloka(token="secret", base_url=self.api.base_url, **settings))  # noqa: S106 - no secret

    def rows(self) -> list[Row]:
        """Return all versions."""
        query = "SELECT * FROM projects_history"
        with self.pipeline.sql_client() as client, client.execute_query(query) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def hours(self) -> list[tuple[Any, ...]]:
        """Return the versions of one project: the hours of their moments, and the names."""
        found = [row for row in self.rows() if row["id"] == self.id]
        found.sort(key=lambda row: (row["valid_from"], row["valid_to"] is not None))
        moments = [tuple(row[name] and row[name].hour for name in schemas.VERSION.names) for row in found]
        return [(*three, row["public_name"]) for three, row in zip(moments, found, strict=True)]


@pytest.mark.slow
def test_in_delta(api: Emulator, own_folder: Path) -> None:
    few = Few(api, dlt.destinations.filesystem(f"{own_folder}/lake"))
    name = api.account.get("projects", few.id)["public_name"]
    for edited in (name, "B", name):
        api.account.edit_project(few.id, public_name=edited)
        few.load(table_format="delta")
    api.account.remove("projects", few.id)
    few.load(table_format="delta")
    table = DeltaTable(f"{own_folder}/lake/toloka_data/projects_history").to_pyarrow_table().to_pylist()
    found = sorted((row["valid_from"].hour, row["valid_to"].hour if row["valid_to"] else 0) for row in table)
    assert found == [(13, 0), (13, 0), (13, 14), (14, 15), (15, 16)]


@pytest.mark.slow
def test_where_rows_are_only_added_a_version_has_a_row_with_its_end_too(api: Emulator, own_folder: Path) -> None:
    few = Few(api, dlt.destinations.filesystem(f"{own_folder}/lake"))
    name = api.account.get("projects", few.id)["public_name"]
    for edited in (name, "B", "B", name):
        api.account.edit_project(few.id, public_name=edited)
        few.load()
    assert few.hours() == [
        (13, None, None, name),
        (13, None, 14, name),
        (14, 13, None, "B"),
        (14, 13, 16, "B"),
        (16, 15, None, name),
    ]


@pytest.mark.slow
def test_switched_off_and_on_again(api: Emulator) -> None:
    few = Few(api, "duckdb")
    names: list[str] = []
    for history in (False, True, False, False, True):
        names.append(f"name {len(names)}")
        api.account.edit_project(few.id, public_name=names[-1])
        few.load(history=history, rescan_after_hours=float("inf") if history else 0)
    # read whole when it is switched on; what was seen while it was off says nothing of the version before
    assert few.hours() == [(14, None, 17, names[1]), (17, 14, None, names[4])]


@pytest.mark.slow
def test_two_changes_in_one_moment(api: Emulator) -> None:
    few = Few(api, "duckdb")
    few.load()
    for edited in ("B", "C"):
        few.api.account.edit_project(few.id, public_name=edited)
        few.load()
        few.api.account.clock.advance(hours=-1)
    rows = few.rows()
    versions = sorted((row["valid_from"], row["valid_to"]) for row in rows if row["id"] == few.id and row["valid_to"])
    assert len(rows) == 5
    assert all(start < end for start, end in versions)


@pytest.mark.slow
def test_unknown_fields_are_kept_with_their_version(api: Emulator) -> None:
    few = Few(api, "duckdb")
    few.load()
    for value in ({"a": 1}, [2], None):
        api.account.edit_project(few.id, brand_new=value)
        few.load()
    query = f"SELECT brand_new FROM projects_history WHERE id = '{few.id}' ORDER BY valid_from"  # noqa: S608 - a number
    with few.pipeline.sql_client() as client:
        found = [value if value is None else json.loads(value) for (value,) in client.execute_sql(query) or ()]
    assert found == [None, {"a": 1}, [2], None]
    columns = few.pipeline.default_schema.tables["projects_history"]["columns"]
    assert columns["brand_new"]["data_type"] == "json"


@pytest.mark.slow
def test_a_table_that_is_dropped_takes_no_history_with_it(api: Emulator) -> None:
    few = Few(api, "duckdb")
    few.load()
    api.account.edit_project(few.id, public_name="B")
    few.load()
    with few.pipeline.sql_client() as client:
        client.execute_sql("DROP TABLE projects")
    api.account.edit_project(few.id, public_name="C")
    few.load()
    assert [row[-1] for row in few.hours()][1:] == ["B", "C"]
    with few.pipeline.sql_client() as client:
        assert client.execute_sql("SELECT count(*) FROM projects") == [(3,)]
        client.execute_sql("DROP TABLE projects_history")
    few.load()
    assert [row[-1] for row in few.hours()] == ["C"]


def test_a_backfill_keeps_none(api: Emulator) -> None:
    few = Few(api, "duckdb")
    few.load(end_date=NOON)
    assert "projects_history" not in few.pipeline.default_schema.tables


def test_a_function_as_a_destination_gets_none(api: Emulator) -> None:
    tables = set()

    @dlt.destination(batch_size=10)
    def sink(_items: Any, table: Any) -> None:
        tables.add(table["name"])

    few = Few(api, sink())
    few.load()
    assert "projects" in tables
    assert "projects_history" not in tables


def test_json_of_an_ended_version_is_what_it_was(api: Emulator, postgres_database: str) -> None:
    few = Few(api, dlt.destinations.postgres(postgres_database))
    number = 12345678901234567890123  # more than a driver's float keeps
    api.account.edit_project(few.id, metadata={"n": number, "text": ""})
    for edited in ("", "B"):
        api.account.edit_project(few.id, public_name=edited)
        few.load()
    query = f"SELECT metadata #>> '{{n}}', public_name, private_comment FROM projects_history WHERE id = '{few.id}'"  # noqa: S608
    with few.pipeline.sql_client() as client:
        found = [tuple(row) for row in client.execute_sql(query) or ()]
    comment = api.account.get("projects", few.id).get("private_comment")
    assert sorted(found) == [(str(number), "", comment), (str(number), "B", comment)]


@pytest.mark.parametrize("switched_off", [False, True])
@pytest.mark.slow
def test_what_a_part_of_the_list_did_not_show_was_not_seen(api: Emulator, switched_off: bool) -> None:  # noqa: FBT001
    few = Few(api, "duckdb")
    for _ in range(30):
        api.account.create_project()
    few.load()
    if switched_off:
        few.load(history=False)
    hidden = [api.account.get("projects", id_) for id_ in api.account.ids("projects")[1:13]]
    for project in hidden:
        api.account.remove("projects", project["id"])
    few.load()  # so many at once may be a part of an answer
    for project in hidden:
        api.account.add("projects", project | {"public_name": "B"})
    few.load()
    (_, _, until), (since, after, _) = [row[:3] for row in few.hours()]
    assert (until, since, after) == (15 + switched_off, 15 + switched_off, 13)
