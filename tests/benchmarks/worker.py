"""What runs in a process of its own: one phase of one rival, or the check of what it left.

    python -m tests.benchmarks.worker RIVAL PHASE BASE_URL

The current folder is the rival's; the measured numbers, or the facts, go to a file in it.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any


def main(rival: str, phase: str, base_url: str) -> None:
    """Run a rival's function: `first_load`, `increment`, `rescan` or `check`."""
    module = import_module(f"tests.benchmarks.rivals.{rival}")
    result: dict[str, Any]
    if phase == "check":
        result = module.check()
    else:
        job = module.prepare(base_url)
        wall = perf_counter()
        written = getattr(module, phase)(job)
        result = {"seconds": perf_counter() - wall, "written": written}
    Path(f"{phase}.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
