"""The views for BI tools: what they say, compared with the account, and that they are always there."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest

from tests.amounts import amount, each_once
from tests.bi.views_place import Place, Row, fields_of, findings_of, in_order, projects_of, rules_of, trainings_of
from tests.conftest import NOON, fill
from toloka_source import errors, load
from toloka_source.bi import engines, view_sql, views
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.catalog.schemas import NUMBER
from toloka_source.emulator import MISSING, Account, Clock, Emulator, Fault
from toloka_source.tables import resource_run

pytest_plugins = ["tests.postgres"]

Attach = Callable[..., Place]

HARD_NAMES = (
    "",
    'q"uo.te',
    "$[*]",
    "العربية",
    "🚀",
    "'; DROP SCHEMA toloka_bi CASCADE; --",
    "a/b~c",
    "a\\nb\n",
    "{}",
    "%s",
)
FIELD = {"type": "URL", "required": True, "hidden": False}

ODD_VALUES: tuple[Any, ...] = (
    *(None, "true", "false", "maybe", 0, 1, True, False, [], {}, [None], [1, 2.5, -3], ["a, b", 'c"'], [""]),
)

ODD_SPECS: tuple[Any, ...] = (
    None,
    MISSING,
    "text",
    7,
    [],
    [1, {"input_spec": {"a": FIELD}}],
    {},
    {"input_spec": None, "output_spec": []},
    {"input_spec": [FIELD, {"a": FIELD}], "output_spec": "text", "view_spec": []},
    {"input_spec": {}, "view_spec": "tb"},
    {"input_spec": {"a": None, "b": "string", "c": [], "d": {}, "e": 1}, "view_spec": {"type": None}},
    {
        "output_spec": {f"type {kind!r}": {"type": kind} for kind in (None, 7, "", "String", True)},
        "view_spec": {"type": 3},
    },
    {"input_spec": dict.fromkeys(HARD_NAMES, FIELD)},
    {"input_spec": {f"field {number}": FIELD for number in range(300)}},
    {"output_spec": {"long": FIELD | {"allowed_values": ["x" * 100_000, "y"]}, "n" * 5_000: FIELD}},
    {
        "input_spec": {
            f"{value}": {"type": "string", "required": value, "hidden": value, "allowed_values": value}
            for value in ODD_VALUES
        }
    },
    {
        "output_spec": {
            "mixed": {"allowed_values": ["a", None, True, 1, [1], {}]},
            "object": {"allowed_values": {"a": 1}},
        }
    },
)
RULE = {
    "conditions": [{"key": "n", "operator": "GTE", "value": 3}],
    "action": {"type": "BAN", "parameters": {"a": "é"}},
}
CONDITIONS: tuple[Any, ...] = (
    None,
    "text",
    {},
    [],
    [None, 1, {}],
    [
        {"key": "a", "operator": operator, "value": 20.5}
        for operator in ("EQ", "NE", "GT", "GTE", "LT", "LTE", "IN", None)
    ],
    [{"key": "a", "operator": "EQ", "value": value} for value in (*ODD_VALUES, "10", "'; --")],
    [{"operator": "EQ"}, {"value": 1}, {"key": "alone"}],
)
ODD_CONTROLS: tuple[Any, ...] = (
    None,
    MISSING,
    "text",
    [RULE],
    {},
    {"configs": None},
    {"configs": []},
    {"configs": {"rules": [RULE]}},
    {"configs": [None, 1, "text", [], {}, [RULE]]},
    {"configs": [{"rules": None}, {"rules": {}}, {"rules": []}, {"rules": [None, 1, []]}, {"rules": RULE}]},
    {"configs": [{"rules": None}, {"rules": [None, RULE, RULE]}, {"rules": [{}]}]},
    {"configs": [{"rules": [RULE | {"conditions": terms} for terms in CONDITIONS]}]},
    {"configs": [{"rules": [{"action": action} for action in (*ODD_VALUES, {"type": 7}, {"parameters": []})]}]},
    {"configs": [{"collector_config": config, "rules": [RULE]} for config in (*ODD_VALUES, {"type": None})]},
    {"configs": [{"collector_config": {"type": "NEW", "parameters": value}, "rules": [RULE]} for value in ODD_VALUES]},
)
ODD_LANGUAGES: tuple[Any, ...] = (
    None, "EN", [], {}, {"additional_languages": None}, {"additional_languages": {}}, {"additional_languages": [{}]},
)  # fmt: skip


ENGINES = ["duckdb", "postgres"]


@pytest.fixture(params=ENGINES)
def attach(request: pytest.FixtureRequest, api: Emulator) -> Attach:
    """Return what attaches a pipeline to the test's own database, of each engine in turn."""
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else None
    return lambda dataset="toloka_data", **settings: Place(api, url, dataset, **settings)


