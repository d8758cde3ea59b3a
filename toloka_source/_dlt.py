"""Every use of what dlt doesn't document: why it is needed, and what happens when a later dlt lacks it.

Nothing here fails silently: what is missing raises `AttributeError`, `ImportError` or `TypeError` where it is used, and
`tests/loading/test_private_dlt.py` says in words what broke. What is of dlt's DuckDB client alone is in
`_dlt_duckdb.py`; all other modules go by dlt's documented names.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import dlt
import pyarrow as pa
from dlt.common.destination import AnyDestination, DestinationCapabilitiesContext
from dlt.common.destination.client import FollowupJobRequest, SupportsOpenTables, WithStateSync
from dlt.common.destination.exceptions import DestinationException, DestinationUndefinedEntity
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.runtime import signals
from dlt.common.schema.typing import TColumnSchema, TTableSchema
from dlt.destinations import postgres
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError
from dlt.destinations.job_client_impl import SqlJobClientWithStagingDataset
from dlt.destinations.sql_client import SqlClientBase
from dlt.destinations.sql_jobs import SqlMergeFollowupJob
from dlt.extract.hints import HintsMeta
from dlt.extract.items import ResolvablePipeItem, TableNameMeta
from dlt.extract.state import get_current_pipe
from dlt.pipeline.state_sync import force_state_extract, load_pipeline_state_from_destination

DUCKDB, POSTGRES = "dlt.destinations.duckdb", "dlt.destinations.postgres"
DUCKLAKE, SQLALCHEMY = "dlt.destinations.ducklake", "dlt.destinations.sqlalchemy"
"""dlt's names of the destinations that need something of their own."""


# in a resource


def past_all_steps(table: pa.Table, table_name: str, columns: Sequence[TColumnSchema] = ()) -> ResolvablePipeItem:
    """Wrap a table so that no map, filter or limit of the user's meets it; they are made for the resource's own table.

    dlt's iterator takes an item that says at which step of its pipe it is; `dlt.mark.with_table_name` sends it through
    all of them.
    """
    pipe = get_current_pipe()
    meta: Any = TableNameMeta(table_name)
    if columns:
        meta = HintsMeta(dlt.mark.make_hints(table_name, columns=list(columns)), create_table_variant=True)
    return ResolvablePipeItem(table, len(pipe) - 1, pipe, meta)


def resource_states() -> Mapping[str, Mapping[str, Any]]:
    """Return the state of each resource of the running source; dlt's public call returns one's own alone."""
    states: Mapping[str, Mapping[str, Any]] = dlt.current.source_state().get("resources", {})
    return states


def merges(table: TTableSchema, caps: DestinationCapabilitiesContext) -> bool:
    """Tell whether a destination replaces the rows of a table that are to be merged; else it only adds."""
    name = str(table["name"])
    return table["write_disposition"] != "merge" or resolve_merge_strategy({name: table}, table, caps) is not None


# the pipeline's state and working folder


def stored_state(pipeline: dlt.Pipeline) -> Mapping[str, Any] | None:
    """Return the state of each source as the destination has it; None if the destination keeps none.

    `Pipeline.sync_destination` takes it only if it looks newer than the local one, which a restored database's isn't.

    Raises:
        DestinationConnectionError: The destination can't be reached; some of dlt's clients raise their driver's errors.
    """
    client = pipeline.destination_client()
    if not isinstance(client, WithStateSync):
        return None
    try:
        with client:
            state = load_pipeline_state_from_destination(pipeline.pipeline_name, client)
    except DestinationUndefinedEntity:
        return {}
    except DestinationException:
        raise
    except Exception as error:
        raise DestinationConnectionError(type(client).__name__, pipeline.dataset_name, str(error), error) from error
    return state.get("sources", {}) if state else {}


def set_state(pipeline: dlt.Pipeline, source: str, state: Mapping[str, Any] | None) -> None:
    """Set the local state of one source, or remove it; dlt has no call that changes a state outside of a run."""
    with pipeline.managed_state() as local:
        sources: dict[str, Any] = local.setdefault("sources", {})
        if state is None:
            sources.pop(source, None)
        else:
            sources[source] = state


