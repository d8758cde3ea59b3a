"""The regular assets: what a run loads, shows, checks, and how it fails."""

import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import pytest

from tests.conftest import assert_tables_equal_account
from tests.dagster.conftest import TOKEN, Engine, failure, materialized
from toloka_source import ENDPOINTS, load
from toloka_source.catalog import DEFAULT_ENDPOINTS
from toloka_source.emulator import Account, Clock, Emulator, Fault

pytest_plugins = ["tests.postgres"]

CHECKS = {(table, name) for table in DEFAULT_ENDPOINTS for name in ("ids", "rejected_items")}


def fill(account: Account) -> None:
    """Put some objects in, all of them older than an hour."""
    for _ in range(5):
        project = account.create_project()
        account.create_training(project["id"])
    account.clock.advance(hours=1)


def passed_checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], bool]:
    """Return how each check of a run ended."""
    evaluations = result.get_asset_check_evaluations()
    return {(one.asset_key.path[-1], one.check_name): one.passed for one in evaluations}


def test_a_second_run_in_the_same_process_brings_only_the_changes(engine: Engine) -> None:
    account = engine.api.account
    fill(account)
    first = engine.run()
    assert first.success
    assert_tables_equal_account(engine.warehouse)
    assert [materialized(first, name)[0]["rows"] for name in DEFAULT_ENDPOINTS] == [5, 5]
    assert materialized(first, "projects")[0]["window_start"] == "everything"

    account.clock.advance(hours=1)
    account.create_project()
    account.start_training("2")
    account.start_training("3")
    account.clock.advance(timedelta(minutes=5))
    second = engine.run()
    assert second.success
    assert_tables_equal_account(engine.warehouse)
    assert [materialized(second, name)[0]["rows"] for name in DEFAULT_ENDPOINTS] == [1, 2]
    of_trainings = materialized(second, "trainings")[0]
    assert of_trainings["window_end"] == account.clock.now().timestamp()
    counts = ("kind", "new", "changed", "unchanged", "gone")
    assert [of_trainings[name] for name in counts] == ["re-scan", 0, 2, 3, 0]
    account.clock.advance(seconds=1)
    third = materialized(engine.run(), "trainings")[0]
    assert (third["kind"], third["rows"]) == ("increment", 0)
    assert third["window_start"] == (account.clock.now() - timedelta(seconds=61)).timestamp()
    assert passed_checks(first) == passed_checks(second) == dict.fromkeys(CHECKS, True)


def test_an_empty_window_is_a_success_with_no_rows(engine: Engine) -> None:
    fill(engine.api.account)
    engine.run()
    engine.api.account.clock.advance(hours=1)
    result = engine.run()
    assert result.success
    assert [materialized(result, name)[0]["rows"] for name in DEFAULT_ENDPOINTS] == [0, 0]


def test_an_empty_account_is_a_success_with_empty_tables(engine: Engine) -> None:
    result = engine.run()
    assert result.success
    assert passed_checks(result) == dict.fromkeys(CHECKS, True)
    assert engine.warehouse.count("projects") == engine.warehouse.count("trainings") == 0


def test_a_selected_table_is_loaded_and_checked_alone(engine: Engine) -> None:
    fill(engine.api.account)
    result = engine.run("trainings")
    assert result.success
    assert {request.resource for request in engine.api.requests} == {"trainings"}
    assert materialized(result, "projects") == []
    assert materialized(result, "trainings")[0]["rows"] == 5
    assert passed_checks(result) == {("trainings", "ids"): True, ("trainings", "rejected_items"): True}


def test_a_materialization_shows_the_columns_and_their_descriptions(engine: Engine) -> None:
    fill(engine.api.account)
    columns = materialized(engine.run(), "projects")[0]["dagster/column_schema"].columns
    assert [column.name for column in columns if not column.name.startswith("_")] == ENDPOINTS["projects"].schema.names
    kinds = {column.name: column.type for column in columns}
    assert (kinds["id"], kinds["task_spec"], kinds["created"]) == ("text", "json", "timestamp")
    assert columns[0].description == "the project's id, a decimal number"
    assert columns[0].constraints == dg.TableColumnConstraints(nullable=False, unique=True)
    assert columns[1].constraints == dg.TableColumnConstraints(nullable=True, unique=False)


def test_duplicates_fail_the_check_of_ids(engine: Engine) -> None:
    fill(engine.api.account)
    engine.run()
    engine.sql("INSERT INTO projects SELECT * FROM projects WHERE id IN ('2', '3')")
    result = engine.run()
    assert passed_checks(result) == dict.fromkeys(CHECKS, True) | {("projects", "ids"): False}
    assert check_metadata(result, "projects", "ids") == {"rows": 7, "without_id": 0, "duplicates": 2}


def test_a_missing_id_fails_the_check_of_ids(engine: Engine) -> None:
    fill(engine.api.account)
    engine.run()
    engine.sql("ALTER TABLE trainings ALTER COLUMN id DROP NOT NULL")
    engine.sql("UPDATE trainings SET id = NULL WHERE id = '4'")
    result = engine.run()
    assert passed_checks(result) == dict.fromkeys(CHECKS, True) | {("trainings", "ids"): False}
    assert check_metadata(result, "trainings", "ids") == {"rows": 5, "without_id": 1, "duplicates": 0}


def test_an_object_that_does_not_fit_fails_the_check_of_rejected_items(engine: Engine) -> None:
    fill(engine.api.account)
    engine.api.account.edit_training("3", last_started="soon", mix_tasks_in_creation_order="perhaps")
    result = engine.run()
    assert result.success
    assert passed_checks(result) == dict.fromkeys(CHECKS, True) | {("trainings", "rejected_items"): False}
    assert check_metadata(result, "trainings", "rejected_items") == {"rejected": 1}
    assert materialized(result, "trainings")[0]["rejected"] == 1