@pytest.fixture
def place(attach: Attach) -> Place:
    """Return a pipeline into the database."""
    return attach()


@pytest.fixture
def postgres_place(api: Emulator, postgres_database: str) -> Place:
    """Return a pipeline into PostgreSQL."""
    return Place(api, postgres_database)


def add_oddities(account: Account) -> None:
    """Add what the API documents nowhere, and what is missing."""
    for spec in ODD_SPECS:
        account.create_project(task_spec=spec)
    for control in ODD_CONTROLS:
        account.create_project(quality_control=control)
    for languages in ODD_LANGUAGES:
        account.create_project(localization_config=languages)
    for name in (None, "", *HARD_NAMES, "\u202e\u05e9\u05dc\u05d5\u05dd", "x" * 100_000):
        project = account.create_project(public_name=name, private_comment=name, assignments_issuing_type=name)
        account.create_training(project["id"], private_name=name)
    nothing = {
        field.name.partition("__")[0]: MISSING for endpoint in DEFAULT_ENDPOINTS.values() for field in endpoint.schema
    }
    del nothing["id"], nothing["project_id"]
    project = account.create_project(**nothing)
    account.edit_training(account.create_training("1", **nothing)["id"], project_id=MISSING)
    account.create_training("999999999")  # of no project
    times = {"last_started": "2026-01-02T00:00:00", "last_stopped": "2026-01-01T00:00:00"}
    for status in ("OPEN", "CLOSED", None):
        account.create_training(project["id"], status=status, **times)
        account.create_training(project["id"], status=status, **times | {"last_stopped": None})
        account.create_training(project["id"], status=status, **times | {"last_started": None})
        account.create_training(project["id"], status=status, **times | {"last_started": "0001-01-01T00:00:00"})


def add_trainings_that_are_open_for(account: Account, *days: float) -> None:
    """Add open trainings that were started so long ago, by the clock on the wall."""
    for each in days:
        start = f"{datetime.now(UTC) - timedelta(days=each):%Y-%m-%dT%H:%M:%S}"
        account.create_training(account.ids("projects")[0], status="OPEN", last_started=start)


JSON_COLUMNS = {"parameters", "collector_parameters", "allowed_values"}


def without_spaces(rows: list[Row]) -> list[Row]:
    """Write JSON in texts in one way: PostgreSQL's has spaces, and an order of its own."""
    for row in rows:
        if row.get("condition"):
            row["condition"] = row["condition"].replace(", ", ",")
        for name in JSON_COLUMNS & row.keys():
            if str(row[name]).startswith(("{", "[")):
                row[name] = json.dumps(json.loads(row[name]), sort_keys=True)
    return in_order(rows)


def assert_views_show_the_account(place: Place, *, has_times: bool = True) -> None:
    """Compare each view with the account, column by column, and the views with each other."""
    account = place.api.account
    times = "SELECT min(inserted_at) AS first, max(inserted_at) AS last FROM toloka_data._dlt_loads"
    loaded = place.ask(times)[0] if has_times else {}
    projects, trainings = place.view("projects"), place.view("trainings")
    for row in (*projects, *trainings):
        at = row.pop("loaded_at")
        assert loaded["first"] <= at <= loaded["last"] if has_times else at is None
    assert in_order(projects) == in_order(projects_of(account))
    expected = trainings_of(account, datetime.now(UTC))
    for row, wanted in zip(
        *(sorted(rows, key=lambda row: str(row["training_id"])) for rows in (trainings, expected)), strict=True
    ):
        assert row.pop("open_hours") == pytest.approx(wanted.pop("open_hours"), abs=0.1), wanted
        assert row == wanted
    assert place.view("setup_health") == in_order(findings_of(account, datetime.now(UTC)))
    fields, rules = place.view("project_fields"), place.view("quality_rules")
    assert without_spaces(fields) == without_spaces(fields_of(account))
    assert without_spaces(rules) == without_spaces(rules_of(account))
    assert Counter(row["project_id"] for row in fields) == +Counter(
        {row["project_id"]: row["input_fields"] + row["output_fields"] for row in projects}
    )
    assert {row["project_id"] for row in rules} == {row["project_id"] for row in projects if row["has_quality_control"]}
    known = {row["project_id"] for row in projects}
    assert sum(row["trainings"] for row in projects) == len([row for row in trainings if row["project_id"] in known])


