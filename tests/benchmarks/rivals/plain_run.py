"""This project's source with dlt's own `run`, for what `load` adds to it."""

from tests.benchmarks import checks
from tests.benchmarks.rivals.ours import Job, check, prepare
from toloka_source import toloka

__all__ = ["check", "first_load", "increment", "prepare", "rescan"]


def first_load(job: Job, hours: float = 24) -> int:
    """Run once."""
    pipeline, base_url = job
    source = toloka(token="benchmark", base_url=base_url, rescan_after_hours=hours)  # noqa: S106 - no secret
    pipeline.run(source)
    return checks.rows_of(pipeline)


def increment(job: Job) -> int:
    """Run once more: the same call."""
    return first_load(job)


def rescan(job: Job) -> int:
    """Read everything again, and write what has changed."""
    return first_load(job, hours=0)
