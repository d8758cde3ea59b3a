"""What Superset's start says before there is a Superset: no password in its command line, and none is printed."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import ROOT

pytest_plugins = ["tests.postgres"]

START = ROOT / "pipelines" / "superset" / "start.py"


def start(warehouse: str, **variables: str) -> tuple[int, str]:
    """Run the script where there is no Superset; return its exit code and what it says."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.cwd()), **variables}
    command: list[str | Path] = [sys.executable, START, "--folder", "dashboards", warehouse]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:hunter2@localhost/db",
        "postgres://u:hun@ter2hunter2@localhost/db",
        "postgresql://localhost/db?user=u&password=hunter2",
        "postgresql://u:hunter2@localhost:port/db",
        "postgresql://u:hunter2@[::1/db",
        "postgresl://u:hunter2@localhost/db",
        "u:hunter2@localhost/db",
        "host=localhost password=hunter2",
        "postgresql:/u:hunter2@localhost/db",
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(address: str) -> None:
    code, said = start(address)
    assert code == 1
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "hunter2" not in said


def test_a_file_that_is_not_there_is_named(own_folder: Path) -> None:
    assert start("no.duckdb") == (1, f"error: no file {own_folder / 'no.duckdb'}, and no postgresql:// address\n")


@pytest.fixture
def address(postgres_database: str) -> tuple[str, str]:
    """Return the address of a database without its password, and the password."""
    parts = urlsplit(postgres_database)
    return f"postgres://{parts.username}@{parts.hostname}:{parts.port}{parts.path}", f"{parts.password}"


def test_the_password_is_taken_from_where_postgresql_takes_it(address: tuple[str, str], own_folder: Path) -> None:
    code, said = start(address[0])
    assert (code, said.partition("fe_sendauth: ")[2]) == (1, "no password supplied\n")
    (own_folder / ".pgpass").write_text(f"*:*:*:*:{address[1]}\n")
    (own_folder / ".pgpass").chmod(0o600)
    for variables in ({}, {"PGPASSWORD": address[1], "PGPASSFILE": "/nowhere"}):
        code, said = start(address[0], **variables)
        assert "Superset gets ready for 127.0.0.1:" in said  # here is none
        assert "No module named 'sqlalchemy'" in said
        assert address[1] not in said


def test_the_password_is_asked_for_on_a_terminal(address: tuple[str, str]) -> None:
    ours, theirs = pty.openpty()
    command: list[str | Path] = [sys.executable, START, "--folder", "dashboards", address[0]]
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.cwd())}
    with subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        said = b""
        while b"Password for" not in said:
            said += os.read(ours, 1_000)
        os.write(ours, f"{address[1]}\n".encode())
        while b"Superset gets ready" not in said:
            said += os.read(ours, 1_000)
        assert address[1].encode() not in said
        process.kill()
    os.close(ours)