# what the views say


@pytest.mark.slow
def test_the_views_show_the_account(place: Place, clock: Clock) -> None:
    account = place.api.account
    fill(account)
    add_trainings_that_are_open_for(account, 1, 89.5, 90.5)
    place.load()
    assert_views_show_the_account(place)

    clock.advance(hours=1)
    project = account.create_project(public_name="New")
    account.start_training(account.create_training(project["id"])["id"])
    account.start_training(next(training["id"] for training in account.trainings if training["status"] == "CLOSED"))
    place.load()
    assert_views_show_the_account(place)

    clock.advance(hours=25)
    first, second, *_ = account.ids("projects")
    account.edit_project(first, task_spec={"input_spec": {"new": {"type": "json"}}}, quality_control=None)
    account.archive_project(second)
    account.close_training(next(training["id"] for training in account.trainings if training["status"] == "OPEN"))
    place.load()
    assert_views_show_the_account(place)


def test_nothing_in_an_account_breaks_a_view(place: Place) -> None:
    add_oddities(place.api.account)
    place.load()
    assert_views_show_the_account(place)


def test_json_that_no_account_of_the_emulator_has(place: Place) -> None:
    texts = (
        '{"input_spec": {"a": {"type": "x"}, "b": {"type": "y"}, "a": {"type": "z"}}, "output_spec": {"c": {}}}',
        ' { "input_spec" : { "\\u0061" : { "type" : "z" } , "\\ud83d\\ude80\\"" : 1 } } ',
    )
    for _ in texts:
        place.api.account.create_project()
    place.load()
    for number, task_spec in enumerate(texts, 1):
        place.ask(f"UPDATE toloka_data.projects SET task_spec = '{task_spec}' WHERE id = '{number}'")  # noqa: S608
    found = sorted((row["project_id"], row["field_name"], row["field_type"]) for row in place.view("project_fields"))
    assert found == [("1", "a", "z"), ("1", "b", "y"), ("1", "c", None), ("2", "a", "z"), ("2", '🚀"', None)]
    assert [(row["input_fields"], row["output_fields"]) for row in place.view("projects")] == [(2, 1), (2, 0)]


@pytest.mark.slow
def test_a_row_that_comes_again_was_loaded_again(place: Place, clock: Clock) -> None:
    account = place.api.account
    ids = [account.create_project()["id"] for _ in range(2)]
    before = datetime.now(UTC)
    place.load()
    between = datetime.now(UTC)
    clock.advance(hours=1)
    ids.append(account.create_project()["id"])
    place.load()
    after = datetime.now(UTC)
    first, second, third = sorted(row["loaded_at"] for row in place.view("projects"))
    assert before < first == second < between < third < after
    clock.advance(hours=25)
    account.edit_project(ids[0], public_name="Edited")
    place.load()
    changed = {row["project_id"] for row in place.view("projects") if row["loaded_at"] > after}
    assert changed == {ids[0]}


@pytest.mark.slow
def test_loads_has_a_row_for_each_run(place: Place, clock: Clock) -> None:
    account = place.api.account
    fill(account, projects=5, trainings=3)
    account.create_project(created="soon")
    before = datetime.now(UTC)
    place.load()
    clock.advance(hours=1)
    place.load()  # finds nothing
    clock.advance(hours=1)
    account.create_project()
    load(place.pipeline, place.source().with_resources("projects"), views=True)
    place.load(start_date="2020-01-01", end_date=NOON + timedelta(hours=9))
    rows = sorted(place.view("loads"), key=lambda row: (row["loaded_at"], row["resource"]))
    hours = [0, 0, 1, 1, 2, 2, 1]  # a back-fill doesn't tell what else there is
    for row, hour in zip(rows, hours, strict=True):
        assert row["data_until"] == NOON + timedelta(hours=hour)
        assert row["full_read_at"] == NOON
        assert before < row["loaded_at"] < datetime.now(UTC)
        assert 0 < row["seconds"] < 600
        assert row["pipeline"] == "toloka"
    counts = ("kind", "loaded_rows", "new_rows", "changed_rows", "unchanged_rows", "gone_rows", "rejected_rows")
    assert [tuple(row[name] for name in ("resource", *counts)) for row in rows] == [
        ("projects", "first", 5, 5, 0, 0, 0, 1),
        ("trainings", "first", 3, 3, 0, 0, 0, 0),
        ("projects", "increment", 0, 0, 0, 0, 0, 0),
        ("trainings", "increment", 0, 0, 0, 0, 0, 0),
        ("projects", "increment", 1, 1, 0, 0, 0, 0),
        ("projects", "back-fill", 6, None, None, 0, 0, 0),
        ("trainings", "back-fill", 3, None, None, 0, 0, 0),
    ]
    rows = [row for row in rows if row["resource"] == "projects"]
    assert [row["load_id"] is None for row in rows] == [False, True, False, False]
    ids = [row["load_id"] for row in place.ask("SELECT load_id FROM toloka_data._dlt_loads ORDER BY 1")]
    assert [row["load_id"] for row in rows if row["load_id"]] == ids
    place.load(rescan_after_hours=0)
    assert max(row["data_until"] for row in place.view("loads")) == NOON + timedelta(hours=2)
    assert sorted(row["full_read_at"] for row in place.view("loads"))[-3:] == [NOON, *[NOON + timedelta(hours=2)] * 2]


