"""Loads into a DuckDB file that other processes read: no reader waits or fails, and nothing is lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from tests.amounts import amount
from tests.conftest import Warehouse, assert_tables_equal_account, fill, happen, held
from toloka_source import errors, load, toloka
from toloka_source.emulator import Emulator
from toloka_source.loading.beside_readers import BesideReaders
from toloka_source.loading.lock import locked

FILE = Path("toloka.duckdb")
LOADS = amount(quick=3, full=5, long=100)
HEADER = 3 * 4096
"""How many bytes DuckDB's own header and those of its two latest states take."""

READ = """
import duckdb, json, select, sys

def read(connection):
    projects = "(SELECT count(*) FROM toloka_data.projects)"
    return connection.execute(f"SELECT {projects}, count(*) FROM toloka_bi.trainings").fetchone()

def goes_on():
    return not select.select([sys.stdin], [], [], 0.01)[0]

"""

STAYS = """
with duckdb.connect("toloka.duckdb", read_only=True) as connection:
    seen = {read(connection)}
    print("ready", flush=True)
    while goes_on():
        seen.add(read(connection))
print(json.dumps(list(seen)))
"""
"""Reads by one connection until it is told to end, then says what it saw."""

COMES_AND_GOES = """
seen, failed, is_last = [], [], False
print("ready", flush=True)
while not is_last:
    is_last = not goes_on()
    try:
        with duckdb.connect("toloka.duckdb", read_only=True) as connection:
            seen.append(read(connection))
    except duckdb.Error as error:
        failed.append(str(error))
print(json.dumps([seen, failed]))
"""
"""Opens the file every 10 ms, then says what it saw and what failed."""


