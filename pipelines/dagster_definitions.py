"""Dagster: Toloka's tables as assets with checks, loaded on a schedule, and months to load again.

    SOURCES__TOLOKA__TOKEN=... dagster dev -f pipelines/dagster_definitions.py

Environment variables; the token is read by each run, the others when Dagster loads this file:
    SOURCES__TOLOKA__TOKEN  the account's token
    TOLOKA_DESTINATION      any dlt destination (duckdb)
    TOLOKA_DATASET          the dataset, or schema, of the tables (toloka_data)
    TOLOKA_RESOURCES        the lists, with commas between, or all (projects,trainings)
    TOLOKA_SCHEDULE         when to load, as cron says it (0 * * * *, every hour)
    TOLOKA_FRESH_HOURS      the age at which a table is stale (3)
    TOLOKA_BACKFILL_START   the first month of the back-fill (2024-01-01)
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dagster as dg
import dlt
from dagster_dlt import DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import DestinationException, DestinationTransientException
from dlt.common.schema import Schema
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed
from pydantic import Field

from toloka_source import ResourceReport, TolokaError, errors, load, load_window, resource_names, split_windows, toloka
from toloka_source.destinations.place import only_read
from toloka_source.destinations.secrets import without_secrets
from toloka_source.tables.further_tables import REJECTED_ITEMS
from toloka_source.times import parse_time


def hours(name: str, default: str) -> timedelta:
    """Read an environment variable that is a number of hours.

    Raises:
        ConfigurationError: It is none.
    """
    text = os.environ.get(name, default)
    with suppress(ValueError, OverflowError):
        if (duration := timedelta(hours=float(text))) > timedelta():
            return duration
    raise errors.ConfigurationError(name, text, "must be a number of hours, more than 0")


DESTINATION = os.environ.get("TOLOKA_DESTINATION", "duckdb")
DATASET = os.environ.get("TOLOKA_DATASET", "toloka_data")
RESOURCES = resource_names(os.environ.get("TOLOKA_RESOURCES"))
SCHEDULE = os.environ.get("TOLOKA_SCHEDULE", "0 * * * *")
FRESH = hours("TOLOKA_FRESH_HOURS", "3")
BACKFILL_START = parse_time(os.environ.get("TOLOKA_BACKFILL_START", "2024-01-01"), "TOLOKA_BACKFILL_START")

POOL = "toloka"
"""What must not run twice at once shares this pool; it wants a limit of 1."""

RETRIES = dg.RetryPolicy(max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For a whole load: by then each of its requests has been tried for minutes."""

MAY_PASS = (
    *(errors.TemporaryError, errors.BusyError, errors.DestinationDownError, errors.DestinationLockedError),
    *(DestinationTransientException, PipelineStepFailed),
)
"""Errors after which another try is of use."""


class Toloka(dg.ConfigurableResource):  # type: ignore[type-arg] # a resource that is its own value
    """The account to read and the place to load into; what is left out here, dlt's own configuration says."""

    token: str = Field(repr=False, description="The account's token.")
    environment: str | None = Field(default=None, description="production or sandbox.")
    base_url: str | None = Field(default=None, description="Another address of the API, such as a local one.")
    destination: str = Field(
        default=DESTINATION, description="Any dlt destination; dlt's own configuration has its credentials."
    )
    dataset: str = Field(default=DATASET, description="The dataset, or schema, of the tables.")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `toloka` that are given here."""
        given = {"token": self.token, "environment": self.environment, "base_url": self.base_url}
        return {"resources": RESOURCES, **{name: value for name, value in given.items() if value is not None}}

    def source(self) -> DltSource:
        """Return a new source: one that was run holds what that run found."""
        return toloka(**self.arguments())

    def pipeline(self) -> dlt.Pipeline:
        """Return the pipeline of the regular loads."""
        return dlt.pipeline("toloka", destination=self.destination, dataset_name=self.dataset)


def table_key(table: str) -> dg.AssetKey:
    """Return the key of a table's asset."""
    return dg.AssetKey(["toloka", table])


