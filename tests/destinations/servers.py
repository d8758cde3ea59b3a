"""Servers for these tests alone, on 127.0.0.1: MariaDB, which is Debian's, and S3, which is moto's."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.postgres import START_SECONDS, free_port

_SETTINGS = (
    "--character-set-server=utf8mb4",  # as Debian has it
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
)


@contextmanager
def mariadb_server(folder: Path) -> Iterator[str]:
    """Run a server with an empty data folder; yield its URL for SQLAlchemy.

    Args:
        folder: An empty folder, which is given to the user `nobody`: MariaDB doesn't run as root.

    Raises:
        RuntimeError: The server doesn't start; says what it said.
    """
    data, log = folder / "data", folder / "log"
    nobody = pwd.getpwnam("nobody")
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    port, password = free_port(), token_hex()
    with log.open("wb") as output:
        common: dict[str, Any] = {"cwd": folder, "stdout": output, "stderr": subprocess.STDOUT, **user}
        install = ("mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db")
        subprocess.run([*install, f"--datadir={data}"], check=True, **common)
        init = folder / "init.sql"
        init.write_text(f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n")
        options = [f"--datadir={data}", f"--port={port}", f"--socket={folder / 'socket'}", f"--init-file={init}"]
        command = ["mariadbd", "--no-defaults", *options, "--bind-address=127.0.0.1", *_SETTINGS]
        server = subprocess.Popen(command, **common)
    url = f"mysql+pymysql://root:{password}@127.0.0.1:{port}"
    try:
        _wait_until_ready(server, port, password, log)
        yield url
    finally:
        server.kill()
        server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, password: str, log: Path) -> None:
    import pymysql  # noqa: PLC0415 - of a session of its own

    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            pymysql.connect(host="127.0.0.1", port=port, user="root", password=password).close()
        except pymysql.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"MariaDB doesn't start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """Return the URL of a server that all tests share."""
    assert shutil.which("mariadbd"), "apt-get install mariadb-server-core"
    with TemporaryDirectory(prefix="toloka-mariadb-") as folder, mariadb_server(Path(folder)) as url:
        yield url


@pytest.fixture
def mariadb_database(mariadb: str) -> str:
    """Return the URL of an empty database of the server; dlt makes one for each dataset beside it."""
    import sqlalchemy as sa  # noqa: PLC0415 - of a session of its own

    engine = sa.create_engine(mariadb)
    with engine.begin() as connection:
        for (name,) in connection.execute(sa.text("SHOW DATABASES")).all():
            if name.startswith("toloka_"):
                connection.execute(sa.text(f"DROP DATABASE `{name}`"))
        connection.execute(sa.text("CREATE DATABASE IF NOT EXISTS warehouse"))
    engine.dispose()
    return f"{mariadb}/warehouse"


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server that speaks S3.

    Attributes:
        name: Its name.
        endpoint: The server.
    """

    name: str
    endpoint: str

    @property
    def credentials(self) -> Mapping[str, str]:
        """Return what dlt wants to know."""
        return {
            "aws_access_key_id": "any",
            "aws_secret_access_key": "any",
            "region_name": "us-east-1",
            "endpoint_url": self.endpoint,
        }

    @property
    def files(self) -> Any:
        """Return its file system."""
        from s3fs import S3FileSystem  # noqa: PLC0415 - of a session of its own

        return S3FileSystem(key="any", secret="any", endpoint_url=self.endpoint)  # noqa: S106 - no secret


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Return the address of a server that all tests share."""
    # in a process of its own: deltalake waits for it without letting other threads run
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for_port(server, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


def _wait_for_port(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server for S3 doesn't start")


@pytest.fixture
def bucket(s3: str) -> Bucket:
    """Return a new, empty bucket."""
    made = Bucket(f"bucket-{token_hex(8)}", s3)
    made.files.mkdir(made.name)
    return made