@pytest.mark.slow
def test_rejected_has_a_row_for_each_object_that_does_not_fit(place: Place) -> None:
    place.load()
    assert place.view("rejected") == []
    project = place.api.account.create_project(sensitive="maybe")
    before = datetime.now(UTC)
    place.load()
    (row,) = place.view("rejected")
    assert before < row.pop("rejected_at") < datetime.now(UTC)
    wanted = {"resource": "projects", "id": project["id"], "field": "sensitive"}
    assert row == wanted | {"reason": place.one("SELECT reason FROM toloka_data.rejected_items")}


def gone(place: Place) -> list[str]:
    """Return the ids of what the views say is gone."""
    return [row[f"{view}_id"] for view in ("project", "training") for row in place.view(f"{view}s") if row["is_gone"]]


@pytest.mark.slow
def test_what_the_account_no_longer_has(place: Place, clock: Clock) -> None:
    account = place.api.account
    fill(account)
    place.load()
    assert gone(place) == []  # there is no table of absences
    project, training = account.projects[3], next(one for one in account.trainings if one["status"] == "OPEN")
    for _ in range(2):  # an absence that is over counts no more, another one does
        account.remove("projects", project["id"])
        clock.advance(hours=1)
        place.load(rescan_after_hours=0)
        assert gone(place) == [project["id"]]
        account.add("projects", project)
        clock.advance(hours=1)
        place.load(rescan_after_hours=0)
        assert_views_show_the_account(place)
    account.remove("trainings", training["id"])
    clock.advance(hours=1)
    place.load(rescan_after_hours=0)
    assert gone(place) == [training["id"]]
    assert training["id"] not in {row["id"] for row in place.view("setup_health") if row["resource"] == "trainings"}
    # as where rows are only added
    place.ask(
        """
        INSERT INTO toloka_data.gone_items (resource, id, gone_at, back_at, _dlt_load_id)
        SELECT resource, id, gone_at, gone_at, _dlt_load_id FROM toloka_data.gone_items WHERE back_at IS NULL
        """
    )
    assert gone(place) == []


@pytest.mark.slow
def test_a_load_that_fails_has_rows_too(place: Place, clock: Clock) -> None:
    fill(place.api.account, 5, 3)
    place.load()
    place.ask(
        *("DROP VIEW toloka_bi.loads", "DROP VIEW toloka_bi.setup_health"),
        *(f"ALTER TABLE toloka_data._toloka_loads DROP COLUMN {name}" for name in NEW),
    )
    clock.advance(hours=1)
    place.api.fail(Fault.status(403), times=None)
    with pytest.raises(errors.PermissionDeniedError):
        place.load()
    place.api.clear_faults()
    place.load()
    rows = sorted(place.view("loads"), key=lambda row: (row["loaded_at"], row["resource"]))
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "failed", "ok", "ok"]
    for row in rows[2:4]:
        assert "HTTP 403" in row["error"]
        assert (row["loaded_rows"], row["data_until"]) == (None, NOON)
    assert [row["data_until"] for row in rows[4:]] == [NOON + timedelta(hours=1)] * 2
    assert {row["error"] for row in rows if row["status"] == "ok"} == {None}


NEW = ("status", "error")

OLD_LOADS = """
    CREATE TABLE toloka_data._toloka_loads (
        loaded_at timestamptz, pipeline text, load_id text, seconds {double}, project_rows bigint,
        training_rows bigint, rejected_rows bigint, projects_until timestamptz, trainings_until timestamptz
    )
"""


