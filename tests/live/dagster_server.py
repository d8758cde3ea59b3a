"""A real Dagster: web page, daemon and code server, in a folder of its own, gone when the test is done."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from tests.live.waiting import wait_for
from tests.postgres import free_port

PIPELINES = Path(__file__).parents[2] / "pipelines"
LOCATION = "dagster_definitions.py"
SELECTOR = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
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

    def launch(self, job: str) -> None:
        """Queue a run of a job."""
        run = {"selector": {**SELECTOR, "jobName": job}, "mode": "default", "runConfigData": {}}
        self.query("mutation($run: ExecutionParams!) { launchRun(executionParams: $run) { __typename } }", run=run)

    def launch_backfill(self, months: Sequence[str]) -> str:
        """Have these months loaded again; return the back-fill's id."""
        launched = self.query(
            """mutation($months: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $months) {
            ... on LaunchBackfillSuccess { backfillId } } }""",
            months={"assetSelection": [{"path": ["toloka", "backfill"]}], "partitionNames": months},
        )
        backfill: str = launched["launchPartitionBackfill"]["backfillId"]
        return backfill

    def backfill_status(self, backfill: str) -> str:
        """Return how a back-fill goes; REQUESTED as long as it isn't done."""
        document = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
            ... on PartitionBackfill { status } } }"""
        status: str = self.query(document, id=backfill)["partitionBackfillOrError"]["status"]
        return status

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

    def pid(self, run_id: str) -> int:
        """Return the process of a run that loads."""
        said = "\n".join(self.messages(run_id))
        found = re.search(r"Executing steps in process \(pid: (\d+)\)", said)
        assert found, said
        return int(found[1])


@contextmanager
def dagster_server(
    folder: Path, programs: Path, settings: Mapping[str, str], *more_yaml: str
) -> Iterator[DagsterServer]:
    """Run `dagster dev` by its guide: dagster.yaml and what follows it, the definitions, these environment variables.

    Raises:
        TimeoutError: It doesn't start; says what it said.
    """
    port = free_port()
    options = ["-f", str(PIPELINES / LOCATION), "-h", "127.0.0.1", "-p", str(port)]
    with dagster_process([programs / "dagster", "dev", *options], folder, settings, *more_yaml) as process:
        server = DagsterServer(f"http://127.0.0.1:{port}", folder)
        wait_for(lambda: process.poll() is not None or _answers(server), START_SECONDS)
        if process.poll() is not None:
            raise TimeoutError(f"Dagster doesn't start:\n{(folder / 'log').read_text()}")
        yield server


@contextmanager
def dagster_process(
    command: Sequence[str | Path], folder: Path, settings: Mapping[str, str], *more_yaml: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with a home for Dagster in this folder; end it, and whatever it started."""
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(
        "\n".join((PIPELINES / name).read_text() for name in ("dagster.yaml", *more_yaml))
    )
    environment = {
        "PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(PIPELINES),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        **settings,
    }
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be ended with whatever it starts
        )
        try:
            yield process
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
