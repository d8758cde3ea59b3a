"""This project, as its documentation says: `load` on the source."""

import dlt

from tests.benchmarks import checks
from toloka_source import load, toloka
from toloka_source.catalog import DEFAULT_ENDPOINTS

Job = tuple[dlt.Pipeline, str]


def prepare(base_url: str) -> Job:
    """Return the pipeline, named as in `pipelines/toloka_pipeline.py`, and the address."""
    return dlt.pipeline("toloka", destination="duckdb", dataset_name="toloka_data"), base_url


def first_load(job: Job, hours: float = 24) -> int:
    """Run once."""
    pipeline, base_url = job
    report = load(pipeline, toloka(token="benchmark", base_url=base_url, rescan_after_hours=hours))  # noqa: S106 - no secret
    return sum(one.rows for one in report.resources)


def increment(job: Job) -> int:
    """Run once more: the same call."""
    return first_load(job)


def rescan(job: Job) -> int:
    """Read everything again, and write what has changed."""
    return first_load(job, hours=0)


def check() -> checks.Facts:
    """Return what is in the tables."""
    return checks.of_tables("toloka.duckdb", {name: f"FROM toloka_data.{name}" for name in DEFAULT_ENDPOINTS})