def forget_extracted_state(pipeline: dlt.Pipeline) -> None:
    """Let the next run store its state, also one that a package had which was dropped: dlt takes it for stored."""
    with pipeline.managed_state() as local:
        force_state_extract(local)


def count_paths_from_here(pipeline: dlt.Pipeline) -> None:
    """Let a relative path of a destination count from the current folder, for this run and for the `dlt` command.

    dlt's count from where the pipeline of this name ran for the very first time, which it keeps in the local state
    under the name of this attribute. For our own command alone: a user's pipeline goes by dlt's rule.
    """
    first, here = pipeline.get_local_state_val("initial_cwd"), str(Path.cwd())
    pipeline.initial_cwd = here  # type: ignore[attr-defined] # set from the state, by name
    pipeline.set_local_state_val("initial_cwd", here)
    if pipeline.destination and pipeline.destination.config_params.get("local_dir") == first:
        pipeline.destination.config_params["local_dir"] = here


def package_schema(pipeline: dlt.Pipeline, load_id: str, folder: str) -> Mapping[str, Any]:
    """Return the schema of a package; `Pipeline.get_load_package_info` fails on one that a kill has left torn.

    A package whose schema is gone is the rest of one that dlt was deleting. That has no name.
    """
    try:
        text = Path(pipeline.working_dir, folder, load_id, "schema.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {"name": "", "tables": {}}
    schema: Mapping[str, Any] = json.loads(text)
    return schema


def mend_folders(pipeline: dlt.Pipeline) -> None:
    """Make the folders of which a kill has kept dlt from making all, and remove what it has left of a schema.

    dlt takes the first folder for the sign of all; and the file of another name, in which it writes a schema before it
    renames it, for a schema of that name, which it can't be.
    """
    torn = [path for path in Path(pipeline.working_dir, "schemas").glob("*") if "." not in path.name]
    for path in torn:
        path.unlink(missing_ok=True)
    if torn:
        with pipeline.managed_state():  # which lists the schemas anew
            pass
    for folder in ("normalize/extracted", "load/new", "load/normalized", "load/loaded"):
        path = Path(pipeline.working_dir, folder)
        if path.parent.exists():
            path.mkdir(exist_ok=True)


def mend_package(pipeline: dlt.Pipeline, load_id: str, folder: str) -> None:
    """Remove the parts of files that a kill has left in a package: dlt takes each for a job, and fails on its name.

    It copies a job's file into a package under a name of 32 digits, then renames it.
    """
    for path in Path(pipeline.working_dir, folder, load_id).glob("*_jobs/*"):
        if "." not in path.name:
            path.unlink()


def delete_package(pipeline: dlt.Pipeline, load_id: str, *folders: str) -> None:
    """Delete one package; `Pipeline.abort_packages` deletes all younger ones too, whosever they are.

    Args:
        pipeline: Whose working folder the package is in.
        load_id: The package.
        folders: "normalize/extracted", "load/normalized" or "load/loaded"; a package can be in two of them.
    """
    for folder in folders:
        package = Path(pipeline.working_dir, folder, load_id)
        # out of dlt's sight at once: it can't read a package of which a kill has left half
        doomed = Path(pipeline.working_dir, f"toloka-deleted-{uuid4().hex}")
        with suppress(FileNotFoundError):
            package.rename(doomed)
    for doomed in Path(pipeline.working_dir).glob("toloka-deleted-*"):
        shutil.rmtree(doomed, ignore_errors=True)


# signals


@contextmanager
def own_signals() -> Iterator[None]:
    """Leave Ctrl-C and SIGTERM to handlers of our own, for a process that is ours.

    While it normalizes and loads, dlt takes note of the first one, says so in a terminal, and goes on until its pools
    are empty.
    """
    given = signals.intercepted_signals
    signals.intercepted_signals = nullcontext  # type: ignore[assignment]
    try:
        yield
    finally:
        signals.intercepted_signals = given


# the destination


def copied(given: AnyDestination, settings: Mapping[str, object], kind: type[postgres] | None = None) -> AnyDestination:
    """Return a destination, of another kind if one is given, with the parameters of this one and other settings."""
    build: Any = kind or type(given)
    made: AnyDestination = build(**{**given.config_params, **given.caps_params, **settings})
    return made


def open_table(pipeline: dlt.Pipeline, schema: str, table: str, columns: Sequence[str]) -> Iterable[Any] | None:
    """Return the record batches of a Delta or Iceberg table; None if it is neither, by its own setting or the place's.

    dlt's documented `get_delta_tables` refuses a table of another format, and its SQL needs extensions of DuckDB's from
    the network.
    """
    with pipeline.destination_client(schema) as client:
        if not isinstance(client, SupportsOpenTables):
            return None
        batches: Iterable[Any] | None = None
        if client.is_open_table("delta", table):
            batches = client.load_open_table("delta", table).to_pyarrow_dataset().to_batches(columns=list(columns))
        elif client.is_open_table("iceberg", table):
            scan = client.load_open_table("iceberg", table).scan(selected_fields=tuple(columns))
            batches = scan.to_arrow_batch_reader()
        return batches


def forget_tables(pipeline: dlt.Pipeline, schema: str) -> None:
    """Let dlt look which tables there are; it takes for given what it has noted of a schema at the destination."""
    with pipeline.destination_client() as client:
        if not isinstance(client, SqlJobClientWithStagingDataset):
            return
        noted = client.schema.version_table_name
        for dataset in (nullcontext(), client.with_staging_dataset()):
            with dataset, suppress(DatabaseUndefinedRelation):
                table = client.sql_client.make_qualified_table_name(noted)
                client.sql_client.execute_sql(f"DELETE FROM {table} WHERE schema_name = %s", schema)  # noqa: S608


def drop_staging(pipeline: dlt.Pipeline) -> None:
    """Drop the staging dataset of a pipeline that has one of its own; dlt keeps it for ever."""
    with pipeline.destination_client() as client:
        if isinstance(client, SqlJobClientWithStagingDataset):
            with client.with_staging_dataset():
                if client.is_storage_initialized():
                    client.sql_client.drop_dataset()


class LockedMerge(SqlMergeFollowupJob):
    """dlt's merge, except that it locks its table first."""

    @classmethod
    def generate_sql(cls, table_chain: Sequence[PreparedTableSchema], sql_client: SqlClientBase[Any]) -> list[str]:
        """Return the statements of the merge, which dlt runs in one transaction; readers aren't kept waiting."""
        table = sql_client.make_qualified_table_name(str(table_chain[0]["name"]))
        return [
            f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE;",
            *super().generate_sql(table_chain, sql_client),
        ]


class PostgresLocked(postgres):
    """dlt's destination, except that merges of one table wait for each other, also for those that don't lock.

    dlt merges by deleting the rows that come again, then inserting them. Two processes that do so at once for the same
    id (a training that was created in one window and started again in the next) would both find nothing to delete, and
    both insert.
    """

    @property
    def destination_type(self) -> str:
        """Return dlt's name: it is the same destination."""
        return POSTGRES

    @property
    def client_class(self) -> Any:  # noqa: ANN401 - dlt's client is imported only when it is used
        """Return dlt's client with this merge.

        Raises:
            AttributeError: dlt's client makes its merges in another way; without the lock, rows would be doubled.
        """
        from dlt.destinations.impl.postgres.postgres import PostgresClient  # noqa: PLC0415 - needs the driver

        PostgresClient._create_merge_followup_jobs  # noqa: B018, SLF001 - must be there to be replaced

        class Client(PostgresClient):
            def _create_merge_followup_jobs(
                self, table_chain: Sequence[PreparedTableSchema]
            ) -> list[FollowupJobRequest]:
                return [LockedMerge.from_table_chain(table_chain, self.sql_client)]

        return Client