@pytest.mark.slow
def test_the_table_of_loads_of_an_older_version_is_taken_over(place: Place) -> None:
    fill(place.api.account)
    load(place.pipeline, place.source())
    double = "double precision" if place.is_postgres else "DOUBLE"
    until = "'2026-03-01 12:00:00+00'"
    place.ask(
        OLD_LOADS.format(double=double),
        f"""
        INSERT INTO toloka_data._toloka_loads VALUES
            ({until}, 'toloka', '1', 2.5, 60, 80, 3, {until}, {until}),
            ({until}, 'toloka', '2', 2.5, 1, NULL, 1, {until}, NULL),
            ({until}, 'toloka', '3', 2.5, NULL, 7, 4, NULL, NULL)
        """,  # noqa: S608
    )
    for _ in range(2):
        place.load()
    rows = [row for row in place.view("loads") if row["loaded_at"].year == 2026 and row["loaded_at"].month == 3]
    found = {(row["load_id"], row["resource"], row["loaded_rows"], row["rejected_rows"]) for row in rows}
    assert len(rows) == len(found)
    assert found == {
        ("1", "projects", 60, 3),
        ("1", "trainings", 80, 0),
        ("2", "projects", 1, 1),
        ("3", "trainings", 7, 4),
    }
    assert {row["kind"] for row in rows} == {None}
    assert len(place.view("loads")) == len(rows) + 4


# what they are made of


def test_columns_types_and_comments(place: Place) -> None:
    place.load()
    names = {schemas.TEXT: "text", schemas.TIMESTAMP: "timestamp with time zone", schemas.INTEGER: "bigint"}
    names |= {schemas.BOOLEAN: "boolean", NUMBER: "double precision"}
    if not place.is_postgres:
        names |= {schemas.TEXT: "varchar", NUMBER: "double"}
    query = """
        SELECT table_name, column_name, lower(data_type) AS kind FROM information_schema.columns
        WHERE table_schema = 'toloka_bi' ORDER BY table_name, ordinal_position
    """
    found: dict[str, dict[str, str]] = {}
    for row in place.ask(query):
        found.setdefault(row["table_name"], {})[row["column_name"]] = row["kind"]
    assert {name: list(columns.items()) for name, columns in found.items()} == {
        name: [(field.name, names[field.type]) for field in schema] for name, schema in VIEWS.items()
    }
    comments = (
        """
        SELECT relname AS view, attname AS name, col_description(attrelid, attnum) AS comment
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'toloka_bi'::regnamespace
        """
        if place.is_postgres
        else """
        SELECT table_name AS view, column_name AS name, comment FROM duckdb_columns() WHERE schema_name = 'toloka_bi'
        """
    )
    assert {(row["view"], row["name"]): row["comment"] for row in place.ask(comments)} == {
        (name, field.name): schemas.description(field) for name, schema in VIEWS.items() for field in schema
    }
    for view, comment in view_comments(place).items():
        assert comment.startswith(
            f"{schemas.description(VIEWS[view])}. Made by toloka-source from the dataset toloka_data"
        )


def view_comments(place: Place) -> dict[str, str]:
    """Return the comment of each view."""
    engine = engines.ENGINES[place.pipeline.destination.destination_type]
    return {str(name): str(comment) for name, comment in (
        row.values() for row in place.ask(engine.comments.replace("%s", "'toloka_bi'"))
    )}  # fmt: skip


def test_the_dataset_holds_nothing_but_the_views(place: Place) -> None:
    place.load()
    query = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'toloka_bi'"
    assert {row["table_name"]: row["table_type"] for row in place.ask(query)} == dict.fromkeys(VIEWS, "VIEW")


MARK = "COMMENT ON COLUMN toloka_bi.trainings.is_open IS 'kept'"
"""What is kept as long as a view isn't made again."""


def is_kept(place: Place) -> bool:
    """Tell whether the view with the mark is the one that it was."""
    if place.is_postgres:
        query = "SELECT col_description('toloka_bi.trainings'::regclass, 7) AS comment"
    else:
        query = """
            SELECT comment FROM duckdb_columns()
            WHERE schema_name = 'toloka_bi' AND table_name = 'trainings' AND column_name = 'is_open'
        """
    return bool(place.one(query) == "kept")


@pytest.mark.slow
def test_views_that_are_up_to_date_are_left_alone(place: Place, clock: Clock) -> None:
    account = place.api.account
    account.create_project()
    place.load()
    place.ask(MARK)
    for _ in range(2):
        clock.advance(hours=1)
        place.load()
        assert is_kept(place)
        account.create_project()
    place.ask("COMMENT ON VIEW toloka_bi.loads IS 'mine'")
    place.load()
    assert not is_kept(place)
    assert "mine" not in view_comments(place).values()


