"""Who takes part, and an environment of its own for whoever needs other packages than this project."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[2]

OPT_OUTS = {
    "AIRBYTE_OFFLINE_MODE": "1",
    "DO_NOT_TRACK": "1",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "OTEL_SDK_DISABLED": "true",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "SCARF_NO_ANALYTICS": "true",
}
"""Nobody measured here reports it to anybody."""


@dataclass(frozen=True)
class Rival:
    """One way to bring the objects into DuckDB.

    Attributes:
        title: For the report.
        restarted: How it finds trainings that were started again.
        uses_us: Whether it runs this project's code.
        packages: What its environment holds; empty: it runs in this project's own, with the same dlt and DuckDB.
        command: A script that does a phase as users run it; empty: the worker's process stands for it.
    """

    title: str
    restarted: str
    uses_us: bool = False
    packages: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


# duckdb < 2: the same for all, as far as they take it
RIVALS: Mapping[str, Rival] = MappingProxyType(
    {
        "ours": Rival(
            "this project",
            "in the same window, in the same table",
            uses_us=True,
            command=("pipelines/toloka_pipeline.py", "--progress", "off"),
        ),
        "floor": Rival(
            "floor: by hand, no pipeline",
            "a query more, by hand; no state, no retries, no recovery",
            uses_us=True,
        ),
        "rest_api": Rival("dlt's rest_api source", "a second resource, into the same table"),
        "toloka_kit": Rival(
            "toloka-kit and pandas",
            "a query more, by hand",
            packages=(
                *("toloka-kit==1.2.3", "httpx<0.28", "setuptools<80", "cattrs<23"),
                *("pandas<3", "pyarrow", "duckdb>=1.4,<2"),
            ),
        ),
        "singer": Rival(
            "Singer: singer-sdk, target-duckdb",
            "a query more in the tap, by hand",
            packages=("singer-sdk==0.54.9", "target-duckdb==0.8.0", "duckdb>=1.4,<2"),
        ),
        "airbyte": Rival("PyAirbyte", "a second stream, with a table of its own", packages=("airbyte==0.71.3",)),
        "plain_run": Rival("this project's source, by dlt's `run`", "as this project", uses_us=True),
    }
)


class UnavailableError(Exception):
    """A rival's environment can't be built; says why."""


def build(name: str, folder: Path) -> Path:
    """Return the Python of a rival's environment; make it unless it is there.

    Raises:
        UnavailableError: It can't be made.
    """
    packages = RIVALS[name].packages
    key = hashlib.sha256(repr((packages, sys.version)).encode()).hexdigest()[:8]
    environment = folder / f"{name if packages else 'project'}-{key}"
    python = environment / "bin" / "python"
    finished = environment / "finished"
    uv = {"UV_PROJECT_ENVIRONMENT": str(environment), "UV_COMPILE_BYTECODE": "1"}
    if not packages:
        _run(["uv", "sync", "--quiet", "--no-dev", "--extra", "duckdb", "--python", sys.executable], uv)
    elif not finished.exists():
        _run(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], uv)
        _run(["uv", "pip", "install", "--quiet", "--python", str(python), *packages], uv)
        finished.touch()
    return python


def variables(folder: Path, base_url: str) -> dict[str, str]:
    """Return the environment variables of a load in a folder: nothing from outside but the search path."""
    return {
        **OPT_OUTS,
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "SOURCES__TOLOKA__TOKEN": "benchmark",
        "SOURCES__TOLOKA__BASE_URL": base_url,
        # the others find no edits in their increment: reading all again is measured apart from it
        "SOURCES__TOLOKA__RESCAN_AFTER_HOURS": "24",
    }


def _run(command: list[str], variables: dict[str, str]) -> None:
    try:
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UnavailableError("uv is not installed") from error
    except subprocess.CalledProcessError as error:
        raise UnavailableError(" ".join(error.stderr.split())[-500:]) from error
