"""The page that `--report` writes: what is loaded and what the run did, in one HTML file that needs no network.

The numbers come from the views for BI tools, added up by the database: the page stays small however large the account.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import dlt
from dlt.common.destination import Destination
from dlt.common.destination.exceptions import DestinationException

from toloka_source.bi.trust import check_owners, own_names_only
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.bi.view_sql import DATASET, ENGINES, dataset_of
from toloka_source.destinations.failures import translated
from toloka_source.destinations.place import only_read
from toloka_source.destinations.secrets import without_secrets
from toloka_source.errors import ConfigurationError, DestinationError, FileError
from toloka_source.report import LoadReport

Row = Mapping[str, Any]

_MONTHS = """
    SELECT
        CAST(date_trunc('month', {time} AT TIME ZONE 'UTC') AS date) AS month,
        left(status, 60) AS status,
        count(*) AS {view}
    FROM toloka_bi.{view}
    WHERE date_trunc('month', {time} AT TIME ZONE 'UTC')
        > date_trunc('month', (SELECT max({time}) FROM toloka_bi.{view}) AT TIME ZONE 'UTC') - INTERVAL '36 months'
    GROUP BY 1, 2 ORDER BY 1, 2
"""

_KNOWN = """
    WITH known AS (
        SELECT resource, min(first) AT TIME ZONE 'UTC' AS since, max(last) AT TIME ZONE 'UTC' AS until
        FROM (
            SELECT 'projects' AS resource, valid_from AS first, valid_from AS last FROM toloka_bi.project_versions
            UNION ALL
            SELECT 'trainings', valid_from, valid_from FROM toloka_bi.training_versions
            UNION ALL
            SELECT resource, NULL, data_until FROM toloka_bi.loads
        ) AS moments
        GROUP BY resource
    )
"""
"""Since when each list has a history, and up to when it is known."""

_QUERIES = {
    "project_numbers": """
        SELECT
            count(*) AS projects,
            count(CASE WHEN status = 'ACTIVE' THEN 1 END) AS active,
            count(CASE WHEN has_quality_control THEN 1 END) AS controlled
        FROM toloka_bi.projects
    """,
    "training_numbers": """
        SELECT
            count(*) AS trainings,
            count(CASE WHEN is_open THEN 1 END) AS open,
            count(DISTINCT CASE WHEN is_open THEN project_id END) AS open_projects,
            count(CASE WHEN last_started_at IS NULL THEN 1 END) AS never_started
        FROM toloka_bi.trainings
    """,
    "project_months": _MONTHS.format(view="projects", time="created_at"),
    "training_months": _MONTHS.format(view="trainings", time="last_started_at"),
    "training_states": """
        SELECT
            left(status, 60) AS status,
            is_open,
            CASE WHEN NOT is_open THEN left(last_close_reason, 60) END AS reason,
            count(*) AS trainings
        FROM toloka_bi.trainings GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 3 LIMIT 12
    """,
    "stalest": """
        SELECT
            training_id, left(training_name, 120) AS training, project_id, left(project_name, 120) AS project,
            days_since_last_start AS days
        FROM toloka_bi.trainings WHERE is_open ORDER BY last_started_at NULLS LAST, training_id LIMIT 7
    """,
    "fields": """
        SELECT direction, least(fields, 15) AS fields, count(*) AS projects
        FROM (
            SELECT 'input' AS direction, input_fields AS fields FROM toloka_bi.projects
            UNION ALL
            SELECT 'output', output_fields FROM toloka_bi.projects
        ) AS of_each
        GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "rules": """
        SELECT left(collector, 60) AS collector, count(*) AS rules, count(DISTINCT project_id) AS projects
        FROM toloka_bi.quality_rules GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 12
    """,
    "setup_health": """
        SELECT resource, finding, id, left(name, 120) AS name, objects
        FROM (
            SELECT
                resource, finding, id, name, count(*) OVER (PARTITION BY resource, finding) AS objects,
                row_number() OVER (PARTITION BY resource, finding ORDER BY created_at DESC NULLS LAST, id) AS place
            FROM toloka_bi.setup_health
        ) AS ranked
        WHERE place <= 3 ORDER BY resource, finding, place
    """,
    "history": f"{_KNOWN} SELECT min(since) AS since, max(until) AS until FROM known",  # noqa: S608 - ours
    # what was opened and closed up to each day, added up
    "open_days": f"""
        {_KNOWN}, days AS (
            SELECT CAST(until AS date) - CAST(ago AS integer) AS day
            FROM known, generate_series(0, 89) AS past(ago)
            WHERE resource = 'trainings' AND CAST(until AS date) - CAST(ago AS integer) >= CAST(since AS date)
        ), changes AS (
            SELECT CAST(moment AT TIME ZONE 'UTC' AS date) AS changed_on, sum(opened) AS opened
            FROM (
                SELECT valid_from AS moment, 1 AS opened FROM toloka_bi.training_versions WHERE is_open
                UNION ALL
                SELECT valid_to, -1 FROM toloka_bi.training_versions WHERE is_open AND NOT is_current
            ) AS each_change
            GROUP BY 1
        )
        SELECT day, 'OPEN' AS status, CAST(coalesce(sum(opened), 0) AS bigint) AS trainings
        FROM days LEFT JOIN changes ON changed_on <= day GROUP BY day ORDER BY day
    """,  # noqa: S608 - ours
    "change_weeks": f"""
        {_KNOWN}
        SELECT
            CAST(date_trunc('week', seen_at AT TIME ZONE 'UTC') AS date) AS week,
            left(to_status, 60) AS status,
            count(*) AS changes
        FROM toloka_bi.status_changes
        WHERE date_trunc('week', seen_at AT TIME ZONE 'UTC')
            > date_trunc('week', (SELECT max(until) FROM known)) - INTERVAL '26 weeks'
        GROUP BY 1, 2 ORDER BY 1, 2
    """,  # noqa: S608 - ours
    "latest_changes": """
        SELECT
            resource, id, left(name, 120) AS name, left(from_status, 60) AS from_status,
            left(to_status, 60) AS to_status, seen_after AT TIME ZONE 'UTC' AS seen_after,
            status_changes.seen_at AT TIME ZONE 'UTC' AS seen_at
        FROM toloka_bi.status_changes ORDER BY status_changes.seen_at DESC, resource, id LIMIT 10
    """,
    "loads": """
        SELECT
            loaded_at AT TIME ZONE 'UTC' AS loaded_at, resource, kind, new_rows, changed_rows, unchanged_rows,
            gone_rows, rejected_rows, seconds, data_until AT TIME ZONE 'UTC' AS data_until,
            full_read_at AT TIME ZONE 'UTC' AS full_read_at
        FROM toloka_bi.loads WHERE status = 'ok' ORDER BY loads.loaded_at DESC, resource LIMIT 12
    """,
}