@contextmanager
def running(code: str) -> Iterator[list[Any]]:
    """Run Python beside the test; what it says at the end is in the list then."""
    answer: list[Any] = []
    with subprocess.Popen(
        [sys.executable, "-c", READ + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield answer
        out, _ = process.communicate("end\n")
        answer.append(json.loads(out))


def other_program(statement: str, end: str = "") -> None:
    """Let another process write into the file."""
    code = f"import duckdb, os; connection = duckdb.connect({str(FILE)!r}); connection.execute({statement!r}); {end}"
    subprocess.run([sys.executable, "-c", code], check=end != KILL)


KILL = "os.kill(os.getpid(), 9)"


def asked(query: str, file: Path = FILE) -> Any:
    """Return the only value of a query."""
    with duckdb.connect(file, read_only=True) as connection:
        found = connection.execute(query).fetchone()
    assert found
    return found[0]


def left() -> set[str]:
    """Return what is in the folder."""
    return {path.name for path in Path().iterdir()}


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """Return a pipeline that was run once, with views."""
    fill(warehouse.api.account, projects=30, trainings=20)
    warehouse.views = True
    warehouse.load()
    return warehouse


@pytest.mark.slow
def test_readers_that_stay_and_readers_that_come_and_go(filled: Warehouse) -> None:
    other_program("CREATE TABLE others AS SELECT 42 AS answer")
    account = filled.api.account
    states = [[len(account.projects), len(account.trainings)]]
    with ExitStack() as readers:
        stays = readers.enter_context(running(STAYS))
        comers = [readers.enter_context(running(COMES_AND_GOES)) for _ in range(2)]
        for _ in range(LOADS):
            happen(account)
            filled.load()
            states.append([len(account.projects), len(account.trainings)])
    assert stays[0] == states[:1]
    for ((seen, failed),) in comers:
        assert failed == []
        assert seen == sorted(seen)
        assert all(state in states for state in seen)
        assert seen[-1] == states[-1]
    assert_tables_equal_account(filled)
    assert asked("SELECT answer FROM others") == 42
    assert left() == {"toloka.duckdb", "dlt"}


def test_a_file_that_is_replaced_while_it_is_opened(filled: Warehouse) -> None:
    """DuckDB reads the header of a file, closes it, and opens it once more for the rest: that can be the new one."""
    query = "SELECT list(p ORDER BY id) FROM toloka_data.projects p"
    for _ in range(amount(quick=3, full=8, long=50)):
        before, header = asked(query), FILE.read_bytes()[:HEADER]
        happen(filled.api.account)
        filled.load()
        mixed = Path("mixed.duckdb")
        mixed.write_bytes(header + FILE.read_bytes()[HEADER:])
        assert asked(query, mixed) == before
        assert asked(query) != before


def test_a_load_that_brings_nothing_leaves_the_file_alone(filled: Warehouse) -> None:
    filled.views = False
    filled.load()
    before = FILE.stat()
    with held(FILE, read_only=True):
        filled.load()
    after = FILE.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("how", ["is told to", "has it open"])
def test_a_load_into_the_file_itself(filled: Warehouse, how: str) -> None:
    before = FILE.stat().st_ino
    happen(filled.api.account)
    with ExitStack() as stack:
        if how == "has it open":
            stack.enter_context(duckdb.connect(FILE))
        load(filled.pipeline, filled.source(), publish=how == "has it open", lock_timeout=0)
    assert FILE.stat().st_ino == before
    assert_tables_equal_account(filled)


def test_a_process_that_reads_the_file_itself(filled: Warehouse) -> None:
    happen(filled.api.account)
    with (
        duckdb.connect(FILE, read_only=True),
        pytest.raises(errors.DestinationLockedError, match="this process has the DuckDB file open"),
    ):
        filled.load()
    filled.load()
    assert_tables_equal_account(filled)


def test_a_load_that_is_told_not_to_copy_waits_for_readers(filled: Warehouse) -> None:
    with held(FILE, read_only=True) as reader, pytest.raises(errors.DestinationLockedError, match=f"PID {reader}"):
        load(filled.pipeline, filled.source(), publish=False, lock_timeout=0.2)


def test_another_load_into_the_same_file_is_waited_for(filled: Warehouse) -> None:
    happen(filled.api.account)
    with (
        locked(FILE.resolve()),
        pytest.raises(errors.DestinationLockedError, match=r"loads into .*: wait until it ends"),
    ):
        load(filled.pipeline, filled.source(), lock_timeout=0.2)
    filled.load()
    assert_tables_equal_account(filled)


def test_a_file_that_another_process_is_making_is_waited_for(warehouse: Warehouse) -> None:
    fill(warehouse.api.account, projects=30, trainings=20)
    with ThreadPoolExecutor() as pool:
        with locked(FILE):
            with pytest.raises(errors.DestinationLockedError, match="another process still loads into"):
                load(warehouse.pipeline, warehouse.source(), lock_timeout=0.2)
            loaded = pool.submit(load, warehouse.pipeline, warehouse.source())
            wait([loaded], timeout=2)
            assert not loaded.done()
            duckdb.connect(FILE).close()
        loaded.result()
    assert_tables_equal_account(warehouse)
    assert left() == {"toloka.duckdb", "dlt"}


@pytest.mark.slow
def test_two_pipelines_load_into_the_same_file(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(api.account, projects=30, trainings=20)
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "secret")
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
    names = ["one", "two"]
    command = [sys.executable, "-m", "toloka_source", "load", "--dataset"]
    loads = [
        subprocess.Popen([*command, name], env={**os.environ, "DLT_DATA_DIR": name}, stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    for process in loads:
        _, err = process.communicate()
        assert process.returncode == 0, err
    for name in names:
        assert asked(f"SELECT count(*) FROM {name}.projects") == 30  # noqa: S608


@pytest.mark.slow
def test_threads_load_into_the_same_file(api: Emulator) -> None:
    fill(api.account, projects=30, trainings=20)

    def load_twice(name: str) -> None:
        pipeline = dlt.pipeline(name, destination=dlt.destinations.duckdb(str(FILE)), dataset_name=f"{name}_data")
        for _ in range(2):
            load(pipeline, toloka(token="secret", base_url=api.base_url))  # noqa: S106 - no secret

    names = ["one", "two", "three"]
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(load_twice, names)) == [None] * 3
    for name in names:
        assert asked(f"SELECT count(*) FROM {name}_data.projects") == 30  # noqa: S608


def test_links_and_rights_stay(filled: Warehouse) -> None:
    place = Path("elsewhere", "warehouse.db")
    place.parent.mkdir()
    FILE.rename(place)
    FILE.symlink_to(place)
    place.chmod(0o640)
    happen(filled.api.account)
    filled.load()
    assert FILE.readlink() == place
    assert place.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in place.parent.iterdir()] == ["warehouse.db"]
    assert_tables_equal_account(filled)


def test_what_a_killed_program_has_left_in_its_log_is_kept(filled: Warehouse) -> None:
    other_program("CREATE TABLE others AS SELECT 42 AS answer", KILL)
    assert Path("toloka.duckdb.wal").exists()
    happen(filled.api.account)
    filled.load()
    assert not Path("toloka.duckdb.wal").exists()
    assert asked("SELECT answer FROM others") == 42
    assert_tables_equal_account(filled)


def test_a_program_that_writes_in_spite_of_the_lock_stops_the_load(filled: Warehouse) -> None:
    before = FILE.stat().st_ino
    happen(filled.api.account)
    beside = BesideReaders(filled.pipeline, publish=True, lock_timeout=0, turn_timeout=0)
    given = filled.pipeline.destination
    loaded: list[str] = []

    def load_as_another_writes() -> None:
        with beside.opened():
            loaded.extend(filled.pipeline.run(filled.source()).loads_ids)
            os.utime(FILE)

    with pytest.raises(errors.DestinationError, match="another program wrote into"):
        load_as_another_writes()
    assert FILE.stat().st_ino == before
    assert left() == {"toloka.duckdb", "dlt"}
    assert filled.pipeline.destination is given
    # the copy had it, the file has it not
    assert filled.pipeline.list_normalized_load_packages() == loaded
    filled.load()
    assert_tables_equal_account(filled)


def test_no_other_time_to_wait(filled: Warehouse) -> None:
    for seconds in (-1, True, float("nan"), "60"):
        with pytest.raises(errors.ConfigurationError, match="lock_timeout"):
            load(filled.pipeline, filled.source(), lock_timeout=seconds)  # type: ignore[arg-type]
