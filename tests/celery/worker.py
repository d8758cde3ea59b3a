"""A Celery worker of Airflow as on a machine of its own: home, DAG files, logs and dlt's folder are its own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.airflow_server import AirflowServer, kill_session, own_files, processes

AT_ONCE = 2
"""How many tasks a worker runs at once."""


class Worker:
    """A worker that runs."""

    def __init__(self, home: Path, pid: int) -> None:
        """Take the worker with this home and this process."""
        self.home = home
        self._pid = pid

    def kill(self) -> None:
        """Kill it and its tasks, as a machine that loses its power."""
        kill_session(self._pid)

    def attempts(self, dag: str) -> dict[str, list[int]]:
        """Return which attempts at which tasks of a DAG it has run; mapped ones have their number at the end."""
        found: dict[str, list[int]] = {}
        for log in sorted(self.home.glob(f"logs/dag_id={dag}/**/attempt=*.log")):
            path = str(log.relative_to(self.home))
            task, index = re.search(r"task_id=(\w+)", path), re.search(r"map_index=(\d+)", path)
            assert task
            name = f"{task[1]} {index[1]}" if index else task[1]
            found.setdefault(name, []).append(int(log.stem.removeprefix("attempt=")))
        return found


@contextmanager
def celery_worker(server: AirflowServer, home: Path) -> Iterator[Worker]:
    """Run a worker in an empty folder."""
    environment = {**server.environment, **own_files(home)}
    command = (server.airflow, "celery", "worker", "--skip-serve-logs")
    options = ("--celery-hostname", home.name, "--concurrency", str(AT_ONCE))
    with processes([[*command, *options]], home, environment) as (process,):
        yield Worker(home, process.pid)