def test_without_views(place: Place) -> None:
    load(place.pipeline, place.source(), views=False)
    query = "SELECT table_name FROM information_schema.tables WHERE 'toloka' IN (left(table_schema, 6), table_catalog)"
    names = {row["table_name"] for row in place.ask(query)}
    assert names >= set(DEFAULT_ENDPOINTS)
    assert names.isdisjoint({"loads", "_toloka_loads"})


def test_another_destination_has_none(api: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "toloka_source")
    pipeline = dlt.pipeline("toloka", destination=dlt.destinations.filesystem("lake"), dataset_name="toloka_data")
    load(pipeline, Place(api, None).source(), views=True)
    said = [record.levelname for record in caplog.records if "toloka_bi" in record.message]
    assert said == ["INFO"]


# what was there before


@pytest.mark.slow
def test_versions_and_changes_of_a_status(place: Place, clock: Clock) -> None:
    account = place.api.account
    account.create_project()
    project = account.create_project(public_name="Cats")["id"]
    training = account.create_training(project, private_name="About cats")["id"]
    hours = []
    for happens in (
        lambda: None,
        lambda: account.start_training(training),
        lambda: account.edit_project(project, private_comment="seen"),
        lambda: (account.archive_project(project), account.close_training(training)),
        lambda: account.remove("projects", project),
    ):
        clock.advance(hours=1)
        hours.append(clock.now())
        happens()
        place.load(history=True, rescan_after_hours=0)
    names = ("status", "private_comment", "valid_from", "valid_after", "valid_to", "is_current")
    versions = [row for row in place.view("project_versions") if row["project_id"] == project]
    versions.sort(key=lambda row: str(row["valid_from"]))
    assert [tuple(row[name] for name in names) for row in versions] == [
        ("ACTIVE", versions[0]["private_comment"], hours[0], None, hours[2], False),
        ("ACTIVE", "seen", hours[2], hours[1], hours[3], False),
        ("ARCHIVED", "seen", hours[3], hours[2], hours[4], False),
    ]
    versions = sorted(place.view("training_versions"), key=lambda row: str(row["valid_from"]))
    assert [(row["status"], row["is_open"], row["is_current"]) for row in versions] == [
        ("CLOSED", False, False),
        ("OPEN", True, False),
        ("CLOSED", False, True),
    ]
    assert {(row["training_name"], row["project_id"]) for row in versions} == {("About cats", project)}
    changes = sorted(place.view("status_changes"), key=lambda row: (row["resource"], str(row["seen_at"])))
    assert [tuple(row.values()) for row in changes] == [
        ("projects", project, "Cats", "ACTIVE", "ARCHIVED", hours[2], hours[3]),
        ("trainings", training, "About cats", "CLOSED", "OPEN", hours[0], hours[1]),
        ("trainings", training, "About cats", "OPEN", "CLOSED", hours[2], hours[3]),
    ]


# what isn't there


def test_tables_that_are_not_there_yet(place: Place) -> None:
    fill(place.api.account)
    load(place.pipeline, place.source().with_resources("projects"), views=True)
    assert len(place.view("projects")) == 60
    assert {row["trainings"] for row in place.view("projects")} == {0}
    assert place.view("trainings") == []
    assert {row["finding"] for row in place.view("setup_health")} == {"no quality control"}
    assert [(row["resource"], row["loaded_rows"]) for row in place.view("loads")] == [("projects", 60)]
    place.load()
    assert_views_show_the_account(place)


@pytest.mark.slow
def test_a_table_of_an_older_version(place: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place.api.account)
    with monkeypatch.context() as patch:
        patch.setattr(resource_run, "with_load_id", lambda table: table)
        place.load()
    assert {row["loaded_at"] for row in place.view("projects")} == {None}
    clock.advance(hours=1)
    new = place.api.account.create_project()
    place.load()
    assert {row["project_id"] for row in place.view("projects") if row["loaded_at"]} == {new["id"]}


@pytest.mark.slow
def test_a_column_that_is_not_there(place: Place) -> None:
    place.api.account.create_project(private_comment="text")
    place.load()
    place.ask("ALTER TABLE toloka_data.projects DROP COLUMN private_comment CASCADE")
    place.load()
    (row,) = place.view("projects")
    assert (row["project_id"], row["private_comment"]) == ("1", None)


