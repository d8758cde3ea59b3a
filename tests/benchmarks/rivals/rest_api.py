"""dlt's generic REST source: the same lists, paging and cursors, declared in a dictionary.

Trainings are two resources into one table, as a resource has one cursor. The lane of restarted trainings begins at
the moment of the first load, so that the first load doesn't read every started training twice.
"""

import dlt
from dlt.common.typing import TRefreshMode
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import EndpointResource

from tests.benchmarks import checks

START = "1970-01-01T00:00:00"
FIRST_LOAD = "2026-01-01T00:00:00"

Job = tuple[dlt.Pipeline, str]


def _resource(name: str, table: str, cursor: str, start: str) -> EndpointResource:
    return {
        "name": name,
        "table_name": table,
        "primary_key": "id",
        "write_disposition": "merge",
        "columns": {field: {"data_type": "timestamp"} for field in checks.TIMES[table]},
        "endpoint": {
            "path": table,
            "params": {"sort": "id", "limit": 300},
            "data_selector": "items",
            "incremental": {"cursor_path": cursor, "start_param": f"{cursor}_gt", "initial_value": start},
            "paginator": {
                "type": "cursor",
                "cursor_path": "items[-1].id",
                "cursor_param": "id_gt",
                "has_more_path": "has_more",
            },
        },
    }


def prepare(base_url: str) -> Job:
    """Return the pipeline and the address."""
    return dlt.pipeline("rest_api", destination="duckdb", dataset_name="toloka_data"), base_url


def first_load(job: Job, refresh: TRefreshMode | None = None) -> int:
    """Run once."""
    pipeline, base_url = job
    source = rest_api_source(
        {
            "client": {"base_url": f"{base_url}/", "headers": {"Authorization": "OAuth benchmark"}},
            "resources": [
                _resource("projects", "projects", "created", START),
                _resource("trainings", "trainings", "created", START),
                _resource("restarted_trainings", "trainings", "last_started", FIRST_LOAD),
            ],
        }
    )
    pipeline.run(source, refresh=refresh)  # type: ignore[arg-type] # dlt's own default is None
    return checks.rows_of(pipeline)


def increment(job: Job) -> int:
    """Run once more: the same call."""
    return first_load(job)


def rescan(job: Job) -> int:
    """Run once more without the state: a full refresh."""
    return first_load(job, refresh="drop_sources")


def check() -> checks.Facts:
    """Return what is in the tables."""
    return checks.of_tables("rest_api.duckdb", {name: f"FROM toloka_data.{name}" for name in checks.TIMES})
