"""Toloka in Airflow: `toloka` loads what is new, `toloka_backfill` loads a stretch of time, many windows at once.

Put this file into the folder of DAGs. It needs `toloka-source[airflow]`, the connection `toloka` and the pool `toloka`;
docs/guides/airflow.md says how to make them. While Airflow reads it nothing is asked for: dlt is imported, and the
connection looked up, when a task runs.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from airflow.sdk import Asset, Connection, Param, dag, get_current_context, task
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
)
from airflow.sdk.log import mask_secret

if TYPE_CHECKING:
    from toloka_source import LoadReport

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
# dlt would look for its settings in Airflow's variables, with hundreds of requests in each task
os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")


def _names() -> Sequence[str]:
    chosen = os.environ.get("TOLOKA_RESOURCES")
    if chosen is None:
        return ("projects", "trainings")
    from toloka_source import resource_names  # noqa: PLC0415 - it takes time, and few name lists

    return resource_names(chosen)


TABLES = {name: Asset(f"toloka_{name}") for name in _names()}
"""What is loaded, and what other DAGs can wait for: `schedule=[Asset("toloka_projects")]`."""

CONNECTION = POOL = "toloka"

EXTRA = (
    *("destination", "dataset", "credentials"),
    *("environment", "filters", "rescan_after_hours", "gone_share", "history", "allow_shrink"),
    *("max_concurrency", "strict", "table_format"),
)
"""What the connection's extra may hold: where the tables go, and arguments of the source."""

# how long the first retry waits is Airflow's own setting, `default_task_retry_delay`
LOADING: dict[str, Any] = {
    "pool": POOL,
    "retries": 4,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(hours=1),
}


@dag(schedule=os.environ.get("TOLOKA_SCHEDULE", "@hourly"), catchup=False, max_active_runs=1, tags=["toloka"])
def toloka() -> None:
    """Load what was created or started since the last run.

    The cursor stands beside the data, so neither a run that was missed nor one more does any harm.
    """
    _announce_each(load())


@dag(
    schedule=None,
    max_active_runs=1,
    tags=["toloka"],
    params={
        "start": Param(type="string", format="date", description="From this day on, midnight UTC."),
        "end": Param(type="string", format="date", description="Up to this day's midnight, UTC."),
        "by": Param("month", enum=["day", "week", "month"], description="How much time a task takes on."),
    },
)
def toloka_backfill() -> None:
    """Load a stretch of time, each window in a task of its own; the cursor of `toloka` stays where it is.

    The first window makes the tables, the others follow side by side.
    """
    windows = split()
    first = load_window.override(task_id="first_window")(window=windows["first"])  # type: ignore[index] # Airflow's types know no keys
    others = load_window.override(task_id="other_windows").expand(window=windows)
    first >> others
    _announce_each(first, others)


def _announce_each(report: Any, others: Any = None) -> None:  # noqa: ANN401 - what Airflow has of them while it reads this
    for name, table in TABLES.items():
        announce.override(task_id=f"new_{name}", outlets=[table])(name, report, others)


@task(multiple_outputs=False, **LOADING)
def load() -> dict[str, Any]:
    """Load what is new; return the report."""
    with _task():
        import dlt  # noqa: PLC0415 - not while Airflow reads this file

        import toloka_source  # noqa: PLC0415

        destination, dataset, arguments = _settings()
        # in dlt's usual folder: its lock keeps a retry off while a process that Airflow has lost is still at work
        pipeline = dlt.pipeline("toloka", destination=destination, dataset_name=dataset)
        report = toloka_source.load(pipeline, toloka_source.toloka(**arguments), views=True)
        report.raise_if_short()
        report.raise_if_forbidden()
        return _plain(report)


@task
def split() -> list[dict[str, str]]:
    """Cut the stretch of time into windows; the first of them goes under a key of its own."""
    with _task():
        from toloka_source import split_windows, window_name  # noqa: PLC0415

        context = get_current_context()
        params = context["params"]
        first, *others = [
            {"name": window_name(window), "start": f"{window.start}", "end": f"{window.end}"}
            for window in split_windows(params["start"], params["end"], params["by"])
        ]
        context["ti"].xcom_push("first", first)
        return others


@task(multiple_outputs=False, map_index_template="{{ task.op_kwargs['window']['name'] }}", **LOADING)
def load_window(window: Mapping[str, str]) -> dict[str, Any]:
    """Load a window; return the report."""
    with _task():
        from toloka_source import Window  # noqa: PLC0415
        from toloka_source import load_window as load  # noqa: PLC0415

        destination, dataset, arguments = _settings()
        start, end = (datetime.fromisoformat(window[name]) for name in ("start", "end"))
        report = load(Window(start, end), destination, dataset, views=True, **arguments)
        report.raise_if_forbidden()
        return _plain(report)


