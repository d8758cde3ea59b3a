"""Who can read what the command makes: its user, unless something else is said."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_command import Command, command, configured
from tests.conftest import NOON
from toloka_source import Window, load_window
from toloka_source.emulator import Emulator

__all__ = ["command", "configured"]  # fixtures


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Have the usual umask, with which all may read."""
    before = os.umask(0o022)
    yield
    assert os.umask(before) == 0o022


def modes(folder: Path) -> set[str]:
    """Return the modes of all files, and of all folders, in a folder."""
    return {f"{'d' if path.is_dir() else 'f'}{path.stat().st_mode & 0o777:o}" for path in folder.rglob("*")}


LOAD = ("load", "--report", "report.html")


@pytest.mark.slow
def test_what_is_new_is_for_its_user(configured: Emulator, command: Command, own_folder: Path) -> None:
    configured.account.create_project()
    assert command(*LOAD) == 0
    assert (own_folder / "toloka.duckdb").exists()
    assert modes(own_folder) == {"f600", "d700"}


@pytest.mark.slow
def test_what_is_there_keeps_its_mode(configured: Emulator, command: Command, own_folder: Path) -> None:
    assert command(*LOAD) == 0
    for name in ("toloka.duckdb", "report.html"):
        (own_folder / name).chmod(0o640)
    configured.account.create_project()
    assert command(*LOAD) == 0
    assert [(own_folder / name).stat().st_mode & 0o777 for name in ("toloka.duckdb", "report.html")] == [0o640] * 2


@pytest.mark.slow
def test_others_may_read_if_that_is_said(configured: Emulator, command: Command, own_folder: Path) -> None:
    assert command(*LOAD, "--umask", "022") == 0
    assert configured.requests
    assert modes(own_folder) == {"f644", "d755"}


@pytest.mark.slow
def test_a_umask_of_the_users_does_not_open_anything(configured: Emulator, command: Command, own_folder: Path) -> None:
    os.umask(0o027)
    assert command(*LOAD) == 0
    assert configured.requests
    assert modes(own_folder) == {"f600", "d700"}
    os.umask(0o022)


@pytest.mark.parametrize("mask", ["8", "-1", "1000", "rwx"])
def test_what_is_no_umask(configured: Emulator, command: Command, mask: str) -> None:
    with pytest.raises(SystemExit):
        command("load", f"--umask={mask}")
    assert configured.requests == []


def test_a_windows_folder_is_for_its_user(api: Emulator, own_folder: Path) -> None:
    seen: set[int] = set()

    def look(number: int, resource: str) -> None:  # noqa: ARG001 - the emulator's
        seen.update(path.stat().st_mode & 0o777 for path in (own_folder / "dlt" / "pipelines").glob("toloka_*/"))

    api.before_request = look
    load_window(Window(None, NOON), "duckdb", token="secret", base_url=api.base_url)  # noqa: S106 - no secret
    assert seen == {0o700}
