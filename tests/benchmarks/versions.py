"""What a measurement depends on: the code of a rival and of the benchmark, the packages, the machine."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.environments import RIVALS, ROOT

HERE = Path(__file__).parent
SHARED = ("dataset.py", "listing.py", "server.py", "measure.py", "worker.py", "checks.py", "environments.py")
_LIST = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"


def packages_of(python: Path) -> dict[str, str]:
    """Return the packages of an environment and their versions."""
    run = subprocess.run([str(python), "-c", _LIST], check=True, capture_output=True, text=True, cwd="/")
    found: dict[str, str] = json.loads(run.stdout)
    return dict(sorted(found.items()))


def version_of(rival: str, packages: dict[str, str]) -> str:
    """Return a hash of all that a rival's figures depend on."""
    digest = hashlib.sha256(json.dumps([packages, machine()]).encode())
    for file in _files(rival):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _files(rival: str) -> Iterator[Path]:
    yield from (HERE / name for name in SHARED)
    yield from sorted((HERE / "rivals").glob(f"{rival}*.py"))
    yield from sorted((ROOT / "toloka_source" / "emulator").glob("lifelike*.py"))
    if RIVALS[rival].uses_us:
        yield from sorted((ROOT / "toloka_source").rglob("*.py"))
        yield from sorted((ROOT / "toloka_source").rglob("*.sql"))
        yield ROOT / RIVALS["ours"].command[0]


def machine() -> dict[str, Any]:
    """Return what is said of the machine."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def conditions(packages: dict[str, str]) -> dict[str, Any]:
    """Return when and on what something is measured now."""
    named = {name: packages[name] for name in ("dlt", "duckdb", "pyarrow", "singer-sdk", "airbyte") if name in packages}
    return {
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "load": round(os.getloadavg()[0], 1),
        "commit": commit(),
        "packages": named,
        **machine(),
    }


def commit() -> str:
    """Return the commit that is checked out, with a + if files were changed; empty where there is no git."""
    try:
        return _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def _git(*command: str) -> str:
    run = subprocess.run(["git", *command], check=True, capture_output=True, text=True, cwd=ROOT)  # noqa: S607
    return run.stdout.strip()
