"""One load at a time by way of a staging dataset of PostgreSQL, from whichever machine.

Loads of dlt's empty the staging tables and fill them, then merge by deleting what comes again and inserting it: of two
that share these tables, one would lose its rows, or both would insert the same.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from math import inf
from time import monotonic, sleep
from typing import Any

import dlt

from toloka_source.errors import BusyError

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1

_SETTINGS = {
    "tcp_keepalives_idle": 15,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "idle_in_transaction_session_timeout": 0,
}
"""What lets the lock of a machine that is gone end within half a minute, and no other sooner than its load."""


@contextmanager
def staging_locked(pipeline: dlt.Pipeline, timeout: float | None) -> Iterator[None]:
    """Hold a lock of PostgreSQL's for the staging dataset, by a transaction of a connection of its own.

    Unlike the lock of a session it ends with its transaction behind a pool of connections, too.

    Args:
        pipeline: A pipeline into PostgreSQL.
        timeout: How many seconds to wait for another load; None for as long as it takes.

    Raises:
        BusyError: Another load still holds the lock.
    """
    opened = ExitStack()
    try:
        client: Any = pipeline.destination_client()
        opened.enter_context(client)
        opened.enter_context(client.sql_client.begin_transaction())
        client.sql_client.execute_many([f"SET LOCAL {name} = {value}" for name, value in _SETTINGS.items()])
        _wait(client.sql_client, timeout)
        yield
    finally:
        with suppress(Exception):  # a connection that has broken meanwhile, whose lock has ended
            opened.close()


def _wait(sql_client: Any, timeout: float | None) -> None:  # noqa: ANN401 - dlt's client
    name, staging = sql_client.dataset_name, sql_client.staging_dataset_name
    key = int.from_bytes(sha256(f"toloka-source {staging}".encode()).digest()[:8], signed=True)
    deadline = monotonic() + (inf if timeout is None else timeout)
    has_said = False
    while not sql_client.execute_sql("SELECT pg_try_advisory_xact_lock(%s)", key)[0][0]:
        if monotonic() >= deadline:
            raise BusyError(f"another process still loads into {name}: wait until it ends")
        if not has_said:
            log.warning("waiting until another process has loaded into %s", name)
            has_said = True
        sleep(_POLL_SECONDS)
