"""Disks that are full, and what can't be written: one line that names it, and an exit code that is true."""

import resource
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import dlt
import duckdb
import pytest

from tests.bi.views_place import Place
from tests.cli.test_command import PROGRAM, Command, Refused, command, configured, refused
from tests.conftest import Warehouse, assert_tables_equal_account, bare, fill
from toloka_source.bi import views
from toloka_source.emulator import Emulator
from toloka_source.errors import DestinationError

pytest_plugins = ["tests.postgres"]

__all__ = ["command", "configured", "refused"]  # fixtures

FILE = "DESTINATION__DUCKDB__CREDENTIALS"


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """Let no file of this process and of those that it starts become longer."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def run(words: Sequence[str], size: int) -> subprocess.CompletedProcess[str]:
    """Run the command where no file becomes longer than this."""
    with longest_file(size):
        return subprocess.run([*PROGRAM, *words, "--progress", "off"], capture_output=True, text=True, check=False)


def is_noted_with_views(file: Path) -> bool:
    """Tell whether a load is in the table of loads, and has made the views."""
    with duckdb.connect(file, read_only=True) as connection:
        try:
            return connection.execute("SELECT count(*) FROM toloka_bi.loads").fetchone() == (2,)
        except duckdb.CatalogException:
            return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "size", [600_000, *(pytest.param(size, marks=pytest.mark.long) for size in (1_200_000, 4_000_000))]
)
def test_a_full_disk_under_the_warehouse(configured: Emulator, own_folder: Path, size: int) -> None:
    fill(configured.account, 400, 400)
    first = run(["load"], size)
    assert (first.returncode == 0) == is_noted_with_views(own_folder / "toloka.duckdb")
    if first.returncode:
        assert first.returncode == 1
        last = first.stderr.splitlines()[-1]
        assert bare(last).startswith("error: ")
        assert "toloka.duckdb" in last
        assert "File too large" in last
    assert run(["load"], resource.RLIM_INFINITY).returncode == 0
    assert_tables_equal_account(Warehouse(configured))


def test_a_disk_that_is_full_after_the_rows(configured: Emulator) -> None:
    place = Place(configured, None)
    report = place.load()
    with longest_file(1), pytest.raises(DestinationError, match=r"loaded, but this load has no row in _toloka_loads; "):
        views.publish(place.pipeline, report.resources, 0.0)
    place.load()
    assert place.one("SELECT count(*) FROM toloka_bi.loads") == 4


def test_a_server_that_has_gone_after_the_rows(configured: Emulator, postgres_database: str) -> None:
    place = Place(configured, postgres_database)
    report = place.load()
    gone = urlsplit(postgres_database)._replace(netloc="postgres:top4secret@127.0.0.1:1").geturl()
    pipeline = dlt.pipeline("toloka", destination=dlt.destinations.postgres(gone), dataset_name="toloka_data")
    with pytest.raises(DestinationError, match=r"loaded, but the views .* weren't looked at; .*Connection refused"):
        views.publish(pipeline, report.resources, 0.0)


@pytest.mark.usefixtures("configured")
@pytest.mark.slow
def test_a_full_disk_under_the_page(own_folder: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: str) -> None:
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres_database)
    page = own_folder / "report.html"
    page.write_text("the old one")
    shown = run(["load", "--destination", "postgres", "--report", str(page)], 200_000)
    assert shown.returncode == 1
    said = f"loaded, but without a report: {page} can't be written: File too large; make room, or give the right to"
    assert said in shown.stderr.splitlines()[-1]
    assert page.read_text() == "the old one"
    assert [path.name for path in own_folder.glob(".report*")] == []


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_working_folder_that_is_none(
    refused: Refused, own_folder: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (own_folder / "file").touch()
    monkeypatch.setenv("DLT_DATA_DIR", str(own_folder / folder))
    refused(("load", "--progress", "off"), {}, f"DLT_DATA_DIR = '{own_folder / folder}': can't be written: Not a dir")


@pytest.mark.slow
def test_a_full_working_folder(
    configured: Emulator, own_folder: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    fill(configured.account)
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres_database)
    shown = run(["load", "--destination", "postgres"], 30_000)
    assert shown.returncode == 1
    last = bare(shown.stderr).splitlines()[-1]
    assert last.startswith(f"error: {own_folder / 'dlt' / 'pipelines' / 'toloka'}")
    assert "can't be written: File too large; make room, or give the right to write there" in last
    assert run(["load", "--destination", "postgres"], resource.RLIM_INFINITY).returncode == 0
    assert Place(configured, postgres_database).one("SELECT count(*) FROM toloka_data.projects") == 60


@pytest.mark.parametrize("made", ["folder", "other"])
def test_a_file_that_is_no_warehouse(
    configured: Emulator,
    own_folder: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    made: str,
) -> None:
    path = own_folder / "odd.duckdb"
    if made == "folder":
        path.mkdir()
    else:
        path.write_text("a letter" * 5_000)
    monkeypatch.setenv(FILE, str(path))
    assert command("load", "--progress", "off") == 1
    err = capfd.readouterr().err
    assert bare(err).startswith("error: ")
    assert err.count("\n") == 1
    assert f'"{path}"' in err
    assert "then run again" in err
    assert configured.requests == []


@pytest.mark.parametrize(
    ("dataset", "file", "said"),
    [
        ("toloka", "", "dataset = 'toloka': DuckDB can't tell it from its file toloka.duckdb"),
        ("orders", "ORDERS.old.db", "dataset = 'orders': DuckDB can't tell it from its file ORDERS.old.db"),
        ("toloka_data", "toloka_bi.duckdb", "views = 'toloka_bi': DuckDB can't tell it from its file toloka_bi.duckdb"),
    ],
)
def test_a_dataset_named_like_the_file(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, dataset: str, file: str, said: str
) -> None:
    if file:
        monkeypatch.setenv(FILE, file)
    refused(("load", "--dataset", dataset, "--progress", "off"), {}, said)
