"""One run of a pipeline, and what it did; the place where dlt's errors become this package's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import dlt
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.trace import PipelineTrace

from toloka_source.errors import DestinationLockedError, TolokaError
from toloka_source.source import RUN_METRICS


@dataclass(frozen=True)
class ResourceReport:
    """What a run did for one resource.

    Attributes:
        name: The resource.
        rows: Rows loaded, rejected objects not counted.
        requests: Requests sent, retries included.
        retries: How many of them were retries.
        rejected: Objects that went to `rejected_items`, as they don't fit their schema.
        window_start: The window's start (UTC), not in it; None: everything was read.
        window_end: The moment (UTC) up to which the table is complete.
        seconds: Time from the resource's first request to its last row.
    """

    name: str
    rows: int
    requests: int
    retries: int
    rejected: int
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


def load(pipeline: dlt.Pipeline, source: DltSource) -> LoadReport:
    """Run the pipeline on the source.

    Args:
        pipeline: Any dlt pipeline.
        source: What `toloka` returned; a fresh one for each run.

    Raises:
        TolokaError: What went wrong on the way from the API; nothing was loaded and the cursor has not moved.
        DestinationLockedError: Another process holds the destination's file.
        PipelineStepFailed: Any other failure of dlt's.
    """
    started = monotonic()
    try:
        pipeline.run(source)
    except PipelineStepFailed as error:
        raise _cause(error) from error
    return LoadReport(tuple(_reports(pipeline.last_trace, list(source.selected_resources))), monotonic() - started)


def _reports(trace: PipelineTrace | None, names: Sequence[str]) -> Iterator[ResourceReport]:
    extracted = trace.last_extract_info if trace else None
    normalized = trace.last_normalize_info if trace else None
    rows = normalized.row_counts if normalized else {}
    steps = [step for steps in (extracted.metrics if extracted else {}).values() for step in steps]
    for name in names:
        for step in steps:
            if metrics := step["resource_metrics"].get(name):
                yield ResourceReport(name=name, rows=rows.get(name, 0), **metrics.custom_metrics[RUN_METRICS])


def _cause(error: PipelineStepFailed) -> Exception:
    """Return the error of this package that dlt wrapped, or the wrapper itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TolokaError):
            return cause
        if "Could not set lock on file" in str(cause):
            break
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return error
    reason = str(cause).partition("See also")[0].rpartition("IO Error: ")[2].strip()
    return DestinationLockedError(f"end the other process, then run again: {reason}")