DAMAGES = [
    "DROP TABLE toloka_data.trainings CASCADE",
    "DROP TABLE toloka_data._toloka_loads CASCADE",
    "DROP TABLE toloka_data._dlt_loads CASCADE",
    "DROP SCHEMA toloka_data CASCADE",
    "DROP SCHEMA toloka_bi CASCADE",
    "DROP VIEW toloka_bi.loads",
    "DROP VIEW toloka_bi.projects; CREATE VIEW toloka_bi.projects AS SELECT 1 AS other",
]


@pytest.mark.parametrize(("damage", "attach"), each_once(DAMAGES, ENGINES), indirect=["attach"])
@pytest.mark.slow
def test_what_is_gone_comes_back(place: Place, damage: str) -> None:
    fill(place.api.account)
    place.load()
    place.ask(*damage.split("; "))
    place.load(rescan_after_hours=0)
    # rows that are there aren't written again, and it was _dlt_loads that knew when they were
    assert_views_show_the_account(place, has_times="_dlt_loads" not in damage)
    newest = max(place.view("loads"), key=lambda row: (row["loaded_at"], row["resource"] == "projects"))
    assert newest["loaded_rows"] + newest["unchanged_rows"] == 60


# where they get in the way, or can't be made


@pytest.mark.parametrize(
    ("refresh", "views", "attach"),
    each_once(["drop_sources", "drop_resources", "drop_data"], [True, False], ENGINES),
    indirect=["attach"],
)
@pytest.mark.slow
def test_views_do_not_stop_a_refresh(place: Place, refresh: Any, *, views: bool) -> None:
    fill(place.api.account)
    place.load()
    place.ask("CREATE VIEW toloka_data.mine AS SELECT count(*) AS n FROM toloka_bi.projects")
    for _ in range(2):
        place.api.account.create_project()
        load(place.pipeline, place.source(), refresh=refresh, views=views)
        assert_views_show_the_account(place)
    assert place.one("SELECT n FROM toloka_data.mine") == 62


