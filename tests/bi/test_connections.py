"""BI tools beside a load: who waits and who fails at a DuckDB file, and a role that can only read in PostgreSQL.

What the tools' own libraries read is in `clients/`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import psycopg2
import pytest

from tests.bi.views_place import Place
from tests.cli.test_command import SCRIPT
from tests.conftest import Warehouse, assert_tables_equal_account
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.emulator import Emulator, Fault

pytest_plugins = ["tests.postgres"]

FILE = Path("toloka.duckdb")
COUNT = "SELECT count(*) FROM toloka_bi.projects"
HOLD = f"""
import duckdb
with duckdb.connect("{FILE}", read_only=True) as connection:
    print(connection.execute("{COUNT}").fetchone(), flush=True)
    input()
"""
COPY = Path(".toloka.duckdb.loading", FILE)
"""What a load makes meanwhile."""


@contextmanager
def reader() -> Iterator[None]:
    """Hold the file open in another process, as a BI tool does that keeps its connection."""
    with python(HOLD) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("(")
        yield
        process.communicate("\n", timeout=30)


def python(code: str) -> subprocess.Popen[str]:
    """Start a Python of its own."""
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def start_load(api: Emulator) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    environment = {**os.environ, "SOURCES__TOLOKA__TOKEN": "any", "SOURCES__TOLOKA__BASE_URL": api.base_url}
    command = [sys.executable, str(SCRIPT), "--progress", "off"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ask_duckdb(*options: str) -> subprocess.CompletedProcess[str]:
    """Ask DuckDB's own command."""
    command = [str(Path(sys.executable).with_name("duckdb")), *options, str(FILE), "-csv", "-noheader", "-c", COUNT]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def stop_with_its_copy(load: subprocess.Popen[str]) -> None:
    """Stop the load at a moment when it has made a copy of the file."""
    while load.poll() is None:
        if COPY.exists():
            load.send_signal(signal.SIGSTOP)
            if COPY.exists():
                return
            load.send_signal(signal.SIGCONT)
    raise AssertionError("it ended before it could be stopped")


@pytest.fixture
def loaded(api: Emulator, warehouse: Warehouse) -> Warehouse:
    """Load one project."""
    warehouse.views = True
    api.account.create_project()
    warehouse.load()
    return warehouse


@pytest.mark.usefixtures("loaded")
def test_readers_share_the_file() -> None:
    with reader(), reader():
        assert ask_duckdb("-readonly").stdout == "1\n"
        refused = ask_duckdb()
    assert refused.returncode == 1
    assert "Could not set lock on file" in refused.stderr
    assert ask_duckdb().stdout == "1\n"


@pytest.mark.slow
def test_a_load_beside_a_reader(api: Emulator, loaded: Warehouse) -> None:
    api.account.create_project()
    with reader():
        load = start_load(api)
        load.communicate(timeout=60)
        assert load.returncode == 0
        assert ask_duckdb("-readonly").stdout == "2\n"
    assert_tables_equal_account(loaded)


@pytest.mark.slow
def test_readers_and_a_writer_beside_a_load(api: Emulator, loaded: Warehouse) -> None:
    api.account.create_project()
    load = start_load(api)
    stop_with_its_copy(load)
    try:
        assert ask_duckdb("-readonly").stdout == "1\n"
        refused = ask_duckdb()
        assert refused.returncode == 1
        assert f"(PID {load.pid})" in refused.stderr
    finally:
        load.send_signal(signal.SIGCONT)
    load.communicate(timeout=60)
    assert load.returncode == 0
    assert ask_duckdb("-readonly").stdout == "2\n"
    assert_tables_equal_account(loaded)


