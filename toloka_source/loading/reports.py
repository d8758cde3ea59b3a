"""What a run did, taken from dlt's trace."""

from collections import Counter
from collections.abc import Iterator

import dlt
from dlt.extract import DltSource

from toloka_source.report import ResourceReport
from toloka_source.tables.further_tables import further_tables
from toloka_source.tables.resource_run import RUN_METRICS


def resource_reports(pipeline: dlt.Pipeline, source: DltSource) -> Iterator[ResourceReport]:
    """Yield what the pipeline's last run did for each selected resource of the source."""
    trace = pipeline.last_trace
    extracted = trace.last_extract_info if trace else None
    normalized = trace.last_normalize_info if trace else None
    rows: Counter[str] = Counter()
    tables = pipeline.schemas[source.schema.name].tables
    for table, count in (normalized.row_counts if normalized else {}).items():
        # a table can bear any name that the user has given it
        resource = str(tables[table].get("resource")) if table in tables else ""
        if table not in further_tables(resource):
            rows[resource] += count
    steps = [step for steps in (extracted.metrics if extracted else {}).values() for step in steps]
    for name in source.selected_resources:
        for step in steps:
            metrics = step["resource_metrics"].get(name)
            if metrics and RUN_METRICS in metrics.custom_metrics:
                yield ResourceReport(name=name, rows=rows[name], **metrics.custom_metrics[RUN_METRICS])
