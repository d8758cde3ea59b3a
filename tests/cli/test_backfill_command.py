"""The command `backfill` as a user runs it."""

import re
import shlex
import subprocess
import time
from pathlib import Path

import duckdb
import pytest

from tests.cli.test_command import PROGRAM, Command, Refused, command, configured, refused, table
from tests.conftest import bare
from toloka_source.emulator import Emulator, Fault

__all__ = ["command", "configured", "refused"]  # fixtures

BACKFILL = ("backfill", "--start-date", "2026-01-01", "--end-date", "2026-03-01")


def lines(text: str) -> list[list[str]]:
    """Return the cells of the lines that a back-fill printed, without their seconds."""
    return [re.split(r"\s{2,}", line)[:-1] for line in text.splitlines() if re.match(r"\d+ of", line)]


@pytest.mark.slow
def test_backfill(configured: Emulator, capfd: pytest.CaptureFixture[str], command: Command) -> None:
    project = configured.account.create_project(created="2026-01-10T00:00:00")
    configured.account.create_training(project["id"], created="2026-01-10T00:00:00", last_started="2026-02-10T00:00:00")
    configured.account.create_project(created="2026-02-10T00:00:00", sensitive="maybe")
    assert command(*BACKFILL[:-1], "2026-03-10T12:00:00") == 0
    out = capfd.readouterr().out
    assert lines(out) == [
        ["1 of 3", "2026-01-01 .. 2026-02-01", "projects 1", "trainings 1", "requests 3"],
        ["2 of 3", "2026-02-01 .. 2026-03-01", "projects 0", "trainings 1", "requests 3"],
        ["3 of 3", "2026-03-01 .. 2026-03-10T12:00:00", "projects 0", "trainings 0", "requests 3"],
        ["3 of 3 windows", "projects 1", "trainings 2", "requests 9"],
    ]
    assert out.endswith("1 objects don't fit their schema: see the table rejected_items\n")
    # the regular run has its own first load before it
    assert command("load", "--progress", "off") == 0
    assert [[row[0], row[2]] for row in table(capfd.readouterr().out)] == [["projects", "1"], ["trainings", "1"]]
    with duckdb.connect("toloka.duckdb") as connection:
        assert connection.execute("SELECT id FROM toloka_data.trainings").fetchall() == [("1",)]


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((*BACKFILL, "--by", "year"), {}, "by = 'year': unknown; use one of day, week, month"),
        ((*BACKFILL, "--workers", "0"), {}, "workers = 0: must be 1 or more"),
        ((*BACKFILL, "--resources", "tasks"), {}, "resources = 'tasks': unknown"),
        (BACKFILL, {"TOKEN": ""}, "token = '': is empty"),
        (("backfill", "--start-date", "2999-01-01", "--end-date", "2999-02-01"), {}, "is in the future"),
        ((*BACKFILL[:-1], "2025-12-31"), {}, "end_date = '2025-12-31': must be after"),
        ((*BACKFILL, "--destination", "duckdbb"), {}, "duckdbb"),
        ((*BACKFILL, "--destination", "postgres"), {}, "destination = 'postgres': Missing"),
    ],
)
def test_wrong_usage_of_backfill(
    refused: Refused, arguments: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    refused(arguments, variables, said)


def test_backfill_without_its_dates(command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command("backfill")
    assert "--start-date, --end-date" in capfd.readouterr().err


@pytest.mark.slow
def test_windows_that_fail_are_named_at_the_end(
    configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    for month in (1, 3, 4):
        configured.account.create_project(created=f"2025-{month:02}-10T00:00:00", sensitive="maybe")
    arguments = ("--start-date", "2025-01-01", "--end-date", "2025-06-01", "--dataset", "other", "--strict")
    assert command("backfill", *arguments, "--verbose") == 1
    out, err = capfd.readouterr()
    assert lines(out)[-1] == ["2 of 5 windows", "projects 0", "trainings 0", "requests 6"]
    *_, summary = bare(err).rpartition("error: window 20250401_20250501: ")
    named = [line.partition(": projects")[0] for line in summary.splitlines() if line.startswith("error: ")]
    assert named == [f"error: 2025-0{month}-01 .. 2025-0{month + 1}-01" for month in (1, 3, 4)]
    assert "Traceback" in err
    assert "secret-token" not in err
    again = [shlex.split(line.removeprefix("load again: ")) for line in err.splitlines() if "load again" in line]
    assert [words[words.index("--start-date") + 1 : words.index("--end-date") + 2] for words in again] == [
        ["2025-01-01", "--end-date", "2025-02-01"],
        ["2025-03-01", "--end-date", "2025-05-01"],
    ]
    for id_ in ("1", "2", "3"):
        configured.account.edit_project(id_, sensitive=True)
    for words in again:
        assert command(*words[words.index("backfill") :]) == 0
    with duckdb.connect("toloka.duckdb") as connection:
        assert connection.execute("SELECT count(*) FROM other.projects").fetchone() == (3,)


@pytest.mark.slow
def test_nothing_goes_on_without_the_command(configured: Emulator, own_folder: Path) -> None:
    configured.fail(Fault.hang(3), times=None)
    run = subprocess.Popen([*PROGRAM, *BACKFILL], stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(configured.requests) < 2:
        time.sleep(0.05)
    run.kill()
    _, err = run.communicate(timeout=30)  # the worker writes there too: it has ended when this returns
    assert run.returncode == -9
    assert "Traceback" not in err
    assert "interrupted" not in err
    assert not list((own_folder / "dlt" / "pipelines").glob("*toloka_data*"))


@pytest.mark.slow
def test_a_list_that_may_not_be_read(configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    configured.account.create("skills", created="2026-01-10T00:00:00.000")
    configured.fail(Fault.status(403), on="pools", times=None)
    words = ("backfill", "--start-date", "2026-01-01", "--end-date", "2026-02-01", "--resources", "skills,pools")
    assert command(*words) == 1
    assert "error: pools: the token may not read it, the other lists were loaded" in capfd.readouterr().err
    assert command(*words, "--skip-forbidden") == 0
    assert "skills 1" in capfd.readouterr().out