@task(trigger_rule="none_failed_min_one_success")
def announce(table: str, report: Mapping[str, Any], others: Sequence[Mapping[str, Any]] | None) -> None:
    """Let the DAGs start that wait for the table, if it has new rows."""
    reports = [report, *(others or ())[:]]  # Airflow logs an error at the end of what it wasn't asked for as a whole
    loads = [of_table for one in reports for of_table in one["resources"] if of_table["name"] == table]
    rows = sum(of_table["rows"] for of_table in loads)
    if not rows:
        raise AirflowSkipException(f"no new rows in {table}")
    get_current_context()["outlet_events"][TABLES[table]].extra = {
        "rows": rows,
        **{what: sum(of_table[what] or 0 for of_table in loads) for what in ("new", "changed", "unchanged", "gone")},
        "window_start": loads[0]["window_start"],
        "window_end": loads[-1]["window_end"],
    }


class _ToTaskLog(logging.Handler):
    """Hands dlt's lines to the task's log, at their own level; on stderr all of them would be errors."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger().handle(record)


@contextmanager
def _task() -> Iterator[None]:
    """Put dlt's lines into the task's log, and say in one line why it failed; for good where a retry can't help."""
    logger = logging.getLogger("dlt")
    if not logger.handlers:
        logger.addHandler(_ToTaskLog())  # dlt takes the handler that it finds
    from dlt.common.configuration.exceptions import ConfigurationException  # noqa: PLC0415
    from dlt.common.destination.exceptions import DestinationException, UnknownDestinationModule  # noqa: PLC0415
    from dlt.pipeline.exceptions import PipelineStepFailed  # noqa: PLC0415

    from toloka_source import errors  # noqa: PLC0415

    try:
        yield
    except AirflowNotFoundException:
        add = f"airflow connections add {CONNECTION} --conn-type generic --conn-password TOKEN"
        raise AirflowFailException(f"there is no connection {CONNECTION!r}; make it: {add}") from None
    except (ConfigurationException, UnknownDestinationModule) as error:
        raise AirflowFailException(_without_secrets(error)) from None
    except (
        errors.ConfigurationError,
        errors.AccessError,
        errors.RequestError,
        errors.RejectedItemsError,
        errors.AccountChangedError,
    ) as error:
        raise AirflowFailException(_line(error)) from None
    except errors.TolokaError as error:
        raise AirflowException(_line(error)) from None
    except (PipelineStepFailed, DestinationException) as error:
        raise AirflowException(_without_secrets(error)) from error


def _without_secrets(error: Exception) -> str:
    """Return the line of an error of dlt's, in which, as in what caused it, no password stands any more."""
    from toloka_source.destinations.secrets import without_secrets  # noqa: PLC0415

    return _line(without_secrets(error))


def _settings() -> tuple[Any, str, dict[str, Any]]:
    """Return the destination, the dataset and the source's arguments, as the connection has them."""
    from dlt.common.destination import Destination  # noqa: PLC0415

    connection = Connection.get(CONNECTION)
    if not connection.password:
        raise _error("password", None, "put the token of Toloka there")
    extra = _extra(connection.extra or "{}")
    destination, dataset = extra.pop("destination", "duckdb"), extra.pop("dataset", "toloka_data")
    credentials = extra.pop("credentials", None)
    arguments = {"token": connection.password, "resources": [*TABLES], **extra}
    if connection.host:
        arguments["base_url"] = _address(connection)
    # without credentials dlt takes them from its own configuration
    return Destination.from_reference(destination, credentials=credentials), dataset, arguments


def _extra(text: str) -> dict[str, Any]:
    """Return what the connection's extra says, checked; its secrets never show in a log from here on."""
    try:
        extra = json.loads(text)
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise _error("extra", "***", "must be an object in JSON")
    mask_secret(extra)
    if isinstance(credentials := extra.get("credentials"), str):
        url = urlsplit(credentials)
        mask_secret({"password": url.password or "", **dict(parse_qsl(url.query))})
    for name in extra:
        if name not in EXTRA:
            raise _error(f"extra.{name}", "***", f"unknown; use {', '.join(EXTRA)}")
    return extra


def _address(connection: Any) -> str:  # noqa: ANN401 - Airflow's own type is Any
    """Return the address that the connection has whole in its host, or in parts as Airflow takes a URI apart."""
    if "://" in connection.host:
        return str(connection.host)
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.conn_type}://{connection.host}{port}/{connection.schema or ''}"


def _error(field: str, value: object, remedy: str) -> Exception:
    from toloka_source.errors import ConfigurationError  # noqa: PLC0415

    return ConfigurationError(f"connection {CONNECTION}: {field}", value, remedy)


def _plain(report: "LoadReport") -> dict[str, Any]:
    """Return the report as Airflow keeps it: times are texts."""
    import msgspec  # noqa: PLC0415

    return msgspec.json.decode(msgspec.json.encode(report.as_dict()), type=dict[str, Any])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


toloka()
toloka_backfill()