def check_report(path: str | None, destination: Destination[Any, Any]) -> None:
    """Find what would stop a page from being written, before anything is loaded.

    Args:
        path: The file; None: no page is wanted.
        destination: What will be loaded into.

    Raises:
        ConfigurationError: The page can't be written.
    """
    if path is None:
        return
    if destination.destination_type not in ENGINES:
        raise ConfigurationError("report", path, f"needs duckdb or postgres, not {destination.destination_name}")
    if not all(map(find_spec, ("altair", "vl_convert"))):
        raise ConfigurationError("report", path, "needs the extra report: pip install 'toloka-source[report]'")
    if Path(path).is_dir():
        raise ConfigurationError("report", path, "is a folder; name a file")
    try:
        _write(path, "", keep=False)
    except OSError as error:
        raise ConfigurationError("report", path, f"can't be written: {error.strerror}") from error


def write_report(path: str, pipeline: dlt.Pipeline, reports: Sequence[LoadReport]) -> int:
    """Write the page.

    Args:
        path: The file; it is replaced at once, when the new one is whole.
        pipeline: What was run.
        reports: What it did; of a back-fill, what each window's load did.

    Returns:
        The file's size in bytes.

    Raises:
        DestinationError: The views can't be read, or aren't ours, or not of this dataset.
        FileError: The page can't be written.
    """
    from toloka_source.bi.page import page  # noqa: PLC0415 - only who wants a page needs the extra

    engine = ENGINES[pipeline.destination.destination_type].title
    try:
        data = _read(pipeline)
    except (DestinationException, DestinationError) as error:
        raise DestinationError(f"loaded, but without a report: {translated(without_secrets(error))}") from error
    parts = [part for report in reports for part in report.resources]
    text = page(data, parts, f"{pipeline.dataset_name} in {engine}")
    try:
        _write(path, text)
    except OSError as error:
        raise FileError(path, str(error.strerror), "loaded, but without a report: ") from error
    return len(text.encode())


def _read(pipeline: dlt.Pipeline) -> dict[str, list[Row]]:
    engine = ENGINES[pipeline.destination.destination_type]
    with only_read(pipeline), pipeline.destination_client() as destination:
        client: Any = destination.sql_client  # type: ignore[attr-defined] # both engines' clients have one
        with own_names_only(client, engine):
            check_owners(client, engine, DATASET)
            comments = dict(client.execute_sql(engine.comments, DATASET))
            datasets = {dataset_of(comments.get(view)) for view in VIEWS}
            if datasets != {client.capabilities.casefold_identifier(client.dataset_name)}:
                raise DestinationError(f"the views in {DATASET} aren't of this dataset; load it with views=True")
            return {name: _rows(client, query) for name, query in _QUERIES.items()}


def _rows(client: Any, query: str) -> list[Row]:  # noqa: ANN401 - dlt's client of either engine
    with client.execute_query(query) as cursor:
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _write(path: str, text: str, *, keep: bool = True) -> None:
    """Write a file at once: whoever opens it meanwhile sees the old one, or none. It keeps the old one's mode."""
    target = Path(path)
    # a name that nobody can guess, of a file that wasn't there, which its owner alone can read
    begin = f".{target.name}."
    with NamedTemporaryFile("w", encoding="utf-8", delete=False, dir=target.parent, prefix=begin) as output:
        part = Path(output.name)
        try:
            output.write(text)
            output.flush()
            if keep:
                with suppress(FileNotFoundError):
                    part.chmod(target.stat().st_mode)
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