def check_metadata(result: dg.ExecuteInProcessResult, table: str, name: str) -> dict[str, Any]:
    """Return what a check found."""
    (evaluation,) = [
        one for one in result.get_asset_check_evaluations() if (one.asset_key.path[-1], one.check_name) == (table, name)
    ]
    return {key: value.value for key, value in evaluation.metadata.items()}


@pytest.fixture
def impatient(duckdb_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Try a request once, and a run again at once."""
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    retries = dg.RetryPolicy(max_retries=3, delay=0.01, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
    monkeypatch.setattr(duckdb_engine.module, "RETRIES", retries)
    return duckdb_engine


def retries(result: dg.ExecuteInProcessResult) -> int:
    """Return how often Dagster tried a step again."""
    return sum(event.event_type_value == "STEP_RESTARTED" for event in result.all_events)


def test_a_load_that_fails_for_now_is_tried_again(impatient: Engine) -> None:
    fill(impatient.api.account)
    impatient.api.fail(Fault.status(503), on="projects", times=2)
    result = impatient.run()
    assert result.success
    assert retries(result) == 2
    assert_tables_equal_account(impatient.warehouse)


@pytest.mark.parametrize(
    ("fault", "tries_again", "reason"),
    [
        (Fault.status(503), 3, "ServerError: "),
        (Fault.status(401), 0, "AuthenticationError: "),
        (Fault.status(403), 0, "PermissionDeniedError: "),
        (Fault.status(429, {"interval": "DAY"}), 0, "QuotaError: "),
        (Fault.status(400), 0, "RequestError: "),
        (Fault.body(b"[]"), 0, "ProtocolError: "),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_failed_load_is_a_failed_run_with_its_reason_in_one_line(
    impatient: Engine, fault: Fault, tries_again: int, reason: str
) -> None:
    impatient.api.fail(fault, times=None)
    result = impatient.run()
    assert not result.success
    assert retries(result) == tries_again
    said = failure(result)
    assert said
    assert said.startswith(reason)
    assert "\n" not in said
    assert not materialized(result, "projects")
    assert not passed_checks(result)


def test_a_destination_that_is_down_is_tried_again(
    configured: Emulator, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLOKA_DESTINATION", "postgres")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # keeps the port, and doesn't listen
        url = f"postgresql://me:pass-word@127.0.0.1:{nobody.getsockname()[1]}/nowhere"
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
        engine = Engine(configured, instance)
        monkeypatch.setattr(engine.module, "RETRIES", dg.RetryPolicy(max_retries=2, delay=0.01))
        result = engine.run()
    assert retries(result) == 2
    said = failure(result) or ""
    assert "Connection refused" in said
    assert "pass-word" not in said


@pytest.mark.parametrize(
    ("destination", "said"),
    [("postgres", "DESTINATION__POSTGRES__CREDENTIALS"), ("warehouse", "UnknownDestinationModule: ")],
)
def test_a_destination_that_cannot_work_is_not_tried_again(
    destination: str,
    said: str,
    configured: Emulator,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOLOKA_DESTINATION", destination)
    result = Engine(configured, instance).run()
    assert retries(result) == 0
    assert said in (failure(result) or "")


@pytest.mark.parametrize(
    "credentials", ["mysql://me:pass-word@localhost/db", "postgresql://me:pass-word@h@localhost/db"]
)
def test_credentials_that_cannot_be_read_are_in_no_event(
    credentials: str, configured: Emulator, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLOKA_DESTINATION", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", credentials)
    result = Engine(configured, instance).run()
    assert retries(result) == 0
    assert "destination.postgres.credentials = '***'" in (failure(result) or "")
    run = instance.get_run_by_id(result.run_id)
    said = [dg.serialize_value(run), *map(dg.serialize_value, instance.all_logs(result.run_id))]
    assert not [text for text in said if "pass-word" in text]


def test_a_file_that_another_process_holds_is_tried_again(impatient: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impatient.module, "load", partial(load, lock_timeout=0.1))
    fill(impatient.api.account)
    hold = "import duckdb; connection = duckdb.connect('toloka.duckdb'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        locked = impatient.run()
        holder.communicate(b"\n")
    assert retries(locked) == 3
    assert (failure(locked) or "").startswith("DestinationLockedError: end the other process")
    assert impatient.run().success


def test_a_run_without_a_token_says_which_variable_is_missing(
    duckdb_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCES__TOLOKA__TOKEN")
    with pytest.raises(dg.DagsterInvalidConfigError, match="SOURCES__TOLOKA__TOKEN"):
        duckdb_engine.run()
    assert duckdb_engine.api.requests == []


@pytest.mark.parametrize("tokens", [[TOKEN], []], ids=["known", "unknown"])
def test_the_token_is_neither_in_events_nor_in_the_run_nor_in_the_output(
    duckdb_engine: Engine, tokens: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    engine = duckdb_engine
    with Emulator(Account(Clock(datetime.now(UTC))), tokens=tokens) as api:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
            result = engine.run()
        assert result.success is bool(tokens)
        assert [request for request in api.requests if request.headers["authorization"] == f"OAuth {TOKEN}"]
    run = engine.instance.get_run_by_id(result.run_id)
    events = engine.instance.all_logs(result.run_id)
    said = [dg.serialize_value(run), *map(dg.serialize_value, events), *capfd.readouterr()]
    assert any("trainings" in text for text in said)
    assert not [text for text in said if TOKEN in text]
