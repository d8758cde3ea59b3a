"""What a run did, taken from dlt's trace."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import dlt
from dlt.extract import DltSource

from toloka_source.hints import REJECTED_ITEMS
from toloka_source.run import RUN_METRICS


@dataclass(frozen=True)
class ResourceReport:
    """What a run did for one resource.

    Attributes:
        name: The resource.
        rows: Rows loaded, rejected objects not counted.
        requests: Requests sent, retries included.
        retries: How many of them were retries.
        rejected: Objects that went to `rejected_items`, as they don't fit their schema.
        is_backfill: Whether the run was a back-fill, which leaves the cursor alone.
        window_start: The window's start (UTC), not in it; None: everything was read.
        window_end: The moment (UTC) up to which the table is complete; None: the run was ended early, by `add_limit`.
        seconds: Time from the resource's first request to its last row.
    """

    name: str
    rows: int
    requests: int
    retries: int
    rejected: int
    is_backfill: bool
    window_start: datetime | None
    window_end: datetime | None
    seconds: float


@dataclass(frozen=True)
class LoadReport:
    """What a run did.

    Attributes:
        resources: A report for each resource.
        seconds: Time for the whole run, loading included.
    """

    resources: tuple[ResourceReport, ...]
    seconds: float


def resource_reports(pipeline: dlt.Pipeline, source: DltSource) -> Iterator[ResourceReport]:
    """Yield what the pipeline's last run did for each selected resource of the source."""
    trace = pipeline.last_trace
    extracted = trace.last_extract_info if trace else None
    normalized = trace.last_normalize_info if trace else None
    rows: Counter[str] = Counter()
    tables = pipeline.schemas[source.schema.name].tables
    for table, count in (normalized.row_counts if normalized else {}).items():
        if table in tables and table != REJECTED_ITEMS:  # a table can bear any name that the user has given it
            rows[str(tables[table].get("resource"))] += count
    steps = [step for steps in (extracted.metrics if extracted else {}).values() for step in steps]
    for name in source.selected_resources:
        for step in steps:
            metrics = step["resource_metrics"].get(name)
            if metrics and RUN_METRICS in metrics.custom_metrics:
                yield ResourceReport(name=name, rows=rows[name], **metrics.custom_metrics[RUN_METRICS])
