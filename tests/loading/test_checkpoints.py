"""How DuckDB writes what was loaded: in little memory where it can, and in any case."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import Warehouse, assert_tables_equal_account, fill, happen
from toloka_source.destinations import duckdb_file

ROWS = 40_000
FILE = Path("groups.duckdb")
GROUPS = "SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('texts')"
PEAK = """
import re, sys, duckdb
from pathlib import Path
from toloka_source.destinations import duckdb_file
duckdb_file._CHECKPOINT_MEMORY = "100MB"
connection = duckdb.connect(sys.argv[1])
connection.execute("INSERT INTO texts (text) VALUES ('more')")
if sys.argv[2] == "sparing":
    duckdb_file.write_tables(connection)
    assert not duckdb_file.log_of(Path(sys.argv[1])).exists()
connection.close()
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def in_small_groups(rows: int, size: int, columns: int = 1) -> None:
    """Make a table as a first load does: in many small groups of rows, which DuckDB puts together later."""
    duckdb_file.create(FILE)
    with duckdb.connect(FILE) as connection:
        connection.execute("CREATE TABLE texts (text VARCHAR)")
        for number in range(1, columns):
            connection.execute(f"ALTER TABLE texts ADD COLUMN text_{number} VARCHAR")
    text = "repeat(md5(i::VARCHAR), $1)"
    insert = f"INSERT INTO texts SELECT {', '.join([text] * columns)} FROM range($2, $3) x(i)"  # noqa: S608
    for start in range(0, rows, rows // 8):
        with duckdb.connect(FILE, config={"max_vacuum_tasks": 0, "threads": 1}) as connection:
            connection.execute(insert, [size // 32, start, start + rows // 8])


def asked(query: str) -> object:
    """Ask the file."""
    with duckdb.connect(FILE, read_only=True) as connection:
        return connection.sql(query).fetchall()[0][0]


@pytest.fixture
def groups() -> int:
    """Return the number of groups in a file of them, to which a row was written."""
    in_small_groups(ROWS, 1_600)
    return int(str(asked(GROUPS)))


def written(**config: Any) -> str:
    """Write one more row; return DuckDB's limit afterwards, and leave the log if that failed."""
    with duckdb.connect(FILE, config=config) as connection:
        connection.execute("INSERT INTO texts VALUES ('more')")
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        duckdb_file.write_tables(connection)
        try:
            return str(connection.sql("SELECT current_setting('memory_limit')").fetchall()[0][0])
        except duckdb.FatalException:
            return "failed"


def test_groups_are_put_together_in_little_memory(groups: int) -> None:
    assert written() == "476.8 MiB"
    assert not duckdb_file.log_of(FILE).exists()
    assert asked(GROUPS) == 1 < groups


def test_a_lower_limit_of_the_user_stays() -> None:
    in_small_groups(80, 32)
    assert written(memory_limit="100MB") == "95.3 MiB"


def test_what_fails_in_little_memory_is_written_in_more(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_file, "_CHECKPOINT_MEMORY", "1B")
    written()
    assert duckdb_file.log_of(FILE).exists()
    duckdb_file.checkpoint(FILE)
    assert not duckdb_file.log_of(FILE).exists()
    assert asked("SELECT count(*) FROM texts WHERE text = 'more'") == 1
    assert asked(GROUPS) == 1 < groups


@pytest.mark.usefixtures("groups")
def test_what_fails_in_all_memory_is_written_in_small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_file, "_CHECKPOINT_MEMORY", "1B")
    written()
    with monkeypatch.context() as small:
        small.setattr(duckdb, "connect", on_a_small_machine(duckdb.connect))
        duckdb_file.checkpoint(FILE)
    assert not duckdb_file.log_of(FILE).exists()
    assert asked("SELECT count(*) FROM texts WHERE text = 'more'") == 1


def on_a_small_machine(connect: Callable[..., duckdb.DuckDBPyConnection]) -> Callable[..., duckdb.DuckDBPyConnection]:
    """Return DuckDB's `connect` as it is where there isn't more memory."""
    return lambda path, config=None: connect(path, config={**(config or {}), "memory_limit": "25MB"})


def test_a_load_writes_in_little_memory(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[str] = []

    def noting(connection: duckdb.DuckDBPyConnection) -> None:
        write(connection)
        limits.append(connection.sql("SELECT current_setting('memory_limit')").fetchall()[0][0])

    write = duckdb_file.write_tables
    monkeypatch.setattr(duckdb_file, "write_tables", noting)
    fill(warehouse.api.account, projects=30, trainings=20)
    warehouse.load()
    happen(warehouse.api.account)
    warehouse.load()
    assert limits == ["476.8 MiB"]  # the first load writes file by file


@pytest.mark.parametrize("memory", ["1B", "3MB"])
def test_a_load_whose_tables_need_more_memory(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    warehouse.views = True
    fill(warehouse.api.account, projects=30, trainings=20)
    warehouse.load()
    monkeypatch.setattr(duckdb_file, "_CHECKPOINT_MEMORY", memory)
    for _ in range(2):
        happen(warehouse.api.account)
        warehouse.load()
        assert_tables_equal_account(warehouse)
        assert not duckdb_file.log_of(Path("toloka.duckdb")).exists()


@pytest.mark.slow
def test_peak_memory() -> None:
    in_small_groups(100_000, 320, columns=10)
    Path("peak.py").write_text(PEAK)
    asked_for = partial(subprocess.run, check=True, capture_output=True, text=True)
    peaks = {}
    for how in ("sparing", "as DuckDB does"):
        copy = Path(f"{how}.duckdb")
        copy.write_bytes(FILE.read_bytes())
        peaks[how] = int(asked_for([sys.executable, "peak.py", copy, how]).stdout)
    assert peaks["sparing"] < 0.6 * peaks["as DuckDB does"]
