"""A lake: its views, those who read it beside loads, and two loads at once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import dlt
import duckdb
import pytest

from tests.conftest import assert_tables_equal_account, fill, happen
from tests.destinations.conftest import BUILD
from tests.destinations.stores import Store
from toloka_source.destinations.ducklake import make_catalog
from toloka_source.emulator import Emulator

LOADS = 3

COMES_AND_GOES = """
import duckdb, json, select, sys

seen, failed, is_last = [], [], False
print("ready", flush=True)
while not is_last:
    is_last = bool(select.select([sys.stdin], [], [], 0.05)[0])
    try:
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute(sys.argv[1])
            seen.append(connection.execute("SELECT count(*) FROM lake.toloka_data.projects").fetchone()[0])
    except duckdb.Error as error:
        failed.append(str(error))
print(json.dumps([seen, failed]))
"""
"""Attaches the lake every 50 ms, then says what it saw and what failed."""

ATTACH = "ATTACH 'ducklake:catalog.sqlite' AS lake (READ_ONLY, META_TYPE 'sqlite', META_JOURNAL_MODE 'WAL')"


@pytest.fixture(params=["ducklake", "ducklake-postgres"])
def lake(request: pytest.FixtureRequest, api: Emulator) -> Store:
    """Return a pipeline into a new lake."""
    return BUILD[request.param](request, api)


@contextmanager
def reading() -> Iterator[list[Any]]:
    """Let another process read beside the test; what it says at the end is in the list then."""
    answer: list[Any] = []
    command = [sys.executable, "-c", COMES_AND_GOES, ATTACH]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield answer
        out, _ = process.communicate("end\n")
        answer += json.loads(out)


def test_readers_beside_loads(request: pytest.FixtureRequest, api: Emulator) -> None:
    store = BUILD["ducklake"](request, api)
    fill(api.account, projects=30, trainings=20)
    store.load()
    states = [30]
    with ExitStack() as readers:
        answers = [readers.enter_context(reading()) for _ in range(2)]
        for _ in range(LOADS):
            happen(api.account)
            store.load()
            states.append(len(api.account.projects))
    for seen, failed in answers:
        assert failed == []
        assert seen == sorted(seen)
        assert set(seen) <= {*states}
        assert seen[-1] == states[-1]
    assert_tables_equal_account(store)


def test_views(lake: Store) -> None:
    fill(lake.api.account, projects=30, trainings=20)
    lake.views = True
    for _ in range(2):
        lake.load()
        happen(lake.api.account)
    with lake.pipeline.sql_client() as client:
        found = client.execute_sql("SELECT count(*), count(created_at) FROM toloka_bi.projects")
        loads = client.execute_sql("SELECT count(*) FROM toloka_bi.loads")
    assert found == [(31, 31)]
    assert loads == [(4,)]


def test_many_make_a_lake_at_once(request: pytest.FixtureRequest, api: Emulator, lake: Store) -> None:
    kind = request.node.callspec.params["lake"]
    pipelines = [BUILD[kind](request, api).pipeline for _ in range(5)]
    at_once = Barrier(len(pipelines))

    def make(pipeline: dlt.Pipeline) -> None:
        at_once.wait()
        make_catalog(pipeline)

    with ThreadPoolExecutor(len(pipelines)) as pool:
        list(pool.map(make, pipelines))
    with lake.pipeline.sql_client() as client:
        assert client.execute_sql("SELECT 1") == [(1,)]


def test_two_loads_at_once(api: Emulator, extensions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(api.account, projects=30, trainings=20)
    monkeypatch.setenv("HOME", str(extensions))
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "secret")
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
    command = [sys.executable, "-m", "toloka_source", "load", "--destination", "ducklake", "--dataset"]
    names = ["one", "two", "three"]
    loads = [
        subprocess.Popen([*command, name], env={**os.environ, "DLT_DATA_DIR": name}, stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    for process in loads:
        _, err = process.communicate()
        assert process.returncode == 0, err
    with duckdb.connect() as connection:
        connection.execute(ATTACH.replace("catalog.sqlite", "ducklake.sqlite"))
        for name in names:
            assert connection.execute(f"SELECT count(*) FROM lake.{name}.projects").fetchall() == [(30,)]  # noqa: S608