class Tables(DagsterDltTranslator):
    """Makes an asset of each resource."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Return what Dagster knows of a table before it is loaded."""
        name = data.resource.name
        return dg.AssetSpec(
            table_key(name),
            description=f"Toloka's {name}, one row each, kept up to date by id.",
            metadata={"dagster/table_name": f"{DATASET}.{name}"},
            kinds={"dlt", DESTINATION},
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FRESH),
        )


@contextmanager
def one_line_failures(context: dg.OpExecutionContext) -> Iterator[None]:
    """Turn an error into a failed step with its reason in one line, or into another try where that is of use.

    Raises:
        RetryRequested: It may pass, and tries are left.
        Failure: It won't pass by itself, or it has been tried often enough.
    """
    try:
        yield
    except (TolokaError, ConfigurationException, DestinationException, PipelineStepFailed) as error:
        without_secrets(error)
        passes = isinstance(error, MAY_PASS) and not isinstance(error, errors.QuotaError)
        if passes and context.retry_number < RETRIES.max_retries:
            delay = RETRIES.calculate_delay(context.retry_number + 1)
            raise dg.RetryRequested(RETRIES.max_retries, delay) from error
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise dg.Failure(reason, allow_retries=False) from error


@dlt_assets(
    # only to be asked for its resources; each run makes a source and a pipeline of its own
    dlt_source=toloka(token="placeholder", resources=RESOURCES),  # noqa: S106 - no secret
    dlt_pipeline=None,  # type: ignore[arg-type] # a pipeline would leave a folder behind
    name="load_tables",
    group_name="toloka",
    dagster_dlt_translator=Tables(),
    pool=POOL,
)
def tables(context: dg.AssetExecutionContext, toloka_api: Toloka) -> Iterator[dg.MaterializeResult[None]]:
    """Load what is new since the last run, of the selected tables."""
    selected = [name for name in RESOURCES if table_key(name) in context.selected_asset_keys]
    with one_line_failures(context.op_execution_context):
        pipeline = toloka_api.pipeline()
        report = load(pipeline, toloka_api.source().with_resources(*selected), views=True)
        report.raise_if_short()
        report.raise_if_forbidden()
    for resource in report.resources:
        context.log.info(summary(resource))
        columns = dg.MetadataValue.table_schema(column_schema(pipeline.default_schema, resource.name))
        metadata = {**report_metadata(resource), "dagster/column_schema": columns}
        yield dg.MaterializeResult(asset_key=table_key(resource.name), metadata=metadata)


def summary(resource: ResourceReport) -> str:
    """Return a run's report on a resource, for the log."""
    start = "everything" if resource.window_start is None else f"{resource.window_start:%Y-%m-%d %H:%M:%S}"
    end = "ended early" if resource.window_end is None else f"{resource.window_end:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{resource.name}: {resource.kind}, rows {resource.rows}, unchanged {resource.unchanged}, "
        f"gone {resource.gone}, rejected {resource.rejected}, requests {resource.requests}, "
        f"retries {resource.retries}, window {start} .. {end}, {resource.seconds:.1f} s"
    )


def report_metadata(resource: ResourceReport) -> dict[str, dg.MetadataValue[Any]]:
    """Return what a run did for a resource, as a materialization shows it."""
    value = dg.MetadataValue
    start, end = resource.window_start, resource.window_end
    return {
        "kind": value.text(resource.kind),
        "rows": value.int(resource.rows),
        # a back-fill isn't compared with what is there
        **{
            name: value.int(count)
            for name, count in (("new", resource.new), ("changed", resource.changed))
            if count is not None
        },
        "unchanged": value.int(resource.unchanged),
        "gone": value.int(resource.gone),
        "rejected": value.int(resource.rejected),
        "requests": value.int(resource.requests),
        "retries": value.int(resource.retries),
        "window_start": value.text("everything") if start is None else value.timestamp(start),
        "window_end": value.text("ended early") if end is None else value.timestamp(end),
        "seconds": value.float(round(resource.seconds, 3)),
    }


