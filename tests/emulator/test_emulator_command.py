"""The emulator's command, in a process of its own."""

import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import requests

from toloka_source.emulator.__main__ import main

COMMAND = [sys.executable, "-W", "error", "-m", "toloka_source.emulator"]


@contextmanager
def running(*options: str, command: Sequence[str] = COMMAND) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    process = subprocess.Popen(
        [*command, "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        try:
            yield process, [process.stdout.readline().strip() for _ in range(3)]
        finally:
            process.kill()


@pytest.mark.parametrize(
    "command", [COMMAND, [*COMMAND[:-1], "toloka_source", "emulator"]], ids=["alone", "toloka-source"]
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop(number: signal.Signals, command: list[str]) -> None:
    with running("--projects", "30", "--token", "secret", command=command) as (process, lines):
        assert lines[0].startswith("Toloka API at http://127.0.0.1:")
        assert lines[1] == "30 projects, 22 trainings"
        url = lines[0].split()[-1]
        page = requests.get(f"{url}/projects", headers={"Authorization": "ApiKey secret"}, timeout=10).json()
        assert len(page["items"]) == 30
        assert requests.get(f"{url}/projects", headers={"Authorization": "OAuth x"}, timeout=10).status_code == 401

        curl = shlex.split(lines[2].removeprefix("Try: "))
        name, _, value = curl[2].partition(": ")
        page = requests.get(curl[3], headers={name: value}, timeout=10).json()
        assert len(page["items"]) == 2

        process.send_signal(number)
        assert process.wait(10) == 128 + number
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_the_account_lives_if_asked_to() -> None:
    with running("--projects", "0", "--activity", "0.01") as (_, lines):
        url = lines[0].split()[-1]
        found: list[object] = []
        deadline = time.monotonic() + 10
        while not found and time.monotonic() < deadline:
            answer = requests.get(f"{url}/trainings?status=OPEN", headers={"Authorization": "OAuth x"}, timeout=10)
            found = answer.json()["items"]
        assert found


def test_all_lists_live_if_asked_to() -> None:
    with running("--projects", "5", "--all-lists", "--activity", "0.01") as (_, lines):
        assert lines[1].startswith("5 projects, 3 trainings, 10 pools, 20 bonuses, 15 skills held, 3 restrictions, ")
        url = lines[0].split()[-1]
        happened = {"user-bonuses": 20, "operations": 15, "pools": 10}
        deadline = time.monotonic() + 10
        while happened and time.monotonic() < deadline:
            for path, before in list(happened.items()):
                answer = requests.get(f"{url}/{path}?limit=300", headers={"Authorization": "OAuth x"}, timeout=10)
                if len(answer.json()["items"]) > before:
                    del happened[path]
        assert not happened


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "--projects", "1", "--port", str(port)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Can't listen on 127.0.0.1:{port}: ")
    assert done.stderr.count("\n") == 1


def test_a_host_that_others_can_reach() -> None:
    done = subprocess.run(
        [*COMMAND, "--projects", "1", "--host", "0.0.0.0"],  # noqa: S104 - to be refused
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "not a loopback address" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--projects", "-1"],
        ["--trainings", "few"],
        ["--port", "http"],
        ["--activity", "0"],
        ["--rate-limit", "0"],
        ["--unknown"],
    ],
)
def test_bad_arguments(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert options[0] in said.err
