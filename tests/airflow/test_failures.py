"""What a bad connection, a server that is down and a lock do to a DAG, and what its log says."""

import json
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from airflow.sdk import DAG
from airflow.sdk.log import mask_logs
from filelock import FileLock

import toloka_source
from tests.airflow.conftest import HOME, TOKEN
from tests.airflow.running import Connect, attempts, report, run, states
from tests.conftest import held
from toloka_source.emulator import Emulator, Fault


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        ({"password": None}, "connection toloka: password = None: put the token of Toloka there"),
        ({"password": "not a token at all\n"}, "not a token"),
        ({"destinaton": "postgres"}, "connection toloka: extra.destinaton"),
        ({"destination": "postgress"}, "postgress"),
        ({"destination": "postgres"}, "credentials"),
        ({"environment": "staging"}, "environment = 'staging': unknown"),
        ({"host": "http://toloka.example"}, "use https://"),
        ({"max_concurrency": 0}, "max_concurrency = 0"),
    ],
)
def test_a_connection_that_cannot_work_fails_once(
    dags: Mapping[str, DAG], api: Emulator, connect: Connect, capfd: Any, connection: dict[str, Any], reason: str
) -> None:
    connect(**connection)
    ended = run(dags["toloka"])
    assert states(ended) == {"load": "failed", "new_projects": "upstream_failed", "new_trainings": "upstream_failed"}
    assert attempts(ended) == 1
    assert reason in capfd.readouterr().out
    assert api.requests == []


def test_no_connection_at_all_fails_once(dags: Mapping[str, DAG], capfd: pytest.CaptureFixture[str]) -> None:
    ended = run(dags["toloka"])
    assert (states(ended)["load"], attempts(ended)) == ("failed", 1)
    assert "airflow connections add toloka" in capfd.readouterr().out


def test_extra_that_is_no_json_fails_once(
    dags: Mapping[str, DAG], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TOLOKA", json.dumps({"conn_type": "generic", "password": TOKEN, "extra": "{no"}))
    ended = run(dags["toloka"])
    assert (states(ended)["load"], attempts(ended)) == ("failed", 1)
    assert "extra = '***': must be an object in JSON" in capfd.readouterr().out


def test_a_token_that_is_refused_fails_once(
    dags: Mapping[str, DAG], connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    with Emulator(tokens=["another-token"]) as api:
        connect(host=api.base_url)
        ended = run(dags["toloka"])
    assert (states(ended)["load"], attempts(ended)) == ("failed", 1)
    assert {request.status for request in api.requests} == {401}
    said = capfd.readouterr().out
    assert "AirflowFailException: the API doesn't know the token" in said
    assert TOKEN not in said


@pytest.mark.parametrize(("name", "task"), [("toloka", "load"), ("toloka_backfill", "first_window")])
def test_a_list_that_may_not_be_read_fails_once(
    dags: Mapping[str, DAG], api: Emulator, connect: Connect, capfd: pytest.CaptureFixture[str], name: str, task: str
) -> None:
    connect()
    api.account.create_project()
    api.fail(Fault.status(403), on="trainings", times=None)
    window = {"start": "2026-03-01", "end": "2026-04-01"} if name == "toloka_backfill" else {}
    ended = run(dags[name], **window)
    assert (states(ended)[task], attempts(ended, task)) == ("failed", 1)
    assert "trainings: the token may not read it, the other lists were loaded" in capfd.readouterr().out


def test_what_passes_is_tried_again(
    dags: Mapping[str, DAG], api: Emulator, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    connect()
    api.account.create_project()
    api.fail(Fault.status(503, retry_after=400), on="projects")  # more than a run waits for
    ended = run(dags["toloka"])
    assert (states(ended)["load"], attempts(ended)) == ("success", 2)
    assert "503" in capfd.readouterr().out
    assert report(ended)["projects"]["rows"] == 1


def test_a_file_that_is_locked_is_tried_again(
    dags: Mapping[str, DAG], connect: Connect, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toloka_source, "load", partial(toloka_source.load, lock_timeout=0.1))
    connect(credentials=str(own_folder / "warehouse.duckdb"))
    with held(own_folder / "warehouse.duckdb"):
        ended = run(dags["toloka"])
    assert (states(ended)["load"], attempts(ended)) == ("failed", 5)


def test_a_run_that_airflow_has_lost_keeps_a_retry_off(
    dags: Mapping[str, DAG], api: Emulator, connect: Connect, own_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    connect()
    folder = own_folder / "dlt" / "pipelines"
    folder.mkdir(parents=True)
    with FileLock(folder / "toloka.lock"):
        ended = run(dags["toloka"])
    assert (states(ended)["load"], attempts(ended)) == ("failed", 5)
    assert "another process runs the pipeline 'toloka'" in capfd.readouterr().out
    assert api.requests == []


@pytest.mark.parametrize("form", ["json", "json in parts", "uri", "uri of a generic one"])
def test_the_address_is_understood_in_each_form(
    dags: Mapping[str, DAG], api: Emulator, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    url = urlsplit(api.base_url)
    parts = {"host": url.hostname, "port": url.port, "schema": url.path.removeprefix("/")}
    forms = {
        "json": json.dumps({"conn_type": "generic", "password": TOKEN, "host": api.base_url}),
        "json in parts": json.dumps({"conn_type": "http", "password": TOKEN, **parts}),
        "uri": f"http://:{TOKEN}@{url.netloc}{url.path}?environment=sandbox",
        "uri of a generic one": f"generic://:{TOKEN}@{quote(api.base_url, safe='')}",
    }
    monkeypatch.setenv("AIRFLOW_CONN_TOLOKA", forms[form])
    assert run(dags["toloka"]).state == "success"
    assert {request.headers["authorization"] for request in api.requests} == {f"OAuth {TOKEN}"}


def test_lines_of_dlt_reach_the_log_at_their_level(
    dags: Mapping[str, DAG], api: Emulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connect()
    api.account.add("projects", {"id": "7", "created": "never"})
    assert run(dags["toloka"]).state == "success"
    logging.getLogger("dlt").warning("a line of dlt's")
    warnings = {record.name: record.getMessage() for record in caplog.records if record.levelname == "WARNING"}
    assert warnings["dlt"] == "a line of dlt's"
    assert "1 objects don't fit" in warnings["toloka_source.tables.resource_run"]


def test_no_secret_shows(
    dags: Mapping[str, DAG], api: Emulator, connect: Connect, postgres_database: str, capfd: Any
) -> None:
    password = urlsplit(postgres_database).password
    assert password
    connect(destination="postgres", credentials=postgres_database)
    api.account.create_project()
    ended = run(dags["toloka"])
    assert mask_logs(None, "info", {"event": f"said {password}"}) == {"event": "said ***"}
    connect(destination="postgres", credentials=postgres_database.replace("/test_", "/no_"))
    assert run(dags["toloka"]).state == "failed"
    said = capfd.readouterr()
    assert "does not exist" in said.out
    kept = (HOME / "airflow.db").read_bytes() + json.dumps(report(ended)).encode()
    for secret in (password, TOKEN):
        assert secret not in said.out + said.err
        assert secret.encode() not in kept
