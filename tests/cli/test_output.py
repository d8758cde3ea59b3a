"""What the command prints for machines, and on a terminal."""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import termios
import time
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from tests.cli.test_command import PROGRAM, Command, command, configured, table
from tests.conftest import NOON, bare
from toloka_source.emulator import Emulator, Fault

__all__ = ["command", "configured"]  # fixtures

BACKFILL = ("backfill", "--start-date", "2026-01-01", "--end-date", "2026-04-01")


def on_terminal(*words: str, width: int = 100, out: int | None = None) -> tuple[str, str]:
    """Run the command on a terminal, its standard output elsewhere if that is wanted; return what each of them got."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    stdout = its if out is None else out
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(
        [*PROGRAM, *words], stdin=its, stdout=stdout, stderr=its, text=True, env=environment
    ) as process:
        os.close(its)
        shown = b""
        with suppress(OSError):  # how a terminal ends
            while part := os.read(ours, 65_536):
                shown += part
        piped = process.stdout.read() if process.stdout else ""
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode(), piped


def plain(text: str) -> str:
    """Return a terminal's text without colours and moves."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


@pytest.mark.slow
def test_a_load_for_machines(
    configured: Emulator, command: Command, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configured.account.create_project(created="2026-01-10T00:00:00")
    configured.account.create_project(created="soon")
    configured.account.create_training("1")
    configured.fail(Fault.status(503), on="trainings")
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "2")
    assert command("load", "--output", "json", "--progress", "off") == 0
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    assert {line.split()[1] for line in err.splitlines()} == {"warning:"}
    document = json.loads(out)
    assert document.pop("seconds") > 0
    assert all(resource.pop("seconds") > 0 for resource in document["resources"])
    noon = "2026-03-10T12:00:00Z"
    assert datetime.fromisoformat(noon) == NOON
    read = {"kind": "first", "reason": "there was none before", "window_start": None, "window_end": noon}
    same = {
        "rows": 1,
        "new": 1,
        "changed": 0,
        "unchanged": 0,
        "gone": 0,
        "is_short": False,
        "is_forbidden": False,
        **read,
    }
    assert document == {
        "resources": [
            {"name": "projects", "requests": 1, "retries": 0, "rejected": 1, **same},
            {"name": "trainings", "requests": 2, "retries": 1, "rejected": 0, **same},
        ]
    }


@pytest.mark.slow
def test_a_demo_for_machines() -> None:
    run = subprocess.run([*PROGRAM, "demo", "--output", "json"], capture_output=True, text=True, check=True)
    loads = json.loads(run.stdout)["loads"]
    found = [[(one["kind"], one["new"], one["changed"]) for one in load["resources"]] for load in loads]
    assert found == [
        [("first", 1000, 0), ("first", 750, 0)],
        [("increment", 1, 0), ("increment", 1, 3)],
        [("re-scan", 12, 8), ("re-scan", 0, 8)],
    ]
    assert "Extract toloka_demo" in run.stderr
    assert "A local Toloka" not in run.stderr


@pytest.mark.slow
def test_a_backfill_for_machines(configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    configured.account.create_project(created="2026-01-10T00:00:00")
    configured.account.create_project(created="2026-02-10T00:00:00", sensitive="maybe")
    assert command(*BACKFILL, "--output", "json", "--strict") == 1
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    document = json.loads(out)
    windows, (failed,) = document["windows"], document["failed"]
    assert document["seconds"] > sum(window["seconds"] for window in windows) > 0
    assert [(window["start"], window["end"]) for window in windows] == [
        ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"),
    ]
    assert [[resource["rows"] for resource in window["resources"]] for window in windows] == [[1, 0], [0, 0]]
    assert windows[0]["resources"][0]["window_start"] == "2026-01-01T00:00:00Z"
    assert (failed["start"], failed["end"]) == ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
    assert failed["error"].startswith('projects: id "2", sensitive: ')
    assert re.search(r"^info: 2 of 3 2026-03-01 .. 2026-04-01 projects 0", bare(err), re.MULTILINE)
    assert f"error: 2026-02-01 .. 2026-03-01: {failed['error']}\n" in err
    assert re.search(r"^info: load again: .* --output json --strict$", bare(err), re.MULTILINE)


@pytest.mark.slow
def test_what_was_done_before_ctrl_c_is_told(configured: Emulator) -> None:
    configured.fail(Fault.hang(60), at=7, times=None)
    words = [*PROGRAM, *BACKFILL, "--output", "json"]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(configured.requests) < 7:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert [window["start"] for window in json.loads(out)["windows"]] == [
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
    ]
    assert "error: interrupted" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [(("load",), 1), (("load", "--environment", "prod"), 2), (BACKFILL, 1), ((*BACKFILL, "--by", "year"), 2)],
)
def test_nothing_done_is_no_document(
    configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], code: int
) -> None:
    configured.fail(Fault.status(401), times=None)
    assert command(*words, "--output", "json") == code
    out, err = capfd.readouterr()
    assert out == ""
    assert bare(err).splitlines()[-1].startswith("error: ")


def test_bars_of_a_load(configured: Emulator) -> None:
    for _ in range(1_200):
        configured.account.create_project()
    shown, _ = on_terminal("load", width=80)
    bars, _, rest = shown.rpartition("\x1b[2K")
    assert re.search(r"Extract toloka ━+ projects 1,200  trainings 0 ", plain(bars))
    assert re.search(r"Load toloka ━+", plain(bars))
    assert "Resources" not in shown
    assert "_dlt" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is there again
    assert [[row[0], row[2]] for row in table(plain(rest))] == [["projects", "1200"], ["trainings", "0"]]


