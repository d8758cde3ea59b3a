"""A real Superset, started as `uvx nox -s dashboard` starts it."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.live.waiting import wait_for

FILES = Path(__file__).parents[2] / "pipelines" / "superset"
START_SECONDS = 240


@dataclass(frozen=True)
class Superset:
    """A server.

    Attributes:
        url: The dashboard's address.
        password: The administrator's.
        process: What serves it.
    """

    url: str
    password: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0

    def names(self, kind: str, field: str) -> list[str]:
        """Return the names of all that Superset knows of this kind."""
        session, api = self._signed_in()
        answer = session.get(f"{api}/{kind}/?q=(page_size:100)", timeout=60).json()
        return sorted(item[field] for item in answer["result"])

    def ask(self, sql: str) -> dict[str, Any]:
        """Return the first row that a query in SQL Lab brings."""
        session, api = self._signed_in()
        token = session.get(f"{api}/security/csrf_token/", timeout=60).json()["result"]
        answer = session.post(
            f"{api}/sqllab/execute/",
            json={"database_id": 1, "sql": sql, "runAsync": False},
            headers={"X-CSRFToken": token, "Referer": self.url},
            timeout=120,
        ).json()
        assert "errors" not in answer, answer["errors"]
        row: dict[str, Any] = answer["data"][0]
        return row

    def _signed_in(self) -> tuple[requests.Session, str]:
        """Return a session of the administrator's, and the address of the API."""
        api = urlsplit(self.url)._replace(path="/api/v1").geturl()
        login = {"username": "admin", "password": self.password, "provider": "db"}
        session = requests.Session()
        token = session.post(f"{api}/security/login", json=login, timeout=60).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        return session, api


@contextmanager
def superset(warehouse: str, folder: Path, bundle: Path = FILES / "bundle") -> Iterator[Superset]:
    """Start it, and end it by Ctrl-C.

    Args:
        warehouse: A DuckDB file, or a postgresql:// address.
        folder: Where Superset keeps what is its own.
        bundle: What it shows.

    Raises:
        RuntimeError: It doesn't start; says what it said.
    """
    folder.mkdir(exist_ok=True)
    output = folder / "output"
    # a time zone in which other months begin, so that UTC is the dashboard's own doing
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TZ": "Asia/Kathmandu"}
    if "://" in warehouse:
        parts = urlsplit(warehouse)
        environment["PGPASSWORD"] = parts.password or ""
        warehouse = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")).geturl()
    command: list[str | Path] = [
        os.environ["TOLOKA_SUPERSET"],
        FILES / "start.py",
        "--folder",
        folder,
        "--bundle",
        bundle,
        warehouse,
    ]
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: process.poll() is not None or "Ctrl-C" in output.read_text(), START_SECONDS)
        said = re.search(r"Dashboard: (\S+)\nLogin: admin, password (\S+)\n", output.read_text())
        if said is None:
            raise RuntimeError(f"Superset doesn't start:\n{output.read_text()}")
        yield Superset(said[1], said[2], process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
