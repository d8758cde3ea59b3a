"""A Singer tap, written with Meltano's SDK, piped into target-duckdb.

The two are processes of their own, with a pipe in between, as always with Singer. They part only after both have been
imported, so that the time of the run alone is without imports here too.
"""

import io
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import target_duckdb

from tests.benchmarks import checks
from tests.benchmarks.rivals.singer_tap import TapToloka

FILE = "singer.duckdb"
STATE = Path("state.json")
RECORD = '{"type":"RECORD"'


def prepare(base_url: str) -> str:
    """Return the address."""
    return base_url


def first_load(base_url: str) -> int:
    """Run tap and target once, without a state."""
    logging.disable(logging.INFO)
    read_end, write_end = os.pipe()
    tap = os.fork()
    if tap == 0:
        os.close(read_end)
        os._exit(_run_tap(base_url, write_end))
    os.close(write_end)
    state, written = _run_target(read_end)
    STATE.write_text(state, encoding="utf-8")
    _, status = os.waitpid(tap, 0)
    if status:
        raise RuntimeError(f"the tap ended with {os.waitstatus_to_exitcode(status)}")
    return written


def increment(base_url: str) -> int:
    """Run once more, with the state that the target wrote."""
    return first_load(base_url)


def rescan(base_url: str) -> int:
    """Run once more without the state: a full refresh."""
    STATE.unlink()
    return first_load(base_url)


def check() -> checks.Facts:
    """Return what is in the tables."""
    query = "SELECT id, {}, {} FROM main.{}"
    times = {
        name: ", ".join(f"{field}::TIMESTAMP AS {field}" for field in fields) for name, fields in checks.TIMES.items()
    }
    return checks.of_tables(FILE, {name: query.format(checks.NAMES[name], times[name], name) for name in checks.TIMES})


def _run_tap(base_url: str, write_end: int) -> int:
    """Run the tap, its messages into the pipe."""
    os.dup2(write_end, sys.stdout.fileno())
    os.close(write_end)
    state = json.loads(STATE.read_text(encoding="utf-8")) if STATE.exists() else None
    TapToloka(config={"base_url": base_url}, state=state).sync_all()
    sys.stdout.flush()
    return 0


def _run_target(read_end: int) -> tuple[str, int]:
    """Run the target on the pipe; return the last state that it wrote, and how many rows."""
    written = 0

    def counted(messages: Iterable[str]) -> Iterator[str]:
        nonlocal written
        for message in messages:
            written += message.startswith(RECORD)
            yield message

    output, sys.stdout = sys.stdout, io.StringIO()
    try:
        with (
            os.fdopen(read_end, encoding="utf-8") as messages,
            duckdb.connect(FILE) as connection,
        ):
            config = {"path": FILE, "default_target_schema": "main"}
            target_duckdb.persist_lines(connection, config, counted(messages))
        return sys.stdout.getvalue().splitlines()[-1], written
    finally:
        sys.stdout = output
