"""The dlt source: a resource for each endpoint, merged on id."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dlt
from dlt.extract import DltResource
from dlt.sources import incremental

from toloka_source.api.token import Token
from toloka_source.catalog import ENDPOINTS, Endpoint, schemas
from toloka_source.destinations.place import current_place
from toloka_source.settings import (
    EPOCH,
    Environment,
    Filters,
    Hours,
    Resources,
    Settings,
    TableFormat,
    Time,
    check_settings,
)
from toloka_source.tables.cursors import window_cursor
from toloka_source.tables.further_tables import further_tables
from toloka_source.tables.hints import RunHints, add_tables, column_hints
from toloka_source.tables.resource_run import Run


@dlt.source(name="toloka")
def toloka(
    token: dlt.TSecretStrValue | None = dlt.secrets.value,
    environment: Environment = "production",
    base_url: str | None = None,
    start_date: Time | None = None,
    end_date: Time | None = None,
    resources: Resources | None = None,
    filters: Filters | None = None,
    rescan_after_hours: Hours | None = "auto",
    gone_share: float = 0.1,
    history: bool = False,  # noqa: FBT001, FBT002 - an argument like the others
    allow_shrink: bool = False,  # noqa: FBT001, FBT002 - an argument like the others
    max_concurrency: int = 8,
    strict: bool = False,  # noqa: FBT001, FBT002
    table_format: TableFormat | None = None,
) -> list[DltResource]:
    """The lists of a Toloka account, a row for each object, merged on `id`: projects and trainings, or those asked for.

    Every argument can stand in the configuration, under `[sources.toloka]` or as `SOURCES__TOLOKA__<NAME>`. Building
    the source makes no request.

    Args:
        token: The account's token, sent as `OAuth <token>`; a value that begins with `OAuth ` or `ApiKey ` is sent as
            it is.
        environment: "production" or "sandbox".
        base_url: Another address of the API, such as a local one; overrides `environment`.
        start_date: Text in ISO 8601, a date or a datetime; UTC unless it has a zone. Nothing that is older is loaded;
            the moment itself is not in. It stays in force until another one is given.
        end_date: As `start_date`; the moment itself is in. With it the run is a back-fill of (start_date, end_date],
            which neither reads nor moves the cursor, and leaves out lists that have no times to select by.
        resources: The names of what is loaded, such as `["projects", "pools"]`, or "all"; `["projects", "trainings"]`
            unless given.
        filters: For each resource the API's own filters, such as `{"projects": {"status": "ACTIVE"}}`; for their
            names see `ENDPOINTS`.
        rescan_after_hours: When a resource is read whole again, to find what no cursor tells of: edits, closing,
            archiving. "auto": as often as it is cheap, with one request a minute on average, and once a day at least;
            a number: when that was last done longer ago; 0: every run; None (in the configuration `inf`): never.
        gone_share: When a greater share of a table's rows than this, and more than 10, is missing from the whole list,
            nothing is noted as gone.
        history: Keep each version of each object, with the time at which it was first seen, in tables such
            as `projects_history`. Switched on later, it begins with what is there then; a
            back-fill keeps none.
        allow_shrink: Load although more than half of a table's rows (or `gone_share`, if that is more) and more than
            10 are missing from the whole list, or the token is another account's. Without it such a run fails and
            writes nothing. What was allowed in one run is so in the next ones.
        max_concurrency: How many pages of a resource are read at once; 1: one after the other.
        strict: Fail, before anything is loaded, when an object doesn't fit its schema.
        table_format: For the destination `filesystem`: "delta" (needs the extra `deltalake`) or "iceberg" (needs the
            extra `pyiceberg`) makes tables whose rows are merged. Without it each load adds files, and an id has a row
            from each load that brought it.

    Returns:
        A resource for each of `resources`.

    Raises:
        ConfigurationError: An argument can't work; says which, and what to write.
    """
    secret, token = Token(token), None  # whoever shows the values of this call shows no token
    settings = check_settings(
        token=secret,
        environment=environment,
        base_url=base_url,
        start_date=start_date,
        end_date=end_date,
        resources=resources,
        filters=filters,
        rescan_after_hours=rescan_after_hours,
        gone_share=gone_share,
        history=history,
        allow_shrink=allow_shrink,
        max_concurrency=max_concurrency,
        strict=strict,
        table_format=table_format,
    )
    endpoints = [ENDPOINTS[name] for name in settings.resources]
    return [_resource(endpoint, settings) for endpoint in endpoints]


def _resource(endpoint: Endpoint, settings: Settings) -> DltResource:
    default = window_cursor(endpoint, settings.start or (EPOCH if settings.end else None), settings.end)
    tables = further_tables(endpoint.name, history=settings.history)
    hints = RunHints(endpoint.schema, tables)

    def rows(cursor: incremental[datetime] = default) -> Iterator[Any]:
        place = current_place()
        with settings.connect(keeps_nul=place is None or place.keeps_nul) as client:
            yield from Run(endpoint, settings, cursor, client, hints, place).tables()

    resource: DltResource = dlt.resource(
        rows,
        name=endpoint.name,
        primary_key="id",
        write_disposition="merge",
        columns=[column_hints(field) for field in (*endpoint.schema, schemas.HASH)],
    )
    resource.apply_hints(table_format=settings.table_format)
    add_tables(resource, tables, settings.table_format)
    return resource