@pytest.mark.slow
def test_bars_of_a_backfill(configured: Emulator) -> None:
    configured.account.create_project(created="2026-01-10T00:00:00")
    shown, _ = on_terminal(*BACKFILL)
    assert re.search(r"Windows ━+ 0 of 3", plain(shown))
    assert re.search(r"Windows ━+ 3 of 3", plain(shown))
    lines = [line.strip() for line in plain(shown).splitlines()]
    assert [line[:6] for line in lines if "projects" in line] == ["1 of 3", "2 of 3", "3 of 3", "3 of 3"]


@pytest.mark.slow
def test_bars_and_a_document(configured: Emulator) -> None:
    configured.account.create_project()
    for words in (("load",), BACKFILL):
        shown, piped = on_terminal(*words, "--output", "json", out=subprocess.PIPE)
        assert "━" in shown
        assert isinstance(json.loads(piped), dict)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("progress", ["off", "log"])
def test_no_bars_if_none_are_wanted(progress: str) -> None:
    shown, _ = on_terminal("load", "--progress", progress)
    assert "\x1b[?25l" not in shown
    assert ("Extract toloka" in shown) == (progress == "log")


@pytest.mark.usefixtures("configured")
@pytest.mark.slow
def test_tables_are_whole() -> None:
    words = ("load", "--start-date", "2026-01-01", "--end-date", "2026-02-01", "--progress", "off")
    environment = {**os.environ, "COLUMNS": "40"}  # where there is no terminal, a width is nobody's
    piped = subprocess.run([*PROGRAM, *words], env=environment, capture_output=True, text=True, check=True).stdout
    assert "\x1b" not in piped
    for text in (piped, plain(on_terminal(*words, width=80)[0])):
        assert [row[:2] for row in table(text)] == [["projects", "back-fill"], ["trainings", "back-fill"]]
        assert text.count(": 2026-01-01 00:00:00 .. 2026-02-01 00:00:00 (UTC)") == 2


LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|warning|error): (.*)")


def test_lines_for_who_watches(configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    configured.account.create_project()
    configured.account.create_project(created="soon")
    assert command("load") == 0
    err = capfd.readouterr().err
    found = [LINE.fullmatch(line) for line in err.splitlines()]
    assert None not in found, err
    said = [match.groups() for match in found if match]
    assert ("info", "projects: everything is read: there was none before") in said
    assert ("warning", "projects: 1 objects don't fit, see table rejected_items") in said
    level, last = said[-1]
    assert level == "info"
    assert re.fullmatch(r"done: rows projects 1, trainings 0; \d+\.\d s; complete until 2026-03-10T12:00:00Z", last)


def test_lines_of_json(configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    configured.account.create_project(created="soon")
    assert command("load", "--log-format", "json") == 0
    out, err = capfd.readouterr()
    assert out == ""
    lines = [json.loads(line) for line in err.splitlines()]
    assert {tuple(line) for line in lines} == {("time", "level", "resource", "message")}
    assert all(datetime.fromisoformat(line["time"]).utcoffset() == timedelta() for line in lines)
    (warning,) = [line for line in lines if line["level"] == "warning"]
    assert (warning["resource"], warning["message"]) == ("projects", "1 objects don't fit, see table rejected_items")
    assert lines[-1]["message"].startswith("done: rows projects 0, ")

    configured.fail(Fault.status(401), times=None)
    assert command("load", "--log-format", "json", "--full", "--verbose") == 1
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert lines[-1]["level"] == "error"
    assert "Traceback" in lines[-2]["message"]


@pytest.mark.slow
def test_lines_of_a_backfill(configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    configured.account.create_project(created="2026-02-10T00:00:00", sensitive="maybe")
    assert command(*BACKFILL, "--log-format", "json") == 0
    out, err = capfd.readouterr()
    assert out == ""
    messages = [json.loads(line)["message"] for line in err.splitlines()]
    assert "window 20260201_20260301: projects: 1 objects don't fit, see table rejected_items" in messages
    assert [message[:6] for message in messages if message[1:5] == " of "] == ["1 of 3", "2 of 3", "3 of 3", "3 of 3"]


def test_a_list_that_may_not_be_read(configured: Emulator, command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    configured.account.create("user_bonuses", amount=0.5)
    configured.fail(Fault.status(403), on="pools", times=None)
    words = ("load", "--resources", "user_bonuses,pools", "--progress", "off")
    assert command(*words) == 1
    out, err = capfd.readouterr()
    assert "pools: nothing, as the token may not read it" in out
    assert "toloka_bi.bonuses" in out
    assert bare(err).splitlines()[-1].startswith("error: pools: the token may not read it, the other lists were loaded")
    assert command(*words, "--skip-forbidden") == 0
    with duckdb.connect("toloka.duckdb", read_only=True) as connection:
        assert connection.sql("SELECT amount FROM toloka_bi.bonuses").fetchall() == [(Decimal("0.5"),)]
        log = "SELECT resource, status, error FROM toloka_bi.loads ORDER BY loaded_at, resource DESC LIMIT 2"
        assert connection.sql(log).fetchall() == [
            ("user_bonuses", "ok", None),
            ("pools", "failed", "the token may not read the list"),
        ]
