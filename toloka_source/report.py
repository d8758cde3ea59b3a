"""What a run did, taken from dlt's trace."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dlt.pipeline.trace import PipelineTrace

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
        window_end: The moment (UTC) up to which the table is complete.
        seconds: Time from the resource's first request to its last row.
    """

    name: str
    rows: int
    requests: int
    retries: int
    rejected: int
    is_backfill: bool
    window_start: datetime | None
    window_end: datetime
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


def resource_reports(trace: PipelineTrace | None, names: Sequence[str]) -> Iterator[ResourceReport]:
    """Yield what the last run did for each of these resources."""
    extracted = trace.last_extract_info if trace else None
    normalized = trace.last_normalize_info if trace else None
    rows = normalized.row_counts if normalized else {}
    steps = [step for steps in (extracted.metrics if extracted else {}).values() for step in steps]
    for name in names:
        for step in steps:
            if metrics := step["resource_metrics"].get(name):
                yield ResourceReport(name=name, rows=rows.get(name, 0), **metrics.custom_metrics[RUN_METRICS])
