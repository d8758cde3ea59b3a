"""A real Airflow: API server, scheduler and DAG processor, in a folder of its own, ended when the test is done."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import requests

from tests.live.waiting import wait_for
from tests.postgres import free_port

DAG_FILE = Path(__file__).parents[2] / "pipelines" / "airflow_dag.py"
START_SECONDS = 60
END_SECONDS = 3


class AirflowServer:
    """Airflow's REST API, as its own web page uses it."""

    def __init__(self, url: str, home: Path, airflow: Path, environment: Mapping[str, str]) -> None:
        """Talk to the server at this address; it keeps its files in this folder, and runs by this command."""
        self.url = url
        self.home = home
        self.airflow = airflow
        self.environment = environment
        self._session = requests.Session()

    def log_in(self) -> bool:
        """Take the token that everybody gets here; tell whether the server is up."""
        with suppress(requests.ConnectionError):
            answer = self._session.get(f"{self.url}/auth/token", timeout=30)
            if answer.ok:
                self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            return answer.ok
        return False

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Send a request, and return its answer."""
        answer = self._session.request(method, f"{self.url}/api/v2/{path}", json=body or None, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def knows(self, dag: str) -> bool:
        """Tell whether the DAG processor has read a DAG."""
        return dag in {found["dag_id"] for found in self.call("GET", "dags")["dags"]}

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return a DAG's runs, the oldest first."""
        found: list[dict[str, Any]] = self.call("GET", f"dags/{dag}/dagRuns?order_by=id")["dag_runs"]
        return found

    def tasks(self, run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return a run's tasks by their names; mapped ones have their window's name at the end."""
        path = f"dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances"
        return {
            task["task_id"] + (f" {task['rendered_map_index']}" if task["map_index"] >= 0 else ""): task
            for task in self.call("GET", path)["task_instances"]
        }

    def returned(self, run: Mapping[str, Any], task: str) -> Any:
        """Return what a task of a run returned."""
        path = f"dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances/{task}/xcomEntries/return_value"
        return self.call("GET", f"{path}?deserialize=true")["value"]


@contextmanager
def airflow_server(folder: Path, programs: Path, settings: Mapping[str, str], **dags: str) -> Iterator[AirflowServer]:
    """Run Airflow with the project's DAGs, other ones by their names, and these environment variables.

    It keeps what it knows in SQLite and runs tasks itself, unless the variables say otherwise.

    Args:
        folder: An empty folder, for all that it writes.
        programs: The folder of the command `airflow`.
        settings: Environment variables.
        dags: More DAG files, by their names.

    Raises:
        TimeoutError: It doesn't start; says what it said.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        **own_files(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": token_hex(),
        "AIRFLOW__API__BASE_URL": url,
        **settings,
    }
    commands = (
        ("api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        ("scheduler", "--skip-serve-logs"),
        ("dag-processor",),
    )
    for name, text in dags.items():
        (folder / "dags" / f"{name}.py").write_text(text)
    airflow = programs / "airflow"
    subprocess.run([airflow, "db", "migrate"], cwd=folder, env=environment, check=True, capture_output=True)
    with processes([[airflow, *command] for command in commands], folder, environment):
        server = AirflowServer(url, folder, airflow, environment)
        wait_for(server.log_in, START_SECONDS)
        yield server


def own_files(folder: Path) -> dict[str, str]:
    """Copy the project's DAGs into a folder; return the variables that make it an Airflow's home."""
    (folder / "dags").mkdir()
    shutil.copy(DAG_FILE, folder / "dags")
    return {
        "HOME": str(folder),
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "DLT_DATA_DIR": str(folder / "dlt"),
    }


@contextmanager
def processes(
    commands: Sequence[Sequence[Any]], folder: Path, environment: Mapping[str, str]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run programs side by side, and end them and whatever they started; what they say goes into files."""
    with ExitStack() as files:
        running = []
        for command in commands:
            output = files.enter_context((folder / f"{command[1]}.txt").open("wb"))
            running.append(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        try:
            yield running
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(END_SECONDS)
                kill_session(process.pid)
                process.wait()


def kill_session(leader: int) -> None:
    """Kill a process that leads a session and whatever it started: tasks of Airflow are in groups of their own."""
    for pid in running_processes():
        with suppress(ProcessLookupError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)


def running_processes() -> list[int]:
    """Return the processes of this machine, of which some may have ended since."""
    return sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