def column_schema(schema: Schema, table: str) -> dg.TableSchema:
    """Return a table's columns as they are at the destination."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                type=column.get("data_type") or "text",
                description=column.get("description"),
                constraints=dg.TableColumnConstraints(
                    nullable=column.get("nullable") is not False, unique=bool(column.get("primary_key"))
                ),
            )
            for name, column in schema.get_table_columns(table).items()
        ]
    )


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(name, asset=table_key(table), description=description)
        for table in RESOURCES
        for name, description in (
            ("ids", "Each row has an id, and no two rows have the same."),
            ("rejected_items", "No object of this list is in rejected_items."),
        )
    ],
    name="check_tables",
    can_subset=True,
    pool=POOL,
)
def checks(context: dg.AssetCheckExecutionContext, toloka_api: Toloka) -> Iterator[dg.AssetCheckResult]:
    """Ask the destination whether the tables are as they should be."""
    with one_line_failures(context.op_execution_context):
        pipeline = toloka_api.pipeline()
        with only_read(pipeline):
            pipeline.sync_destination()  # a process of its own finds an empty working folder
        with only_read(pipeline), pipeline.sql_client() as client:
            for key in sorted(context.selected_asset_check_keys):
                table = key.asset_key.path[-1]
                result = check_ids(client, table) if key.name == "ids" else check_rejected_items(client, table)
                yield result._replace(asset_key=key.asset_key, check_name=key.name)


def check_ids(client: SqlClientBase[Any], table: str) -> dg.AssetCheckResult:
    """Count rows without an id, and rows whose id another row has."""
    name = client.make_qualified_table_name(table)
    ((rows, with_id, ids),) = client.execute_sql(f"SELECT count(*), count(id), count(DISTINCT id) FROM {name}") or ()  # noqa: S608
    found = {"rows": rows, "without_id": rows - with_id, "duplicates": with_id - ids}
    return dg.AssetCheckResult(passed=rows == ids, metadata=found)


def check_rejected_items(client: SqlClientBase[Any], table: str) -> dg.AssetCheckResult:
    """Count the objects of a list that don't fit its table."""
    name = client.make_qualified_table_name(REJECTED_ITEMS)
    try:
        ((rejected,),) = client.execute_sql(f"SELECT count(*) FROM {name} WHERE resource = '{table}'") or ()  # noqa: S608
    except DatabaseUndefinedRelation:
        rejected = 0  # the first one makes the table
    return dg.AssetCheckResult(
        passed=not rejected, severity=dg.AssetCheckSeverity.WARN, metadata={"rejected": rejected}
    )


@dg.asset(
    key=table_key("backfill"),
    group_name="toloka",
    kinds={"dlt", DESTINATION},
    partitions_def=dg.MonthlyPartitionsDefinition(BACKFILL_START),
    # one process at a time can write a DuckDB file; into a warehouse each month has a run, and they go side by side
    backfill_policy=dg.BackfillPolicy.single_run() if DESTINATION == "duckdb" else None,
    pool=POOL if DESTINATION == "duckdb" else None,
)
def backfill(context: dg.AssetExecutionContext, toloka_api: Toloka) -> None:
    """Months of the tables, read again: what was created or started after a month's first moment, up to the next's."""
    months = context.partition_time_window
    for window in split_windows(months.start, months.end, "month"):
        with one_line_failures(context.op_execution_context):
            report = load_window(
                window, toloka_api.destination, toloka_api.dataset, views=True, **toloka_api.arguments()
            )
            report.raise_if_forbidden()
        metadata = {"dagster/partition_row_count": sum(resource.rows for resource in report.resources)}
        for resource in report.resources:
            context.log.info(summary(resource))
            metadata |= {f"{resource.name}_rows": resource.rows, f"{resource.name}_rejected": resource.rejected}
        context.add_asset_metadata(metadata, partition_key=f"{window.start:%Y-%m-%d}")


tables_job = dg.define_asset_job("toloka", dg.AssetSelection.assets(tables), description="Loads and checks the tables.")

backfill_job = dg.define_asset_job(
    "toloka_backfill", dg.AssetSelection.assets(backfill), description="Loads months again."
)

defs = dg.Definitions(
    assets=[tables, backfill],
    asset_checks=[checks],
    jobs=[tables_job, backfill_job],
    schedules=[dg.ScheduleDefinition(job=tables_job, cron_schedule=SCHEDULE)],
    resources={"toloka_api": Toloka(token=dg.EnvVar("SOURCES__TOLOKA__TOKEN"))},
    # a run is one process: when it is killed, nothing of it goes on
    executor=dg.in_process_executor,
)