@pytest.mark.slow
def test_views_are_there_while_tables_are_dropped(postgres_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place = postgres_place
    fill(place.api.account)
    place.load()
    seen = []
    with monkeypatch.context() as patch:
        for step in ("extract", "normalize", "load"):
            do = getattr(dlt.Pipeline, step)

            def watched(*arguments: Any, do: Callable[..., Any] = do, **keywords: Any) -> Any:
                seen.append([len(place.view(name)) for name in ("projects", "trainings")])
                return do(*arguments, **keywords)

            patch.setattr(dlt.Pipeline, step, watched)
        load(place.pipeline, place.source(), refresh="drop_sources", views=True)
    assert seen == [[60, 80], [60, 80], [0, 0]]
    assert_views_show_the_account(place)


@pytest.mark.slow
def test_a_refresh_that_fails_leaves_the_views(postgres_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place = postgres_place
    fill(place.api.account)
    place.load()
    place.api.fail(Fault.status(403), on="trainings")
    with pytest.raises(errors.PermissionDeniedError):
        load(place.pipeline, place.source(), refresh="drop_sources", views=True)
    assert_views_show_the_account(place)
    place.api.clear_faults()

    def stop(*_arguments: object, **_keywords: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dlt.Pipeline, "load", stop)
        with pytest.raises(KeyboardInterrupt):
            load(place.pipeline, place.source(), refresh="drop_sources", views=True)
    assert_views_show_the_account(place)
    # the package that is left drops the tables
    place.load()
    assert_views_show_the_account(place)


@pytest.mark.slow
def test_views_that_a_killed_refresh_left_empty(place: Place) -> None:
    fill(place.api.account)
    place.load()
    with views._database(place.pipeline, view_sql.DATASET) as database:  # noqa: SLF001 - dlt has done nothing else by then
        database.empty()
    assert [len(place.view(name)) for name in VIEWS] == [0] * len(VIEWS)
    place.load()
    assert_views_show_the_account(place)


@pytest.mark.slow
def test_views_of_another_dataset_are_taken_over(attach: Attach, caplog: pytest.LogCaptureFixture) -> None:
    place = attach()
    fill(place.api.account)
    place.load()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []
    place.api.account.create_project()
    # dlt itself connects to no schema of PostgreSQL that has more than letters in its name
    name = "OtherData" if place.is_postgres else "Other 'data' --"
    other = attach(name, enable_dataset_name_normalization=False)
    other.load()
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    start = "the views in toloka_bi were of the dataset toloka_data, and are now of "
    assert said == [f"{start}{name.lower() if place.is_postgres else name}: load one of the two with views=False"]
    assert len(place.view("projects")) == 61
    assert len(place.view("loads")) == 2
    other.load()
    load(attach().pipeline, place.source(), refresh="drop_sources", views=False)
    assert len(place.view("projects")) == 61
    assert len(caplog.records) == len(said)


def test_a_dataset_of_the_same_name(attach: Attach, caplog: pytest.LogCaptureFixture) -> None:
    place = attach("toloka_bi")
    place.api.account.create_project()
    for _ in range(2):
        place.load()
        (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert said.startswith("the views in toloka_bi stay as they are: ")
        assert "\n" not in said
        caplog.clear()
    assert place.one("SELECT count(*) FROM toloka_bi.projects") == 1


@pytest.mark.slow
def test_a_table_of_loads_that_cannot_be_written(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    fill(place.api.account)
    place.load()
    place.ask("DROP TABLE toloka_data._toloka_loads CASCADE", "CREATE TABLE toloka_data._toloka_loads (seconds bigint)")
    report = place.load(rescan_after_hours=0)
    assert [resource.unchanged for resource in report.resources] == [60, 80]
    (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith("this load has no row in _toloka_loads: ")
    assert_views_show_the_account(place)


@pytest.fixture
def guest(postgres_database: str) -> Iterator[str]:
    """Return the URL of the same database for a role that may do nothing yet."""
    parts = urlsplit(postgres_database)
    name = f"guest_{parts.path[1:]}"
    with closing(psycopg2.connect(postgres_database)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'guest'")
            yield parts._replace(netloc=f"{name}:guest@{parts.hostname}:{parts.port}").geturl()
            cursor.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def test_a_role_that_may_make_no_schema(
    api: Emulator, postgres_place: Place, guest: str, caplog: pytest.LogCaptureFixture
) -> None:
    role = urlsplit(guest).username
    for name in ("toloka_data", "toloka_data_staging"):
        postgres_place.ask(f"CREATE SCHEMA {name} AUTHORIZATION {role}")
    place = Place(api, guest)
    fill(api.account)
    report = place.load()
    assert [resource.rows for resource in report.resources] == [60, 80]
    (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith("the views in toloka_bi stay as they are: permission denied for database")
    assert place.one("SELECT count(*) FROM toloka_data._toloka_loads") == 2

    postgres_place.ask(f"CREATE SCHEMA toloka_bi; GRANT CREATE, USAGE ON SCHEMA toloka_bi TO {role}")
    place.load()
    assert_views_show_the_account(place)


@pytest.mark.slow
def test_readers_need_no_right_but_that_to_the_views(api: Emulator, postgres_place: Place, guest: str) -> None:
    fill(api.account)
    api.account.create_project(sensitive="maybe")
    postgres_place.load()
    role = urlsplit(guest).username
    postgres_place.ask(
        f"GRANT USAGE ON SCHEMA toloka_bi TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA toloka_bi TO {role}"
    )
    reader = Place(api, guest)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        reader.ask("SELECT * FROM toloka_data.projects")
    for refresh in (None, "drop_sources"):
        load(postgres_place.pipeline, postgres_place.source(history=True), refresh=refresh, views=True)
        # no status has changed
        assert {name for name in VIEWS if not reader.view(name)} == {"status_changes"}


def test_several_that_make_the_views_at_once(
    postgres_place: Place, postgres_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(postgres_place.api.account)
    report = postgres_place.load()

    def publish(number: int) -> None:
        pipeline = dlt.pipeline(
            f"toloka_{number}", destination=dlt.destinations.postgres(postgres_database), dataset_name="toloka_data"
        )
        views.publish(pipeline, report.resources, 0.0)

    for damage in ("DROP SCHEMA toloka_bi CASCADE", "DROP TABLE toloka_data._toloka_loads CASCADE") * amount(1, 3, 3):
        postgres_place.ask(damage)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(publish, range(8)))
        assert_views_show_the_account(postgres_place)
    assert postgres_place.one("SELECT count(*) FROM toloka_bi.loads") == 16
    assert [record.message for record in caplog.records if record.name.startswith("toloka_source")] == []


@pytest.mark.slow
def test_a_reader_that_takes_long_is_left_alone(postgres_place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place = postgres_place
    fill(place.api.account)
    place.load()
    place.ask("COMMENT ON VIEW toloka_bi.projects IS NULL")
    with closing(psycopg2.connect(place.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM toloka_bi.projects")
        place.load()
        (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert "lock timeout" in said
        cursor.execute("SELECT count(*) FROM toloka_bi.projects")
        assert cursor.fetchone() == (60,)
    place.load()
    assert_views_show_the_account(place)
    assert "Made by" in view_comments(place)["projects"]
