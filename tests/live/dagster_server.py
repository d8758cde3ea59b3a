"""A real Dagster: web page, daemon and code server, in a folder of its own, gone when the test is done."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from tests.live.waiting import wait_for

PIPELINES = Path(__file__).parents[2] / "pipelines"
START_SECONDS = 60


class DagsterServer:
    """Dagster's GraphQL, as its own web page uses it."""

    def __init__(self, url: str, folder: Path) -> None:
        """Talk to the server at this address, which keeps all it writes in this folder."""
        self.url = url
        self.folder = folder

    def query(self, document: str, **variables: object) -> dict[str, Any]:
        """Return the data that a query, or a mutation, asks for."""
        body = {"query": document, "variables": variables}
        answer = requests.post(f"{self.url}/graphql", json=body, timeout=30).json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """Return the runs with these tags (`__` stands for `/`), the newest first."""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        data = self.query(
            """query($tags: [ExecutionTag!]) { runsOrError(filter: {tags: $tags}) { ... on Runs { results {
            runId jobName status startTime endTime parentRunId runConfigYaml tags { key value } } } } }""",
            tags=wanted,
        )
        runs: list[dict[str, Any]] = data["runsOrError"]["results"]
        for run in runs:
            run["tags"] = {tag["key"]: tag["value"] for tag in run["tags"]}
        return runs

    def assets(self) -> list[dict[str, Any]]:
        """Return each table with the results of its checks and whether it is fresh."""
        data = self.query(
            """query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) {
            assetKey { path } freshnessStatusInfo { freshnessStatus }
            assetChecksOrError { ... on AssetChecks { checks {
            name executionForLatestMaterialization { status } } } } } }""",
            keys=[{"path": ["toloka", name]} for name in ("projects", "trainings")],
        )
        return [
            {
                "freshness": (node["freshnessStatusInfo"] or {}).get("freshnessStatus"),
                "checks": {
                    check["name"]: (check["executionForLatestMaterialization"] or {}).get("status")
                    for check in node["assetChecksOrError"]["checks"]
                },
            }
            for node in data["assetNodes"]
        ]

    def messages(self, run_id: str) -> list[str]:
        """Return what a run's event log says."""
        data = self.query(
            "query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { "
            "events { ... on MessageEvent { message } } } } }",
            id=run_id,
        )
        return [event["message"] for event in data["logsForRun"]["events"]]


@contextmanager
def dagster_server(folder: Path, settings: Mapping[str, str]) -> Iterator[DagsterServer]:
    """Run `dagster dev` by its guide: the dagster.yaml, its definitions, these environment variables.

    Raises:
        TimeoutError: It doesn't start; says what it said.
    """
    programs = Path(os.environ["TOLOKA_ENVIRONMENTS"]).absolute() / "live-dagster" / "bin"
    home, log = folder / "home", folder / "log"
    home.mkdir()
    shutil.copy(PIPELINES / "dagster.yaml", home)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        **settings,
    }
    options = ["-f", str(PIPELINES / "dagster_definitions.py"), "-h", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [programs / "dagster", "dev", *options],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be ended with whatever it starts
        )
        try:
            server = DagsterServer(f"http://127.0.0.1:{port}", folder)
            wait_for(lambda: process.poll() is not None or _answers(server), START_SECONDS)
            if process.poll() is not None:
                raise TimeoutError(f"Dagster doesn't start:\n{log.read_text()}")
            yield server
        finally:
            _end(process)


def _answers(server: DagsterServer) -> bool:
    with suppress(requests.ConnectionError):
        return bool(server.query("{ version }"))
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and whatever it started."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
