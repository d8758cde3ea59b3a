"""The destination's password: in no error, traceback or log, whatever is wrong with the credentials."""

import logging
import subprocess
import sys
import traceback
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import pytest

from tests.cli.test_command import Command, command, configured
from tests.conftest import NOON
from toloka_source import Window, backfill, load, load_window, toloka
from toloka_source.destinations.secrets import hide
from toloka_source.emulator import Emulator
from toloka_source.errors import ConfigurationError

pytest_plugins = ["tests.postgres"]

__all__ = ["command", "configured"]  # fixtures

PARTS = ("hunter2", "top4secret", "er9word")

WRONG = [
    "mysql://u:hunter2-top4secret@localhost/db",
    "postgresql://u:hunter2@er9word@localhost/db",
    "postgresql://u:hunter2@localhost:port/db",
    "postgresql:/u:hunter2@localhost/db",
    "postgresql://u:hunter2@[::1/db",
    "u:hunter2@localhost/db",
    "host=localhost user=u password=hunter2",
    '{"username": "u", "password": "hunter2"',
]
REFUSED = [
    "postgresql://u:hunter2/top4secret@127.0.0.1:9/db",
    "postgresql://u:hunter2-top4secret@127.0.0.1:9/db",
    "postgresql://u:hunter2%40er9word@127.0.0.1:9/db?sslmode=odd",
]


def assert_no_password(*texts: str) -> None:
    """Look for the password, and for its parts."""
    for text in texts:
        assert text
        assert [part for part in PARTS if part in text] == []


@pytest.mark.parametrize("credentials", [*WRONG, *REFUSED])
@pytest.mark.parametrize("words", [("load",), ("backfill", "--start-date", "2025-01-01", "--end-date", "2025-01-02")])
def test_the_command_shows_no_password(
    configured: Emulator,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    credentials: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", credentials)
    code = command(*words, "--destination", "postgres", "--verbose")
    out, err = capfd.readouterr()
    assert_no_password(err)
    assert_no_password(f"{out} ")
    if credentials in WRONG:
        assert code == 2
        assert "error: destination.postgres.credentials = '***': " in err
        assert configured.requests == []


def test_python_shows_no_password(api: Emulator, caplog: pytest.LogCaptureFixture, own_folder: Path) -> None:
    caplog.set_level(logging.DEBUG)
    account: dict[str, Any] = {"token": "secret", "base_url": api.base_url}
    window = Window(NOON - timedelta(hours=1), NOON)
    for credentials in WRONG:
        destination = dlt.destinations.postgres(credentials)
        pipeline = dlt.pipeline("toloka", destination=destination, dataset_name="toloka_data")
        for begin in (
            partial(load, pipeline, toloka(**account)),
            partial(load_window, window, destination, **account),
        ):
            with pytest.raises(ConfigurationError, match="credentials = ") as caught:
                begin()
            assert_no_password("".join(traceback.format_exception(caught.value)), caught.value.remedy)
    assert_no_password(f"{caplog.text} ")
    # where it is in a file
    (own_folder / ".dlt").mkdir()
    (own_folder / ".dlt" / "secrets.toml").write_text(f'[destination.postgres]\ncredentials = "{WRONG[1]}"\n')
    with pytest.raises(ConfigurationError, match="write %40 for @"):
        backfill([window], "postgres", **account)
    assert api.requests == []


def test_what_is_hidden() -> None:
    said = 'at "postgresql://u:p@ss@host/db?x=1", https://a.b/c@d and PASSWORD = other; mail me@example.com'
    assert hide(said) == 'at "postgresql://***@host/db?x=1", https://***@d and PASSWORD = ***; mail me@example.com'


@pytest.mark.slow
def test_dlt_shows_neither_password_nor_token(
    configured: Emulator, monkeypatch: pytest.MonkeyPatch, own_folder: Path, postgres_database: str
) -> None:
    parts = urlsplit(postgres_database)
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres_database)
    configured.account.create_project()
    pipeline = dlt.pipeline("toloka", destination="postgres", dataset_name="toloka_data")
    load(pipeline, toloka(), views=True)
    secrets = (f"{parts.password}", "secret-token")
    for words in (("info",), ("trace",), ("schema",), ("-v", "info"), ("-v", "trace")):
        program = [Path(sys.executable).with_name("dlt"), "pipeline", *words[:-1], "toloka", words[-1]]
        done = subprocess.run(program, capture_output=True, text=True, check=True)
        assert "toloka" in done.stdout
        assert [secret for secret in secrets if secret in done.stdout + done.stderr] == []
    for path in own_folder.rglob("*"):
        if path.is_file():
            assert [secret for secret in secrets if secret.encode() in path.read_bytes()] == []