@pytest.mark.slow
def test_others_can_write_while_toloka_is_read(
    api: Emulator, loaded: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__TOLOKA__RESCAN_AFTER_HOURS", "24")  # a whole scan looks into the file
    api.account.create_project()
    api.clear_requests()
    api.fail(Fault.hang(3), on="projects")
    load = start_load(api)
    while not api.requests:
        time.sleep(0.01)
    with python(f"import duckdb; duckdb.connect('{FILE}').execute('CREATE TABLE others AS SELECT 42')") as other:
        assert other.wait(timeout=30) == 0
    load.communicate(timeout=60)
    assert load.returncode == 0
    with duckdb.connect(FILE, read_only=True) as connection:
        assert connection.sql("FROM others").fetchall() == [(42,)]
    assert_tables_equal_account(loaded)


ROLE = """
    CREATE ROLE {reader} LOGIN PASSWORD 'reader';
    GRANT USAGE ON SCHEMA toloka_bi TO {reader};
    GRANT SELECT ON ALL TABLES IN SCHEMA toloka_bi TO {reader};
    ALTER DEFAULT PRIVILEGES FOR ROLE {loader} IN SCHEMA toloka_bi GRANT SELECT ON TABLES TO {reader};
    ALTER ROLE {reader} SET default_transaction_read_only = on;
    ALTER ROLE {reader} SET timezone = 'UTC'
"""


def roles(url: str) -> tuple[str, str]:
    """Let a role that is no superuser own the database; return its URL, and that of one that is to read."""
    database = urlsplit(url).path[1:]
    loader, bi = f"loader_{database}", f"bi_{database}"
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE ROLE {loader} LOGIN PASSWORD 'loader' CREATEROLE")
        connection.cursor().execute(f"ALTER DATABASE {database} OWNER TO {loader}")
    host = urlsplit(url).netloc.partition("@")[2]
    return f"postgresql://{loader}:loader@{host}/{database}", f"postgresql://{bi}:reader@{host}/{database}"


def ask_postgres(url: str, statement: str) -> list[tuple[object, ...]]:
    """Ask PostgreSQL in a connection of its own."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def test_a_role_that_reads_the_views_alone(api: Emulator, postgres_database: str) -> None:
    api.account.create_project()
    loader_url, bi_url = roles(postgres_database)
    place = Place(api, loader_url)
    place.load()
    loader, bi = (str(urlsplit(url).username) for url in (loader_url, bi_url))
    place.ask(ROLE.format(reader=bi, loader=loader))
    seen = "SELECT DISTINCT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE 'toloka%'"
    assert sorted(ask_postgres(bi_url, seen)) == sorted(("toloka_bi", name) for name in VIEWS)
    assert ask_postgres(bi_url, COUNT) == [(1,)]
    assert ask_postgres(bi_url, "SHOW timezone") == [("UTC",)]
    # views that are gone, or have other columns, are made again by the next load
    place.ask("DROP VIEW toloka_bi.projects", "CREATE VIEW toloka_bi.projects AS SELECT 1 AS other")
    place.ask("DROP VIEW toloka_bi.trainings")
    api.account.create_project()
    place.load()
    assert ask_postgres(bi_url, COUNT) == [(2,)]
    assert ask_postgres(bi_url, "SELECT count(*) FROM toloka_bi.trainings") == [(0,)]
    for statement in ("SELECT * FROM toloka_data.projects", "SELECT * FROM toloka_data._dlt_pipeline_state"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask_postgres(bi_url, statement)
    for statement in ("CREATE TEMP TABLE mine AS SELECT 1", "CREATE TABLE public.mine (id int)"):
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            ask_postgres(bi_url, statement)


def test_readers_of_postgres_and_loads_leave_each_other_alone(api: Emulator, postgres_database: str) -> None:
    place = Place(api, postgres_database)
    api.account.create_project()
    place.load()
    with closing(psycopg2.connect(postgres_database)) as connection, connection.cursor() as cursor:
        connection.set_session(isolation_level="REPEATABLE READ")
        cursor.execute(COUNT)
        assert cursor.fetchone() == (1,)
        api.account.create_project()
        place.load()  # while a transaction is open that reads the view
        cursor.execute(COUNT)
        assert cursor.fetchone() == (1,)
        connection.rollback()
        cursor.execute(COUNT)
        assert cursor.fetchone() == (2,)
