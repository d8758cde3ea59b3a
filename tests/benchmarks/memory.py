"""The peak memory of a first load by this project: `python -m tests.benchmarks.memory OBJECTS...` prints it in MB.

In a process of its own, as a load's peak begins with that of the process that started it, and pytest is large.
"""

import sys

from tests.benchmarks.environments import RIVALS, ROOT
from tests.benchmarks.measure import run_process, temporary_folder
from tests.benchmarks.server import serve


def peak_mb(objects: int) -> float:
    """Load an account of so many objects; return the peak memory."""
    script, *options = RIVALS["ours"].command
    with serve(objects) as control, temporary_folder() as folder:
        control.begin(state=0, latency=0.0)
        return run_process("ours", [sys.executable, str(ROOT / script), *options], folder, control.base_url).peak_mb


if __name__ == "__main__":
    sys.stdout.write(" ".join(str(peak_mb(int(objects))) for objects in sys.argv[1:]))
