"""A real Superset, started as `uvx nox -s dashboard` starts it."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

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
