"""The table of loads: a row for each load and resource, also where nothing was new."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dlt

from toloka_source.bi.engines import Engine
from toloka_source.bi.view_schemas import RUNS
from toloka_source.destinations.secrets import hide
from toloka_source.errors import one_line, shortened
from toloka_source.report import ResourceReport

Row = Mapping[str, Any]


def rows_of(pipeline: dlt.Pipeline, reports: Sequence[ResourceReport], seconds: float) -> list[Row]:
    """Return the rows of a load that succeeded.

    Args:
        pipeline: What was run.
        reports: What it loaded.
        seconds: How long that took.
    """
    normalized = pipeline.last_trace.last_normalize_info if pipeline.last_trace else None
    load_id = normalized.loads_ids[-1] if normalized and normalized.loads_ids else None
    now = datetime.now(UTC)
    return [
        {
            "loaded_at": now,
            "pipeline": pipeline.pipeline_name,
            "load_id": load_id,
            "seconds": seconds,
            "resource": report.name,
            "kind": report.kind,
            "loaded_rows": report.rows,
            "new_rows": report.new,
            "changed_rows": report.changed,
            "unchanged_rows": report.unchanged,
            "gone_rows": report.gone,
            "rejected_rows": report.rejected,
            "requests": report.requests,
            # a back-fill says nothing of what came after it
            "complete_until": None if report.is_backfill else report.window_end,
            "status": "failed" if report.is_forbidden else "ok",
            "error": "the token may not read the list" if report.is_forbidden else None,
        }
        for report in reports
    ]


def rows_of_failure(
    pipeline: dlt.Pipeline, resources: Sequence[str], error: BaseException, seconds: float
) -> list[Row]:
    """Return the rows of a load that failed: all of its lists did, as it loads all of them or none.

    Args:
        pipeline: What was run.
        resources: What it was to load.
        error: Why it failed.
        seconds: How long that took.
    """
    run = {
        "loaded_at": datetime.now(UTC),
        "pipeline": pipeline.pipeline_name,
        "seconds": seconds,
        "status": "failed",
        "error": shortened(hide(one_line(error))),
    }
    return [run | {"resource": resource} for resource in resources]


def insertion(table: str, rows: Sequence[Row]) -> tuple[str, list[Any]]:
    """Return the statement that adds the rows, and its values."""
    values = ", ".join(f"({', '.join(['%s'] * len(row))})" for row in rows)
    return f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {values}", [one for row in rows for one in row.values()]  # noqa: S608


def creation(table: str, engine: Engine) -> str:
    """Return the statement that makes the table, unless it is there."""
    columns = ", ".join(f"{field.name} {engine.type_of(field)}" for field in RUNS)
    return f"CREATE TABLE IF NOT EXISTS {table} ({columns})"


def takeover(table: str, columns: Sequence[str], engine: Engine) -> Iterator[str]:
    """Yield the statements that take over a table that older versions made, the oldest with a row for both resources.

    Its own columns stay: the views read them until they are made anew.
    """
    if not {"resource", "project_rows"} & {*columns}:
        return
    for field in RUNS:
        if field.name not in columns:
            yield f"ALTER TABLE {table} ADD COLUMN {field.name} {engine.type_of(field)}"
    if "resource" in columns:
        return
    kept = "loaded_at, pipeline, load_id, seconds"
    yield (
        f"INSERT INTO {table} ({kept}, resource, loaded_rows, rejected_rows, complete_until) "  # noqa: S608
        f"SELECT {kept}, 'trainings', training_rows, CASE WHEN project_rows IS NULL THEN rejected_rows ELSE 0 END, "
        f"trainings_until FROM {table} WHERE training_rows IS NOT NULL"
    )
    yield f"DELETE FROM {table} WHERE resource IS NULL AND project_rows IS NULL"  # noqa: S608
    yield (
        f"UPDATE {table} SET resource = 'projects', loaded_rows = project_rows, complete_until = projects_until "  # noqa: S608
        "WHERE resource IS NULL"
    )
